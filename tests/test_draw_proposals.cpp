#include <set>

#include "core/draw.h"
#include "detection/draw.h"
#include "detection/proposals/draw_proposals.h"
#include "detection/proposals/selective_search.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

Color pixel_color(const Image& image, int x, int y) {
  const std::uint8_t* p = image.pixel(x, y);
  return {p[0], p[1], p[2]};
}

const Segmentation kHalves{4, 1, {0, 0, 1, 1}, 2};
const Segmentation kThirds{4, 1, {0, 0, 1, 2}, 3};

/// Four pixels: 10, 20, 100, 101.
Image four_pixels() {
  Image image(4, 1);
  const std::uint8_t values[] = {10, 20, 100, 101};
  for (int x = 0; x < 4; ++x) std::fill_n(image.pixel(x, 0), 3, values[x]);
  return image;
}

}  // namespace

TEST_CASE("paint_regions: means, and colours that a union keeps", "[draw_proposals]") {
  const Image mean = paint_regions(four_pixels(), kHalves, kThirds);
  CHECK(pixel_color(mean, 0, 0) == Color{15, 15, 15});
  CHECK(pixel_color(mean, 3, 0) == Color{101, 101, 101});  // 100.5, rounded
  const Image apart = paint_regions(four_pixels(), kThirds, kThirds, RegionPaint::distinct);
  CHECK(pixel_color(apart, 0, 0) == pixel_color(apart, 1, 0));
  CHECK_FALSE(pixel_color(apart, 2, 0) == pixel_color(apart, 3, 0));
  const Image joined = paint_regions(four_pixels(), kHalves, kThirds, RegionPaint::distinct);
  CHECK(pixel_color(joined, 0, 0) == pixel_color(apart, 0, 0));
  CHECK(pixel_color(joined, 3, 0) == pixel_color(apart, 2, 0));  // the first of the largest
  CHECK_THROWS_AS(paint_regions(four_pixels(), kHalves, {5, 1, {0, 0, 0, 0, 0}, 1}),
                  std::invalid_argument);
}

TEST_CASE("draw_hierarchy: a sheet with one panel per level", "[draw_proposals]") {
  Image image(60, 40, 90, 90, 90);
  fill_rectangle(image, 10, 10, 30, 30, {220, 30, 30});
  fill_rectangle(image, 40, 10, 50, 30, {30, 30, 220});
  SelectiveSearchOptions options;
  options.strategies = {{ColorSpace::rgb, {}, 40}};
  options.sigma = 0;
  const RegionHierarchy h = selective_search_hierarchies(image, options).front();
  REQUIRE(h.segmentation.count == 3);
  const std::int32_t levels[] = {3, 1};
  const Image sheet = draw_hierarchy(image, h, levels);
  CHECK(sheet.width() > 2 * 60);
  const Image halves = draw_hierarchy(image, h);  // the picture and three regions
  CHECK(halves.width() * halves.height() < sheet.width() * sheet.height());
  const std::int32_t wrong[] = {4};
  CHECK_THROWS_WITH(draw_hierarchy(image, h, wrong),
                    "RegionHierarchy: level must be from 1 to 3 regions, got 4");
}

TEST_CASE("draw_best_proposals: green where it is found", "[draw_proposals]") {
  const Tensor truths({2, 4}, {10, 30, 40, 60, 60, 30, 90, 60});
  const Tensor proposals({3, 4}, {12, 32, 40, 60, 0, 0, 5, 5, 58, 20, 75, 45});
  Image image(200, 160);
  CHECK(draw_best_proposals(image, proposals, truths, 2) == 1);
  CHECK(pixel_color(image, 24, 100) == kPositiveColor);
  CHECK(pixel_color(image, 116, 80) == kNegativeColor);
  CHECK(pixel_color(image, 5, 5) == kBlack);  // best for none
  Image none(100, 80);
  CHECK(draw_best_proposals(none, Tensor({0, 4}), truths) == 0);
  CHECK_THROWS_AS(draw_best_proposals(none, Tensor({4}), truths), std::invalid_argument);
}

TEST_CASE("best_proposals_sheet", "[draw_proposals]") {
  const Sample sample{Image(64, 48), {Tensor({1, 4}, {5, 5, 20, 20}), {1}, {false}}, "a.jpg"};
  const Sample samples[] = {sample, sample};
  const Tensor boxes[] = {Tensor({0, 4}), Tensor({1, 4}, {5, 5, 20, 20})};
  const Image sheet = best_proposals_sheet(samples, boxes);
  CHECK(sheet.width() > 64);
  CHECK_THROWS_WITH(
      best_proposals_sheet(samples, {}),
      "best_proposals_sheet: there must be one list of proposals per sample, 2, got 0");
}
