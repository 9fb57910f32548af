#include <limits>
#include <vector>

#include "core/autograd.h"
#include "core/parallel.h"
#include "detection/region_max.h"
#include "detection/spatial_pyramid_pool.h"
#include "tests/catch.h"
#include "tests/check_gradients.h"
#include "tests/regions.h"

using namespace boxgrad;
using detection::spatial_pyramid_pool;

namespace {

using Row = std::vector<Scalar>;

Row pool(const Tensor& x, const Tensor& rois, const std::vector<std::int64_t>& levels,
         double scale = 1) {
  return spatial_pyramid_pool(x, rois, scale, levels).to_vector();
}

}  // namespace

TEST_CASE("the bins of SPPnet's pyramid", "[spatial_pyramid_pool]") {
  const auto bins = [](std::int64_t extent, std::int64_t n) {
    std::vector<std::vector<std::int64_t>> result;
    for (std::int64_t i = 0; i < n; ++i) {
      const auto part = detection::part_of(extent, i, n);
      result.push_back({part.begin, part.end});
    }
    return result;
  };
  using Bins = std::vector<std::vector<std::int64_t>>;
  CHECK(bins(13, 6) == Bins{{0, 3}, {2, 5}, {4, 7}, {6, 9}, {8, 11}, {10, 13}});
  CHECK(bins(13, 3) == Bins{{0, 5}, {4, 9}, {8, 13}});
  CHECK(bins(2, 3) == Bins{{0, 1}, {0, 2}, {1, 2}});
}

TEST_CASE("a region's cells are those whose centres it covers", "[spatial_pyramid_pool]") {
  const auto cells = [](Scalar low, Scalar high) {
    const auto range = detection::spatial_pyramid_cells(low, high, 1. / 8, 16);
    return std::vector<std::int64_t>{range.begin, range.end};
  };
  using Ends = std::vector<std::int64_t>;
  CHECK(cells(0, 104) == Ends{0, 13});
  CHECK(cells(22, 58) == Ends{3, 7});
  CHECK(cells(20, 60) == Ends{3, 7});  // a centre on the edge is not inside
  CHECK(cells(21, 27) == Ends{3, 4});  // no centre at all: the cell at the middle
  CHECK(cells(-50, 500) == Ends{0, 16});
}

TEST_CASE("spatial_pyramid_pool on regions that can be drawn", "[spatial_pyramid_pool]") {
  const Tensor x = counting_map(4, 4);
  // Grids in the order of levels, bins row by row.
  CHECK(pool(x, region(0, 0, 4, 4), {2, 1}) == Row{5, 7, 13, 15, 15});
  CHECK(pool(x, region(0, 0, 4, 4), {1, 2}) == Row{15, 5, 7, 13, 15});
  // The centre of a cell is at one half: rounded inwards.
  CHECK(pool(x, region(0.4f, 0, 3.6f, 4), {1, 2}) == Row{15, 5, 7, 13, 15});
  CHECK(pool(x, region(0.6f, 0, 3.4f, 4), {1}) == Row{14});
  CHECK(pool(x, region(0.5, 0.5, 3.5, 3.5), {1}) == Row{10});
  // Too small for any centre: the cell at its middle.
  CHECK(pool(x, region(1.6f, 1.6f, 2.2f, 2.2f), {2}) == Row{5, 5, 5, 5});
  CHECK(pool(x, region(2, 3, 2, 3), {1}) == Row{14});
  // What lies outside moves to the border.
  CHECK(pool(x, region(-9, -9, -5, 9), {1}) == Row{12});
  CHECK(pool(x, region(-9, -9, 9, 9), {1}) == Row{15});
  CHECK(pool(x, region(1e30f, 1e30f, 2e30f, 2e30f), {1}) == Row{15});
  CHECK(pool(x, region(0, 0, 64, 64), {2}, 1. / 16) == Row{5, 7, 13, 15});
  // The maximum of negative numbers is negative.
  CHECK(pool(-1 - x, region(0, 0, 4, 4), {2}) == Row{-1, -3, -9, -11});
  CHECK(spatial_pyramid_pool(Tensor({1, 5, 5, 3}), Tensor({7, 5}), 1).shape() == Shape{7, 150});
  CHECK(spatial_pyramid_pool(x, Tensor({0, 5}), 1, {2}).shape() == Shape{0, 4});
}

