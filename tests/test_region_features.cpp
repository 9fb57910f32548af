#include <numeric>

#include "detection/proposals/region_features.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// 4 x 4: A is the left half, B the upper right quarter, C the lower right one.
const Segmentation kThree{4, 4, {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 2, 2, 0, 0, 2, 2}, 3};

/// One channel: A is 0 (bin 0), B 100 (bin 9), C 255 (bin 24).
Tensor three_greys() {
  Tensor planes({4, 4, 1});
  const Scalar values[] = {0, 100, 255};
  for (int p = 0; p < 16; ++p)
    planes.data()[static_cast<std::size_t>(p)] = values[kThree.labels[static_cast<std::size_t>(p)]];
  return planes;
}

constexpr SimilarityTerms kColor{.texture = false, .size = false, .fill = false};
constexpr SimilarityTerms kTexture{.color = false, .size = false, .fill = false};
constexpr SimilarityTerms kSize{.color = false, .texture = false, .fill = false};
constexpr SimilarityTerms kFill{.color = false, .texture = false, .size = false};

}  // namespace

TEST_CASE("region_features: places, neighbours and histograms of three regions",
          "[region_features]") {
  const RegionFeatures f = region_features(kThree, pixel_bins(three_greys()));
  REQUIRE(f.places.size() == 3);
  CHECK(f.places[0].x2 == 2);
  CHECK(f.places[0].y2 == 4);
  CHECK(f.places[0].pixels == 8);
  CHECK(f.places[2].x1 == 2);
  CHECK(f.places[2].y1 == 2);
  CHECK(f.places[2].x2 == 4);
  CHECK(f.places[2].pixels == 4);
  CHECK(f.neighbors == std::vector<std::pair<std::int32_t, std::int32_t>>{{0, 1}, {0, 2}, {1, 2}});

  CHECK(f.color_size == 32);    // 25, padded
  CHECK(f.texture_size == 80);  // 8 * 10
  CHECK(f.histograms[0 * f.row_size() + 0] == Approx(1));
  CHECK(f.histograms[1 * f.row_size() + 9] == Approx(1));
  CHECK(f.histograms[2 * f.row_size() + 24] == Approx(1));
  for (std::size_t r = 0; r < 3; ++r) {
    const auto row = f.histograms.begin() + static_cast<std::ptrdiff_t>(r * f.row_size());
    CHECK(std::accumulate(row, row + 32, Scalar{0}) == Approx(1));
    CHECK(std::accumulate(row + 32, row + 112, Scalar{0}) == Approx(1));
  }
}

TEST_CASE("similarity: size and fill worked out by hand", "[region_features]") {
  const RegionFeatures f = region_features(kThree, pixel_bins(three_greys()));
  CHECK(similarity(f, 0, 1, kSize, 16) == Approx(.25));  // 1 - (8 + 4) / 16
  CHECK(similarity(f, 1, 2, kSize, 16) == Approx(.5));
  CHECK(similarity(f, 0, 1, kFill, 16) == Approx(.75));  // box of 16, 12 of them filled
  CHECK(similarity(f, 1, 2, kFill, 16) == Approx(1));
  CHECK(similarity(f, 1, 2, kColor, 16) == Approx(0).margin(1e-6));
  CHECK(similarity(f, 1, 1, kColor, 16) == Approx(1));
  CHECK(similarity(f, 1, 1, kTexture, 16) == Approx(1));
  const double all = similarity(f, 0, 2, {}, 16);
  CHECK(all == Approx(similarity(f, 0, 2, kColor, 16) + similarity(f, 0, 2, kTexture, 16) +
                      similarity(f, 0, 2, kSize, 16) + similarity(f, 0, 2, kFill, 16)));
  CHECK(all == similarity(f, 2, 0, {}, 16));
}

TEST_CASE("merge_regions: histograms are means weighted by size", "[region_features]") {
  const PixelBins bins = pixel_bins(three_greys());
  RegionFeatures f = region_features(kThree, bins);
  merge_regions(f, 0, 1);
  CHECK(f.places[0].pixels == 12);
  CHECK(f.places[0].x2 == 4);
  CHECK(f.places[0].y2 == 4);
  CHECK(f.histograms[0] == Approx(8. / 12));
  CHECK(f.histograms[9] == Approx(4. / 12));
  // The same as counting again.
  const RegionFeatures counted =
      region_features({4, 4, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1}, 2}, bins);
  for (std::size_t i = 0; i < f.row_size(); ++i)
    CHECK(f.histograms[i] == Approx(counted.histograms[i]).margin(1e-6));
}

TEST_CASE("pixel_bins: texture knows the direction of an edge", "[region_features]") {
  // A step from 0 to 255 between columns 9 and 10 answers 255 (g(1) + 2 g(2) + 3 g(3) + ...) =
  // 255 * .363 in direction 0, of at most 255 * .399: bin 9; at 45 degrees 1 / sqrt(2) of it.
  Tensor step({20, 20, 1});
  for (int y = 0; y < 20; ++y)
    for (int x = 10; x < 20; ++x) step.set({y, x, 0}, 255);
  const auto bins_at = [](const Tensor& planes, int x, int y) {
    const PixelBins bins = pixel_bins(planes);
    const auto first = bins.texture.begin() + (y * 20 + x) * kTextureDirections;
    return std::vector<int>(first, first + kTextureDirections);
  };
  CHECK(bins_at(step, 9, 10) == std::vector<int>{9, 6, 0, 0, 0, 0, 0, 6});
  CHECK(bins_at(step, 10, 10) == std::vector<int>{9, 6, 0, 0, 0, 0, 0, 6});
  CHECK(bins_at(step, 2, 10) == std::vector<int>(8, 0));
  // Turned by 90 degrees and inverted: it falls from top to bottom.
  Tensor turned({20, 20, 1}, 255);
  for (int y = 10; y < 20; ++y)
    for (int x = 0; x < 20; ++x) turned.set({y, x, 0}, 0);
  CHECK(bins_at(turned, 10, 10) == std::vector<int>{0, 0, 0, 0, 0, 6, 9, 6});
}

TEST_CASE("region_features explains a wrong argument", "[region_features][errors]") {
  CHECK_THROWS_WITH(region_features(kThree, pixel_bins(Tensor({4, 5, 1}))),
                    "region_features: bins must be of a picture of 4 x 4, got 5 x 4");
  CHECK_THROWS_WITH(pixel_bins(Tensor({1, 1, 1}, 256)),
                    "pixel_bins: values must be from 0 to 255, got 256");
  CHECK_THROWS_AS(pixel_bins(Tensor({4, 4})), std::invalid_argument);
}
