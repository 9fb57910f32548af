#include <cmath>
#include <limits>
#include <vector>

#include "core/autograd.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "detection/region_max.h"
#include "detection/roi_pool.h"
#include "tests/catch.h"
#include "tests/check_gradients.h"
#include "tests/regions.h"

using namespace boxgrad;
using detection::roi_max_pool;

namespace {

/// torchvision's answer for the 100 regions of one setting.
struct GoldenRoiPool {
  std::int64_t out_h = 0, out_w = 0;
  double scale = 0;
  std::vector<Scalar> y, dx;
};

#include "tests/golden/roi_pool.h"

std::vector<Scalar> pool_2x2(const Tensor& x, const Tensor& rois, double scale = 1) {
  return roi_max_pool(x, rois, 2, 2, scale).to_vector();
}

using Row = std::vector<Scalar>;

/// The definition: y and where each number came from (-1: an empty bin), one number at a time.
struct Naive {
  Tensor y, dx;
};

Naive naive(const Tensor& x, const Tensor& rois, std::int64_t out_h, std::int64_t out_w,
            double scale, const Tensor& dy) {
  const std::int64_t height = x.size(1), width = x.size(2), channels = x.size(3);
  Naive result{Tensor({rois.size(0), out_h, out_w, channels}), Tensor(x.shape())};
  const auto cell = [&](std::int64_t r, int k) {
    return static_cast<std::int64_t>(std::round(rois.at({r, k}) * static_cast<Scalar>(scale)));
  };
  const auto first = [](std::int64_t i, std::int64_t extent, std::int64_t bins) {
    return static_cast<std::int64_t>(
        std::floor(static_cast<double>(i * extent) / static_cast<double>(bins)));
  };
  const auto past = [](std::int64_t i, std::int64_t extent, std::int64_t bins) {
    return static_cast<std::int64_t>(
        std::ceil(static_cast<double>((i + 1) * extent) / static_cast<double>(bins)));
  };
  for (std::int64_t r = 0; r < rois.size(0); ++r) {
    const auto n = static_cast<std::int64_t>(rois.at({r, 0}));
    const std::int64_t left = cell(r, 1), top = cell(r, 2);
    const std::int64_t wide = std::max<std::int64_t>(cell(r, 3) - left + 1, 1);
    const std::int64_t high = std::max<std::int64_t>(cell(r, 4) - top + 1, 1);
    for (std::int64_t i = 0; i < out_h; ++i)
      for (std::int64_t j = 0; j < out_w; ++j)
        for (std::int64_t c = 0; c < channels; ++c) {
          Scalar best = -std::numeric_limits<Scalar>::max();
          std::int64_t at_h = -1, at_w = -1;
          for (std::int64_t h = top + first(i, high, out_h); h < top + past(i, high, out_h); ++h)
            for (std::int64_t w = left + first(j, wide, out_w); w < left + past(j, wide, out_w);
                 ++w)
              if (h >= 0 && h < height && w >= 0 && w < width && x.at({n, h, w, c}) > best) {
                best = x.at({n, h, w, c});
                at_h = h;
                at_w = w;
              }
          if (at_h < 0) continue;
          result.y.set({r, i, j, c}, best);
          result.dx.set({n, at_h, at_w, c}, result.dx.at({n, at_h, at_w, c}) + dy.at({r, i, j, c}));
        }
  }
  return result;
}

}  // namespace

TEST_CASE("roi_max_pool matches torchvision on 1,000 regions", "[roi_pool]") {
  for (std::uint64_t s = 0; s < kGoldenRoiPool.size(); ++s) {
    const GoldenRoiPool& golden = kGoldenRoiPool[s];
    CAPTURE(s, golden.out_h, golden.out_w, golden.scale);
    Tensor x = integers(kMap, 7, s, 23).requires_grad_();
    const Tensor y =
        roi_max_pool(x, golden_regions(s, golden.scale), golden.out_h, golden.out_w, golden.scale);
    REQUIRE(y.shape() == Shape{kRegions, golden.out_h, golden.out_w, 2});
    CHECK(y.to_vector() == golden.y);
    y.backward(integers(y.shape(), 3, s, 9));
    CHECK(x.grad().to_vector() == golden.dx);  // sums of integers: exact in any order
  }
}

