#include <cmath>
#include <limits>
#include <set>

#include "detection/proposals/graph_segmentation.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// A grey picture from rows of numbers.
Image grey(const std::vector<std::vector<int>>& rows) {
  Image image(static_cast<int>(rows[0].size()), static_cast<int>(rows.size()));
  for (int y = 0; y < image.height(); ++y)
    for (int x = 0; x < image.width(); ++x)
      for (int c = 0; c < 3; ++c)
        image.pixel(x, y)[c] = static_cast<std::uint8_t>(
            rows[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)]);
  return image;
}

using Labels = std::vector<std::int32_t>;

const Image kFour = grey({{0, 0, 10, 10}, {0, 0, 10, 10}, {0, 0, 10, 10}, {0, 0, 10, 90}});

GraphSegmentationOptions sharp(double k, std::int64_t min_size) {
  return {.sigma = 0, .k = k, .min_size = min_size};
}

}  // namespace

TEST_CASE("graph_segmentation: a picture of 4 x 4 that can be worked out", "[graph_segmentation]") {
  // The authors' segment-graph code gives 3, 3, 3 and 2 segments: within a segment all edges weigh
  // 0, and 10 sqrt(3) = 17.3 joins left and right only where it is <= k / 8.
  for (const double k : {1., 20., 100.}) {
    const Segmentation s = graph_segmentation(kFour, sharp(k, 0));
    CHECK(s.count == 3);
    CHECK(s.labels == Labels{0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 2});
  }
  CHECK(graph_segmentation(kFour, sharp(300, 0)).labels ==
        Labels{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
  // min_size 2: the bright pixel goes to the side whose edge is lightest, the right one.
  CHECK(graph_segmentation(kFour, sharp(1, 2)).labels ==
        Labels{0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1});
  CHECK(graph_segmentation(kFour, sharp(1, 100)).count == 1);
}

TEST_CASE("graph_segmentation: k is what holds against the heaviest edge within",
          "[graph_segmentation]") {
  // A row 0 4 8 with one channel: all edges weigh 4. k = 4 joins the first two (4 <= 0 + 4 / 1);
  // then Int = 4, and the bounds are 4 + 4 / 2 = 6 and 4: 4 joins the third.
  const Tensor ramp({1, 3, 1}, {0, 4, 8});
  CHECK(graph_segmentation(ramp, sharp(4, 0)).count == 1);
  CHECK(graph_segmentation(ramp, sharp(3.9, 0)).count == 3);
  // 0 4 11: 7 > 4 + 4 / 2.
  CHECK(graph_segmentation(Tensor({1, 3, 1}, {0, 4, 11}), sharp(4, 0)).labels == Labels{0, 0, 1});
  // k = 0 joins equal pixels only.
  CHECK(graph_segmentation(Tensor({1, 4, 1}, {3, 3, 4, 3}), sharp(0, 0)).labels ==
        Labels{0, 0, 1, 2});
}

TEST_CASE("graph_segmentation: corners touch", "[graph_segmentation]") {
  const Image checkers = grey({{0, 99, 0}, {99, 0, 99}, {0, 99, 0}});
  CHECK(graph_segmentation(checkers, sharp(1, 0)).labels == Labels{0, 1, 0, 1, 0, 1, 0, 1, 0});
}

TEST_CASE("graph_segmentation: distance is Euclidean over the channels", "[graph_segmentation]") {
  const Tensor two({1, 2, 2}, {0, 0, 3, 4});
  CHECK(graph_segmentation(two, sharp(5, 0)).count == 1);
  CHECK(graph_segmentation(two, sharp(4.99, 0)).count == 2);
}

TEST_CASE("graph_segmentation: smoothing removes a speck, min_size is k by default",
          "[graph_segmentation]") {
  std::vector<std::vector<int>> rows(20, std::vector<int>(20, 100));
  rows[10][10] = 160;
  const Image speck = grey(rows);
  CHECK(graph_segmentation(speck, sharp(20, 0)).count == 2);
  CHECK(graph_segmentation(speck, sharp(20, -1)).count == 1);
  CHECK(graph_segmentation(speck, {.sigma = 3, .k = 20, .min_size = 0}).count == 1);
  CHECK(graph_segmentation(Image(1, 1)).labels == Labels{0});
  CHECK(graph_segmentation(Image(5, 3, 7, 8, 9)).count == 1);
}

TEST_CASE("graph_segmentation: segments are connected and numbered in reading order",
          "[graph_segmentation]") {
  Image noise(31, 17);
  Random random(3);
  for (std::uint8_t& v : noise.data()) v = static_cast<std::uint8_t>(random.below(256));
  const Segmentation s = graph_segmentation(noise, {.sigma = .5, .k = 200, .min_size = 4});
  REQUIRE(s.labels.size() == 31 * 17);
  CHECK(s.count > 3);
  std::int32_t highest = -1;
  std::vector<int> sizes(static_cast<std::size_t>(s.count));
  for (const std::int32_t label : s.labels) {
    REQUIRE(label <= highest + 1);
    highest = std::max(highest, label);
    ++sizes[static_cast<std::size_t>(label)];
  }
  CHECK(highest + 1 == s.count);
  for (const int size : sizes) CHECK(size >= 4);
  // Fill from each segment's first pixel: all of its pixels are reached.
  Labels left = s.labels;
  for (std::int32_t label = 0; label < s.count; ++label) {
    std::vector<int> open{static_cast<int>(std::ranges::find(left, label) - left.begin())};
    left[static_cast<std::size_t>(open[0])] = -1;
    while (!open.empty()) {
      const int p = open.back(), x = p % 31, y = p / 31;
      open.pop_back();
      for (int v = std::max(0, y - 1); v <= std::min(16, y + 1); ++v)
        for (int u = std::max(0, x - 1); u <= std::min(30, x + 1); ++u)
          if (left[static_cast<std::size_t>(v * 31 + u)] == label) {
            left[static_cast<std::size_t>(v * 31 + u)] = -1;
            open.push_back(v * 31 + u);
          }
    }
  }
  CHECK(std::set<std::int32_t>(left.begin(), left.end()) == std::set<std::int32_t>{-1});
}

TEST_CASE("graph_segmentation explains a wrong argument", "[graph_segmentation][errors]") {
  CHECK_THROWS_WITH(graph_segmentation(Tensor({4, 4})),
                    "PixelGraph: planes must be [H, W, C] without an empty axis, got [4, 4]");
  CHECK_THROWS_WITH(graph_segmentation(kFour, sharp(-1, 0)), "PixelGraph: k must be >= 0, got -1");
  CHECK_THROWS_WITH(graph_segmentation(kFour, sharp(1, -2)),
                    "PixelGraph: min_size must be >= 0, or -1 for k pixels, got -2");
  CHECK_THROWS_AS(graph_segmentation(Image()), std::invalid_argument);
  CHECK_THROWS_AS(graph_segmentation(Tensor({1, 1, 1}, std::numeric_limits<Scalar>::quiet_NaN())),
                  std::invalid_argument);
}
