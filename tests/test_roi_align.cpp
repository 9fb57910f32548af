#include <cmath>
#include <limits>
#include <vector>

#include "core/autograd.h"
#include "core/parallel.h"
#include "detection/roi_align.h"
#include "tests/catch.h"
#include "tests/check_gradients.h"
#include "tests/regions.h"

using namespace boxgrad;
using detection::roi_align;
using detection::RoiAlignOptions;

namespace {

/// torchvision's answer for the 100 regions of one setting.
struct GoldenRoiAlign {
  std::int64_t out_h = 0, out_w = 0;
  double scale = 0;
  RoiAlignOptions options;
  std::vector<Scalar> y, dx;
};

#include "tests/golden/roi_align.h"

Tensor golden_align_regions(std::uint64_t s, const GoldenRoiAlign& golden) {
  Tensor rois = golden_regions(s, golden.scale);
  Scalar* roi = rois.data().data();
  for (std::int64_t r = 0; r < kRegions; ++r, roi += 5) {
    for (int k = 1; k < 5; ++k) roi[k] = std::floor(roi[k] * 8) / 8;
    if (golden.options.aligned && golden.options.sampling_ratio < 0)
      for (const int k : {1, 2})
        if (roi[k] > roi[k + 2]) std::swap(roi[k], roi[k + 2]);
  }
  return rois;
}

void check_2x2(const Tensor& rois, const RoiAlignOptions& options,
               const std::vector<double>& expected) {
  const auto y = roi_align(counting_map(4, 4), rois, 2, 2, 1, options).to_vector();
  REQUIRE(y.size() == expected.size());
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(y[i] == Approx(expected[i]).margin(1e-6));
}

}  // namespace

TEST_CASE("roi_align matches torchvision on 500 regions", "[roi_align]") {
  for (std::uint64_t s = 0; s < kGoldenRoiAlign.size(); ++s) {
    const GoldenRoiAlign& golden = kGoldenRoiAlign[s];
    CAPTURE(s, golden.out_h, golden.out_w, golden.scale, golden.options.sampling_ratio);
    Tensor x = integers(kMap, 7, s, 23).requires_grad_();
    const Tensor rois = golden_align_regions(s, golden);
    const Tensor y = roi_align(x, rois, golden.out_h, golden.out_w, golden.scale, golden.options);
    REQUIRE(y.shape() == Shape{kRegions, golden.out_h, golden.out_w, 2});
    CHECK(relative_error(y, Tensor(y.shape(), golden.y)) < 2e-6);
    y.backward(integers(y.shape(), 3, s, 9));
    CHECK(relative_error(x.grad(), Tensor(x.shape(), golden.dx)) < 2e-6);
  }
}

TEST_CASE("roi_align on regions that can be drawn", "[roi_align]") {
  // On the map 0 .. 15; golden values of torchvision.
  const RoiAlignOptions aligned{2, true}, legacy{2, false};
  check_2x2(region(0, 0, 4, 4), aligned, {2.5, 4.5, 10.5, 12.5});
  check_2x2(region(0, 0, 3, 3), aligned, {1.5625, 3, 7.3125, 8.75});
  check_2x2(region(1, 1, 1, 1), aligned, {2.5, 2.5, 2.5, 2.5});
  check_2x2(region(0, 0, 4, 4), legacy, {5, 6.75, 12, 13.75});
  check_2x2(region(0, 0, 3, 3), legacy, {3.75, 5.25, 9.75, 11.25});
  check_2x2(region(1, 1, 1, 1), legacy, {6.25, 6.75, 8.25, 8.75});
  check_2x2(region(1, 1, 3, 3), {1, true}, {5, 6, 9, 10});
  check_2x2(region(1, 1, 3, 3), {1, false}, {7.5, 8.5, 11.5, 12.5});
  for (const RoiAlignOptions& options : {aligned, legacy, RoiAlignOptions{}})
    check_2x2(region(9, 9, 12, 12), options, {0, 0, 0, 0});
  CHECK(roi_align(counting_map(4, 4), Tensor({0, 5}), 2, 2, 1).shape() == Shape{0, 2, 2, 1});
  for (const bool aligned : {false, true})  // aligned, a region begins half a cell before the map
    for (const Scalar side : {Scalar{4}, Scalar{0.25}})
      CHECK(roi_align(Tensor({1, 0, 4, 1}), region(0, 0, side, side), 1, 1, 1, {-1, aligned})
                .item() == 0);
}