TEST_CASE("roi_max_pool on regions that can be drawn", "[roi_pool]") {
  const Tensor x = counting_map(4, 4);
  CHECK(pool_2x2(x, region(0, 0, 3, 3)) == Row{5, 7, 13, 15});
  CHECK(pool_2x2(x, region(0, 0, 2, 2)) == Row{5, 6, 9, 10});  // 3 cells: bins [0, 2) and [1, 3)
  CHECK(pool_2x2(x, region(1, 1, 1, 1)) == Row{5, 5, 5, 5});
  CHECK(pool_2x2(x, region(0, 0, 4, 4)) == Row{10, 11, 14, 15});  // 5 cells, 4 on the map
  CHECK(pool_2x2(x, region(2, 2, 6, 6)) == Row{15, 0, 0, 0});
  CHECK(pool_2x2(x, region(5, 5, 8, 8)) == Row{0, 0, 0, 0});
  CHECK(pool_2x2(x, region(3, 3, 1, 1)) == Row{15, 15, 15, 15});  // inverted: the start's cell
  // At 1/16, as behind VGG16's four poolings: 7 -> cell 0, 8 -> 1, 24 -> 2, 40 -> 3.
  CHECK(pool_2x2(x, region(0, 0, 31, 31), 1. / 16) == Row{5, 6, 9, 10});
  CHECK(pool_2x2(x, region(0, 0, 63, 63), 1. / 16) == Row{10, 11, 14, 15});
  CHECK(pool_2x2(x, region(7, 7, 39, 39), 1. / 16) == Row{5, 6, 9, 10});
  CHECK(pool_2x2(x, region(8, 8, 40, 40), 1. / 16) == Row{10, 11, 14, 15});

  CHECK(pool_2x2(x + 100, region(-3, -3, 1, 1)) == Row{0, 0, 0, 105});
  // A bin without cells is 0 even where every feature is negative.
  CHECK(pool_2x2(-1 - x, region(5, 5, 8, 8)) == Row{0, 0, 0, 0});
  CHECK(pool_2x2(-1 - x, region(0, 0, 3, 3)) == Row{-1, -3, -9, -11});
  CHECK(roi_max_pool(x, Tensor({0, 5}), 2, 2, 1).shape() == Shape{0, 2, 2, 1});
  // Far outside is outside, not an overflow.
  CHECK(pool_2x2(x, region(1e30, 1e30, 2e30, 2e30)) == Row{0, 0, 0, 0});
}

TEST_CASE("roi_max_pool leaves NaN out and takes infinities", "[roi_pool]") {
  const Scalar nan = std::numeric_limits<Scalar>::quiet_NaN(),
               inf = std::numeric_limits<Scalar>::infinity();
  const auto pool = [](const Tensor& x) {
    return roi_max_pool(x, region(0, 0, 1, 1), 1, 1, 1).item();
  };
  CHECK(pool(Tensor({1, 2, 2, 1}, {1, 5, 3, nan})) == 5);
  CHECK(pool(Tensor({1, 2, 2, 1}, {1, 5, inf, nan})) == inf);

  Tensor x = Tensor::full({1, 2, 2, 1}, nan).requires_grad_();
  const Tensor y = roi_max_pool(x, region(0, 0, 1, 1), 1, 1, 1);
  CHECK(y.item() == std::numeric_limits<Scalar>::lowest());
  y.backward(Tensor::ones(y.shape()));
  CHECK(x.grad().to_vector() == Row{0, 0, 0, 0});
}

