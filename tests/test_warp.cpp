// detection/warp.h and detection/scale_pyramid.h.
#include <limits>

#include "core/ops.h"
#include "core/parallel.h"
#include "core/random.h"
#include "detection/scale_pyramid.h"
#include "detection/warp.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// x + 10 y + 1 at column x, row y.
Tensor ramp(std::int64_t height, std::int64_t width) {
  Tensor image({height, width, 1});
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x) image.set({y, x, 0}, Scalar(x + 10 * y + 1));
  return image;
}

}  // namespace

TEST_CASE("warp_regions: as it is, larger, smaller", "[warp]") {
  const Tensor image = ramp(6, 6);
  const auto warp = [&](std::vector<Scalar> box, int size, int context = 0,
                        WarpMode mode = WarpMode::warp) {
    return warp_regions(image, Tensor({1, 4}, box), {size, context, mode});
  };
  CHECK(warp({1, 2, 4, 5}, 3).to_vector() ==
        std::vector<Scalar>{22, 23, 24, 32, 33, 34, 42, 43, 44});
  CHECK(warp({0.6, 1.7, 4.3, 5.2}, 3).to_vector() ==  // corners rounded: the same box
        warp({1, 2, 4, 5}, 3).to_vector());
  CHECK(warp({0, 0, 4, 4}, 2).to_vector() == std::vector<Scalar>{6.5, 8.5, 26.5, 28.5});  // means
  // 2 x 2 to 4 x 4: bilinear between centres, borders kept.
  const Tensor large = warp({0, 0, 2, 2}, 4);
  CHECK(large.at({0, 0, 0, 0}) == 1);
  CHECK(double(large.at({0, 1, 1, 0})) == Approx(1 + .25 + 2.5));
  CHECK(large.at({0, 3, 3, 0}) == 12);
  // Four columns to two, two rows to two.
  CHECK(warp({1, 1, 5, 3}, 2).to_vector() == std::vector<Scalar>{12.5, 14.5, 22.5, 24.5});
}

TEST_CASE("warp_regions: context, and what lies outside", "[warp]") {
  const Tensor image = ramp(6, 6);
  // Size 6 with a context of 1: the box of 4 grows by 6 / 4 to the whole image.
  CHECK(warp_regions(image, Tensor({1, 4}, {1, 1, 5, 5}), {6, 1}).to_vector() == image.to_vector());
  // A box at the corner: the border that is not on the image stays 0.
  const Tensor corner = warp_regions(image, Tensor({1, 4}, {0, 0, 4, 4}), {6, 1});
  for (std::int64_t k = 0; k < 6; ++k) {
    CHECK(corner.at({0, 0, k, 0}) == 0);
    CHECK(corner.at({0, k, 0, 0}) == 0);
  }
  for (std::int64_t y = 1; y < 6; ++y)
    for (std::int64_t x = 1; x < 6; ++x)
      CHECK(corner.at({0, y, x, 0}) == image.at({y - 1, x - 1, 0}));
  const Tensor outside = warp_regions(image, Tensor({2, 4}, {7, 7, 9, 9, -5, 0, -1, 3}), {3, 0});
  for (const Scalar v : outside.data()) CHECK(v == 0);
  // The paper's numbers: a box of 195 px becomes 227.
  const Tensor plain({300, 300, 1}, Scalar(1));
  const Tensor paper = warp_regions(plain, Tensor({1, 4}, {0, 50, 195, 245}), {});
  CHECK(paper.shape() == Shape{1, 227, 227, 1});
  CHECK(paper.at({0, 100, 15, 0}) == 0);  // 16 px of context are off the image
  CHECK(paper.at({0, 100, 16, 0}) == 1);
  CHECK(paper.at({0, 0, 16, 0}) == 1);
}

TEST_CASE("warp_regions: a colour for what lies outside", "[warp][errors]") {
  const Tensor image({2, 2, 2}, {1, 10, 2, 20, 3, 30, 4, 40});
  const Tensor boxes({2, 4}, {-1, 0, 1, 2, 5, 5, 7, 7});
  const Tensor windows = warp_regions(image, boxes, {.size = 2, .context = 0, .fill = {7, 70}});
  CHECK(windows.to_vector() ==
        std::vector<Scalar>{7, 70, 1, 10, 7, 70, 3, 30, 7, 70, 7, 70, 7, 70, 7, 70});
  CHECK_THROWS_WITH(warp_regions(image, boxes, {.size = 2, .context = 0, .fill = {7}}),
                    "warp_regions: fill must have a value for each of 2 channels, got 1");
}