TEST_CASE("spatial_pyramid_pool keeps channels together", "[spatial_pyramid_pool]") {
  const Tensor x({1, 1, 2, 2}, {1, 20, 3, 10});
  CHECK(pool(x, region(0, 0, 2, 1), {1, 2}) == Row{3, 20, 1, 20, 3, 10, 1, 20, 3, 10});
}

TEST_CASE("spatial_pyramid_pool gives the same bits for any number of threads",
          "[spatial_pyramid_pool]") {
  Random random(5);
  Tensor x = Tensor::randn({2, 13, 12, 37}, random).requires_grad_();
  Tensor rois = random_regions(40, 2, 13, 12, random);
  Scalar* roi = rois.data().data();
  for (std::int64_t r = 0; r < 40; ++r, roi += 5)
    for (const int k : {1, 2})
      if (roi[k] > roi[k + 2]) std::swap(roi[k], roi[k + 2]);
  const Tensor dy = Tensor::randn({40, 50 * 37}, random);
  const auto run = [&] {
    x.zero_grad();
    const Tensor y = spatial_pyramid_pool(x, rois, 1);
    y.backward(dy);
    return std::pair{y.to_vector(), x.grad().to_vector()};
  };
  const int before = num_threads();
  set_num_threads(1);
  const auto expected = run();
  for (const int threads : {2, 3, 8}) {
    set_num_threads(threads);
    CHECK(run() == expected);
  }
  set_num_threads(before);
}

TEST_CASE("spatial_pyramid_pool gradient", "[spatial_pyramid_pool][gradcheck]") {
  // All numbers of the map differ by more than a finite difference's step.
  Tensor x({2, 4, 5, 3});
  for (std::size_t i = 0; i < 120; ++i)
    x.data()[i] = static_cast<Scalar>(static_cast<double>(i * 53 % 120) / 10 - 6);
  const Tensor rois({4, 5}, {0, 0, 0, 5, 4, 1, 1, 1, 3, 2, 1, -2, 1, 9, 2, 0, 9, 9, 12, 12});
  check_gradients([&](const auto& in) { return spatial_pyramid_pool(in[0], rois, 1); }, {x});
  check_gradients(
      [&](const auto& in) {
        return spatial_pyramid_pool(in[0], rois, .5, {3, 1});
      },
      {x});
}

TEST_CASE("spatial_pyramid_pool explains what it cannot pool", "[spatial_pyramid_pool][errors]") {
  const Tensor x({2, 4, 4, 1}), rois({1, 5});
  CHECK_THROWS_WITH(spatial_pyramid_pool(Tensor({4, 4, 1}), rois, 1),
                    "spatial_pyramid_pool: x must have shape [N, H, W, C], got [4, 4, 1]");
  CHECK_THROWS_WITH(spatial_pyramid_pool(Tensor({1, 0, 4, 1}), rois, 1),
                    "spatial_pyramid_pool: the map has no cells, shape [1, 0, 4, 1]");
  CHECK_THROWS_WITH(
      spatial_pyramid_pool(x, Tensor({3, 4}), 1),
      "spatial_pyramid_pool: rois must have shape [R, 5] as [image, x1, y1, x2, y2], got [3, 4]");
  CHECK_THROWS_WITH(spatial_pyramid_pool(x, rois, 0),
                    "spatial_pyramid_pool: scale must be > 0, got 0");
  CHECK_THROWS_WITH(spatial_pyramid_pool(x, rois, 1, {}),
                    "spatial_pyramid_pool: levels must not be empty");
  CHECK_THROWS_WITH(spatial_pyramid_pool(x, rois, 1, {6, 0}),
                    "spatial_pyramid_pool: levels must be from 1 to 64, got 0");
  CHECK_THROWS_WITH(spatial_pyramid_pool(x, Tensor({1, 5}, {2, 0, 0, 1, 1}), 1),
                    "spatial_pyramid_pool: region 0 must name an image from 0 to 1, got 2");
  CHECK_THROWS_WITH(
      spatial_pyramid_pool(x, region(3, 0, 1, 1), 1),
      "spatial_pyramid_pool: the corners of region 0 must be in order, got 3, 0, 1, 1");
  CHECK_THROWS_WITH(
      spatial_pyramid_pool(x, region(0, 0, std::numeric_limits<Scalar>::infinity(), 1), 1),
      "spatial_pyramid_pool: the corners of region 0 must be finite, got 0, 0, inf, 1");
}
