#include "detection/proposals/region_hierarchy.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// Four columns of grey: 0, 10, 200, 210 (bins 0, 0, 19, 20), 4 x 4 pixels.
const Segmentation kColumns{4, 4, {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3}, 4};

RegionFeatures column_features() {
  Tensor planes({4, 4, 1});
  const Scalar values[] = {0, 10, 200, 210};
  for (std::size_t p = 0; p < 16; ++p) planes.data()[p] = values[p % 4];
  return region_features(kColumns, pixel_bins(planes));
}

}  // namespace

TEST_CASE("group_regions merges the most similar neighbours first", "[region_hierarchy]") {
  const RegionHierarchy h =
      group_regions(kColumns, column_features(), {.texture = false, .size = false, .fill = false});
  REQUIRE(h.regions.size() == 7);
  CHECK(h.regions[4].left == 0);  // equal colours
  CHECK(h.regions[4].right == 1);
  CHECK(h.regions[4].similarity == Approx(1));
  // All other pairs share no colour: the lowest numbers go first, 2 and 3.
  CHECK(h.regions[5].left == 2);
  CHECK(h.regions[5].right == 3);
  CHECK(h.regions[5].similarity == Approx(0).margin(1e-6));
  CHECK(h.regions[6].left == 4);
  CHECK(h.regions[6].right == 5);
  CHECK(h.regions[6].place.pixels == 16);
  CHECK(h.regions[6].place.x2 == 4);
  CHECK(h.regions[5].place.x1 == 2);
}

TEST_CASE("group_regions by size lets small regions go first", "[region_hierarchy]") {
  const RegionHierarchy h =
      group_regions(kColumns, column_features(), {.color = false, .texture = false, .fill = false});
  CHECK(h.regions[4].left == 0);  // 0-1, 1-2 and 2-3 are equal: the lowest numbers
  CHECK(h.regions[5].left == 2);  // 8 pixels rather than 12
  CHECK(h.regions[5].right == 3);
}

TEST_CASE("RegionHierarchy::level goes from the segments to the whole picture",
          "[region_hierarchy]") {
  const RegionHierarchy h = group_regions(kColumns, column_features());
  CHECK(h.level(4).labels == kColumns.labels);
  CHECK(h.level(4).count == 4);
  const std::vector<std::int32_t> three = h.level(3).labels;
  CHECK(std::vector<std::int32_t>(three.begin(), three.begin() + 4) ==
        std::vector<std::int32_t>{0, 0, 1, 2});
  CHECK(h.level(1).labels == std::vector<std::int32_t>(16, 0));
  CHECK(h.level(1).count == 1);
  CHECK_THROWS_WITH(h.level(5), "RegionHierarchy: level must be from 1 to 4 regions, got 5");
  CHECK_THROWS_AS(h.level(0), std::invalid_argument);
}

TEST_CASE("group_regions: a single segment is the picture", "[region_hierarchy]") {
  const Segmentation one{3, 2, std::vector<std::int32_t>(6, 0), 1};
  const RegionHierarchy h = group_regions(one, region_features(one, pixel_bins(Tensor({2, 3, 1}))));
  REQUIRE(h.regions.size() == 1);
  CHECK(h.regions[0].place.pixels == 6);
  CHECK(h.level(1).count == 1);
  CHECK_THROWS_WITH(group_regions(kColumns, region_features(one, pixel_bins(Tensor({2, 3, 1})))),
                    "group_regions: features must have one row per segment, 4, got 1");
}

TEST_CASE("group_regions: sizes add up and children come first", "[region_hierarchy]") {
  Tensor noise({24, 32, 3});
  Random random(5);
  for (Scalar& v : noise.data()) v = static_cast<Scalar>(random.below(256));
  const Segmentation s = graph_segmentation(noise, {.sigma = .8, .k = 30, .min_size = 3});
  REQUIRE(s.count > 10);
  const RegionHierarchy h = group_regions(s, region_features(s, pixel_bins(noise)));
  REQUIRE(h.regions.size() == static_cast<std::size_t>(2 * s.count - 1));
  for (std::size_t r = 0; r < h.regions.size(); ++r) {
    const Region& region = h.regions[r];
    if (r < static_cast<std::size_t>(s.count)) {
      CHECK(region.left == -1);
      continue;
    }
    REQUIRE(region.right < static_cast<std::int32_t>(r));
    REQUIRE(region.left < region.right);
    const Region& a = h.regions[static_cast<std::size_t>(region.left)];
    const Region& b = h.regions[static_cast<std::size_t>(region.right)];
    CHECK(region.place.pixels == a.place.pixels + b.place.pixels);
    CHECK(region.place.x1 == std::min(a.place.x1, b.place.x1));
    CHECK(region.place.y2 == std::max(a.place.y2, b.place.y2));
  }
  CHECK(h.regions.back().place.pixels == 24 * 32);
  for (std::int32_t count = 1; count <= s.count; count += 7) CHECK(h.level(count).count == count);
}