TEST_CASE("warp_regions: boxes that are none, and one as large as can be", "[warp][errors]") {
  const Tensor image = ramp(6, 6);
  const Scalar nan = std::numeric_limits<Scalar>::quiet_NaN(),
               infinite = std::numeric_limits<Scalar>::infinity();
  const std::vector<std::vector<Scalar>> wrong{
      {nan, 0, 3, 3},       {0, nan, 3, 3},       {0, 0, nan, 3}, {0, 0, 3, nan},
      {-infinite, 0, 3, 3}, {0, 0, 3, infinite},  {3, 0, 1, 3},   {0, 3, 3, 1},
      {0, 0, 2e9, 3},       {0, -3e9, 3, -2.9e9}, {0, 0, 9e8, 3}};  // with its context, in the end
  for (const WarpMode mode : {WarpMode::warp, WarpMode::square})
    for (const std::vector<Scalar>& corners : wrong) {
      std::vector<Scalar> boxes{1, 1, 3, 3};
      boxes.insert(boxes.end(), corners.begin(), corners.end());
      CHECK_THROWS_WITH(warp_regions(image, Tensor({2, 4}, boxes), {8, 2, mode}),
                        ContainsSubstring("warp_regions: the corners of region 1 must be finite, "
                                          "in order and, with the context, within 1e9 px, got "));
    }
  // The image is less than a pixel of it.
  const Tensor large = warp_regions(image, Tensor({1, 4}, {-4e8, -4e8, 4e8, 4e8}), {8, 2});
  std::int64_t seen = 0;
  for (const Scalar v : large.data()) seen += v != 0;
  CHECK(seen == 1);
  // A line is a pixel wide.
  CHECK(warp_regions(image, Tensor({1, 4}, {2, 1, 2, 3}), {2, 0}).to_vector() ==
        warp_regions(image, Tensor({1, 4}, {2, 1, 3, 3}), {2, 0}).to_vector());
}

TEST_CASE("warp_regions: the tightest square keeps proportions", "[warp]") {
  const Tensor image = ramp(6, 6);
  // 4 x 2 at (1, 2): the square of 4 around it begins at y = 1.
  CHECK(warp_regions(image, Tensor({1, 4}, {1, 2, 5, 4}), {4, 0, WarpMode::square}).to_vector() ==
        warp_regions(image, Tensor({1, 4}, {1, 1, 5, 5}), {4, 0}).to_vector());
}

TEST_CASE("warp_regions: the same bits for any number of threads; none; errors", "[warp][errors]") {
  Random random(1);
  const Tensor image = Tensor::randn({40, 30, 3}, random);
  std::vector<Scalar> numbers;
  for (int i = 0; i < 30; ++i) {
    const auto x = Scalar(random.uniform(-10, 25)), y = Scalar(random.uniform(-10, 30));
    numbers.insert(numbers.end(),
                   {x, y, x + Scalar(random.uniform(1, 20)), y + Scalar(random.uniform(1, 20))});
  }
  const Tensor boxes({30, 4}, numbers);
  const int before = num_threads();
  std::vector<Scalar> first;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const auto got = warp_regions(image, boxes, {16, 2}).to_vector();
    if (first.empty()) first = got;
    CHECK(got == first);
  }
  set_num_threads(before);
  CHECK(warp_regions(image, Tensor({0, 4}), {16, 2}).shape() == Shape{0, 16, 16, 3});
  CHECK_THROWS_WITH(warp_regions(Tensor({1, 4, 4, 3}), boxes),
                    "warp_regions: image must be [H, W, C], got [1, 4, 4, 3]");
  CHECK_THROWS_WITH(
      warp_regions(image, boxes, {16, 8}),
      "warp_regions: size must be >= 1 and context less than half of it, got 16 and 8");
}