TEST_CASE("roi_max_pool sends each gradient to the cell that won", "[roi_pool]") {
  const auto gradient_of_ones = [](Tensor x, const Tensor& rois) {
    x.requires_grad_();
    const Tensor y = roi_max_pool(x, rois, 2, 2, 1);
    y.backward(Tensor::ones(y.shape()));
    return x.grad().to_vector();
  };
  // Overlapping regions add up: Fast R-CNN, equation 4.
  CHECK(gradient_of_ones(counting_map(4, 4), Tensor({2, 5}, {0, 0, 0, 2, 2, 0, 0, 0, 3, 3})) ==
        Row{0, 0, 0, 0, 0, 2, 1, 1, 0, 1, 1, 0, 0, 1, 0, 1});
  // The first of equal cells wins.
  CHECK(gradient_of_ones(Tensor::ones({1, 3, 3, 1}), region(0, 0, 2, 2)) ==
        Row{1, 1, 0, 1, 1, 0, 0, 0, 0});
  Row at_the_start(16, 0);
  at_the_start[15] = 4;
  CHECK(gradient_of_ones(counting_map(4, 4), region(3, 3, 1, 1)) == at_the_start);
  CHECK(gradient_of_ones(counting_map(4, 4), region(5, 5, 8, 8)) == Row(16, 0));
}

TEST_CASE("roi_max_pool's bins end with the region", "[roi_pool]") {
  // ceil(7 * (57 / 7)) is 58 in floats: torchvision says 57 here. Ours counts in integers.
  CHECK(roi_max_pool(counting_map(1, 60), region(0, 0, 56, 0), 1, 7, 1).at({0, 0, 6, 0}) == 56);
}

TEST_CASE("roi_max_pool equals its definition, for any number of channels", "[roi_pool]") {
  Random random(3);
  struct Case {
    std::int64_t images, height, width, channels, out_h, out_w;
  };
  for (const Case& c : {Case{2, 7, 9, 37, 3, 2}, Case{1, 12, 5, 64, 2, 2}, Case{2, 6, 6, 130, 7, 7},
                        Case{1, 40, 30, 5, 1, 1}, Case{3, 1, 9, 16, 1, 4}}) {
    CAPTURE(c.images, c.height, c.width, c.channels, c.out_h, c.out_w);
    // Whole numbers: ties are frequent and sums exact.
    Tensor x = integers({c.images, c.height, c.width, c.channels}, 5, 1, 41).requires_grad_();
    const Tensor rois = random_regions(20, c.images, c.height, c.width, random);
    const Tensor dy = integers({20, c.out_h, c.out_w, c.channels}, 11, 2, 9);
    const Naive expected = naive(x, rois, c.out_h, c.out_w, 1, dy);
    const Tensor y = roi_max_pool(x, rois, c.out_h, c.out_w, 1);
    CHECK(y.to_vector() == expected.y.to_vector());
    y.backward(dy);
    CHECK(x.grad().to_vector() == expected.dx.to_vector());
    // A second backward pass adds.
    roi_max_pool(x, rois, c.out_h, c.out_w, 1).backward(dy);
    CHECK(x.grad().to_vector() == (expected.dx * 2).to_vector());
  }
}