TEST_CASE("roi_align sees a region move by half a cell", "[roi_align]") {
  const Tensor x = counting_map(4, 4);
  const auto mean = [&](Scalar left) {
    return roi_align(x, region(left, 1, left + 2, 3), 1, 1, 1, {2, true}).item();
  };
  CHECK(mean(1) == Approx(7.5));
  CHECK(mean(Scalar(1.5)) == Approx(8));
}

TEST_CASE("roi_align gives the same bits for any number of threads", "[roi_align]") {
  Random random(5);
  Tensor x = Tensor::randn({2, 10, 12, 37}, random).requires_grad_();
  const Tensor rois = random_regions(40, 2, 10, 12, random);
  const Tensor dy = Tensor::randn({40, 3, 3, 37}, random);
  const auto run = [&] {
    x.zero_grad();
    const Tensor y = roi_align(x, rois, 3, 3, 1);
    y.backward(dy);
    return std::pair{y.to_vector(), x.grad().to_vector()};
  };
  const int before = num_threads();
  set_num_threads(1);
  const auto expected = run();
  for (const int threads : {2, 3, 4, 8}) {
    set_num_threads(threads);
    CHECK(run() == expected);
  }
  set_num_threads(before);
}

TEST_CASE("roi_align gradient", "[roi_align][gradcheck]") {
  const Tensor x = Tensor::randn({2, 4, 5, 3});
  const Tensor rois(
      {4, 5}, {0, 0, 0, 4, 3, 1, Scalar(.7), 1, 3, Scalar(2.2), 1, -2, 1, 9, 2, 0, 3, 3, 1, 1});
  for (const RoiAlignOptions& options : {RoiAlignOptions{2, true}, {3, false}, {-1, true}, {}})
    for (const double scale : {1.0, 0.5})
      check_gradients([&](const auto& in) { return roi_align(in[0], rois, 2, 3, scale, options); },
                      {x});
}

TEST_CASE("roi_align explains what it cannot pool", "[roi_align][errors]") {
  const Tensor x({2, 4, 4, 1});
  CHECK_THROWS_WITH(roi_align(Tensor({4, 4, 1}), Tensor({1, 5}), 2, 2, 1),
                    "roi_align: x must have shape [N, H, W, C], got [4, 4, 1]");
  CHECK_THROWS_WITH(
      roi_align(x, Tensor({3, 4}), 2, 2, 1),
      "roi_align: rois must have shape [R, 5] as [image, x1, y1, x2, y2], got [3, 4]");
  CHECK_THROWS_WITH(roi_align(x, Tensor({1, 5}), 2, 0, 1),
                    "roi_align: out must be from 1 to 1024 bins each way, got 2 x 0");
  CHECK_THROWS_WITH(roi_align(x, Tensor({1, 5}), 2, 2, -1), "roi_align: scale must be > 0, got -1");
  CHECK_THROWS_WITH(roi_align(x, Tensor({1, 5}, {2, 0, 0, 1, 1}), 2, 2, 1),
                    "roi_align: region 0 must name an image from 0 to 1, got 2");
  CHECK_THROWS_WITH(roi_align(x, region(0, 0, std::numeric_limits<Scalar>::infinity(), 1), 2, 2, 1),
                    "roi_align: the corners of region 0 must be finite, got 0, 0, inf, 1");
  CHECK_THROWS_WITH(roi_align(x, region(0, 0, 1, 1), 1, 1, 1, {100000, true}),
                    "roi_align: a bin must have at most 65536 points each way, got 100000 for a "
                    "region from 0 to 1");
  CHECK_THROWS_WITH(roi_align(x, region(0, 0, 200000, 1), 1, 1, 1),
                    "roi_align: a bin must have at most 65536 points each way, got 200000 for a "
                    "region from 0 to 200000");
}