TEST_CASE("nearest_scales: the area nearest to 224 x 224", "[scale_pyramid]") {
  const ScalePyramid pyramid{.sides_px = {480, 576, 688, 864, 1200}, .longest_px = 2000};
  const std::vector<double> factors = pyramid.factors(500, 375);
  CHECK(factors[0] == Approx(1.28));
  CHECK(factors[4] == Approx(3.2));
  CHECK(pyramid.factors(1000, 375)[4] == Approx(2));  // the longer side stops it
  const Tensor boxes({5, 4}, {0, 0, 224, 224, 0, 0, 100, 100, 0, 0, 70, 70, 0, 0, 150, 150,  //
                              0, 0, 120, 50});
  // Sides times factors: 287 .. 717; 128 154 183 230 320; 90 .. 224; 192 230 275 ..; area 6000: 77
  // px.
  CHECK(nearest_scales(boxes, factors, 224) == std::vector<std::size_t>{0, 3, 4, 1, 4});
  CHECK(nearest_scales(Tensor({1, 4}, {0, 0, 10, 10}), {1, 1}, 10) == std::vector<std::size_t>{0});
  CHECK_THROWS_WITH(nearest_scales(boxes, {}, 224), "nearest_scales: there is no scale");
  CHECK_THROWS_WITH(ScalePyramid{.sides_px = {0}}.factors(4, 4),
                    "ScalePyramid: sides must be > 0, got 0");
}

TEST_CASE("pyramid_features: each region from its scale, in its place", "[scale_pyramid]") {
  Random random(2);
  const Tensor image = Tensor::randn({1, 20, 30, 2}, random);
  const Tensor boxes({4, 4}, {0, 0, 20, 20, 1, 2, 6, 7, 3, 3, 13, 13, 2, 1, 7, 6});
  const ScalePyramid pyramid{.sides_px = {10, 20, 40}, .longest_px = 1000, .region_px = 10};
  std::vector<Shape> images;
  const auto describe = [&](const Tensor& scaled, const Tensor& regions) {
    images.push_back(scaled.shape());
    Tensor rows({regions.size(0), 2});
    for (std::int64_t r = 0; r < regions.size(0); ++r) {
      rows.set({r, 0}, Scalar(scaled.size(2)));
      rows.set({r, 1}, regions.at({r, 2}) - regions.at({r, 0}));
    }
    return rows;
  };
  CHECK(pyramid_features(image, boxes, pyramid, describe).to_vector() ==
        std::vector<Scalar>{15, 10, 60, 10, 30, 10, 60, 10});
  CHECK(images == std::vector<Shape>{{1, 10, 15, 2}, {1, 20, 30, 2}, {1, 40, 60, 2}});
  images.clear();
  CHECK(pyramid_features(image, Tensor({0, 4}), pyramid, describe).shape() == Shape{0, 2});
  CHECK(images.size() == 1);
  // One scale that changes nothing: the very same tensor goes in.
  const auto same = pyramid_features(image, boxes, {.sides_px = {20}, .region_px = 10},
                                     [&](const Tensor& scaled, const Tensor& regions) {
                                       CHECK(scaled.data().data() == image.data().data());
                                       CHECK(regions.to_vector() == boxes.to_vector());
                                       return regions;
                                     });
  CHECK(same.to_vector() == boxes.to_vector());
  CHECK_THROWS_WITH(pyramid_features(Tensor({2, 4, 4, 3}), boxes, pyramid, describe),
                    "pyramid_features: image must be [1, H, W, C], got [2, 4, 4, 3]");
}

TEST_CASE("random_scale draws one of the sizes", "[scale_pyramid]") {
  const Transform scale = random_scale({.sides_px = {10, 20}, .longest_px = 100});
  int small = 0;
  for (std::uint64_t i = 0; i < 40; ++i) {
    Random random(1, i);
    Sample sample;
    sample.image = Image(30, 20);
    sample.target = {.boxes = Tensor({1, 4}, {3, 2, 9, 8}), .labels = {1}, .difficult = {false}};
    const Sample scaled = scale(sample, random);
    if (scaled.image.width() == 15) {
      ++small;
      CHECK(scaled.target.boxes.to_vector() == std::vector<Scalar>{1.5, 1, 4.5, 4});
      CHECK(scaled.scale_x == 0.5);
    } else {
      CHECK(scaled.image.width() == 30);
    }
  }
  CHECK(small > 8);
  CHECK(small < 32);
}