TEST_CASE("roi_max_pool gives the same bits for any number of threads", "[roi_pool]") {
  Random random(5);
  Tensor x = Tensor::randn({2, 10, 12, 130}, random).requires_grad_();
  const Tensor rois = random_regions(60, 2, 10, 12, random);
  const Tensor dy = Tensor::randn({60, 7, 7, 130}, random);
  const auto run = [&] {
    x.zero_grad();
    const Tensor y = roi_max_pool(x, rois, 7, 7, 1);
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

TEST_CASE("roi_max_pool gradient", "[roi_pool][gradcheck]") {
  // All numbers of the map differ by more than a finite difference's step.
  Tensor x({2, 4, 5, 3});
  for (std::size_t i = 0; i < 120; ++i)
    x.data()[i] = static_cast<Scalar>(static_cast<double>(i * 53 % 120) / 10 - 6);
  const Tensor rois({5, 5},
                    {0, 0, 0, 4, 3, 1, 1, 1, 3, 2, 1, -2, 1, 9, 2, 0, 3, 3, 1, 1, 0, 9, 9, 12, 12});
  check_gradients([&](const auto& in) { return roi_max_pool(in[0], rois, 2, 3, 1); }, {x});
  check_gradients([&](const auto& in) { return roi_max_pool(in[0], rois, 4, 1, 0.5); }, {x});
}

TEST_CASE("part_of cuts exactly, and no part is empty", "[roi_pool]") {
  using detection::part_of;  // detection/region_max.cpp
  for (std::int64_t parts = 1; parts <= 8; ++parts)
    for (std::int64_t extent = 1; extent <= 300; ++extent) {
      CAPTURE(extent, parts);
      CHECK(part_of(extent, 0, parts).begin == 0);
      CHECK(part_of(extent, parts - 1, parts).end == extent);
      for (std::int64_t i = 0; i < parts; ++i) {
        const auto part = part_of(extent, i, parts);
        // Equal parts, rounded outwards by less than a cell.
        CHECK((part.begin * parts <= i * extent && (part.begin + 1) * parts > i * extent));
        CHECK((part.end * parts >= (i + 1) * extent && (part.end - 1) * parts < (i + 1) * extent));
      }
    }
}

TEST_CASE("roi_max_pool explains what it cannot pool", "[roi_pool][errors]") {
  const Tensor x({2, 4, 4, 1}), rois({1, 5});
  const auto with = [&](Scalar n, Scalar x1) {
    return Tensor({2, 5}, {0, 0, 0, 1, 1, n, x1, 0, 1, 1});
  };
  CHECK_THROWS_WITH(roi_max_pool(Tensor({4, 4, 1}), rois, 2, 2, 1),
                    "roi_max_pool: x must have shape [N, H, W, C], got [4, 4, 1]");
  CHECK_THROWS_WITH(
      roi_max_pool(x, Tensor({300, 4}), 2, 2, 1),
      "roi_max_pool: rois must have shape [R, 5] as [image, x1, y1, x2, y2], got [300, 4]");
  CHECK_THROWS_WITH(roi_max_pool(x, rois, 0, 2, 1),
                    "roi_max_pool: out must be from 1 to 1024 bins each way, got 0 x 2");
  CHECK_THROWS_WITH(roi_max_pool(x, rois, 2, 1025, 1),
                    "roi_max_pool: out must be from 1 to 1024 bins each way, got 2 x 1025");
  CHECK_THROWS_WITH(roi_max_pool(x, rois, 2, 2, 0), "roi_max_pool: scale must be > 0, got 0");
  CHECK_THROWS_WITH(roi_max_pool(x, rois, 2, 2, std::numeric_limits<double>::infinity()),
                    "roi_max_pool: scale must be > 0, got inf");
  CHECK_THROWS_WITH(roi_max_pool(x, with(2, 0), 2, 2, 1),
                    "roi_max_pool: region 1 must name an image from 0 to 1, got 2");
  CHECK_THROWS_WITH(roi_max_pool(x, with(-1, 0), 2, 2, 1),
                    "roi_max_pool: region 1 must name an image from 0 to 1, got -1");
  CHECK_THROWS_WITH(roi_max_pool(x, with(.5, 0), 2, 2, 1),
                    "roi_max_pool: region 1 must name an image from 0 to 1, got 0.5");
  CHECK_THROWS_WITH(roi_max_pool(x, with(1, std::numeric_limits<Scalar>::infinity()), 2, 2, 1),
                    "roi_max_pool: the corners of region 1 must be finite, got inf, 0, 1, 1");
}
