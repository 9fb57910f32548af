// detection/models/region_inspect.h: pictures of a step's regions.
#include "detection/models/region_inspect.h"
#include "tests/catch.h"
#include "tests/toy_detector.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// Four regions of two images: an object and a background that learn, one suppressed, one easy.
RegionStep four_regions() {
  RegionStep step;
  step.rois =
      Tensor({4, 5}, {0, 2, 2, 10, 10, 0, 3, 2, 11, 10, 1, 4, 4, 20, 20, 1, 10, 10, 30, 30});
  step.labels = {1, 2, 0, 0};
  step.losses = {2, 1, Scalar(0.5), Scalar(0.1)};
  step.suppressed = {1};
  step.chosen = {0, 2};
  return step;
}

bool shows(const Image& image, Color color) {
  for (int y = 0; y < image.height(); ++y)
    for (int x = 0; x < image.width(); ++x) {
      const std::uint8_t* p = image.pixel(x, y);
      if (Color{p[0], p[1], p[2]} == color) return true;
    }
  return false;
}

}  // namespace

TEST_CASE("region_fates names what became of each region", "[region_inspect]") {
  const std::vector<Color> fates = region_fates(four_regions());
  REQUIRE(fates.size() == 4);
  CHECK((fates[0] == kPositiveColor));
  CHECK((fates[1] == kIgnoredColor));
  CHECK((fates[2] == kNegativeColor));
  CHECK((fates[3] == kLeftOutColor));
}

TEST_CASE("region_loss_strip has a bar for each region, hardest first", "[region_inspect]") {
  const Image strip = region_loss_strip(four_regions());
  CHECK(strip.width() == 2 * 10 + 4 * 3);
  const auto at = [&](int x, int y) {
    const std::uint8_t* p = strip.pixel(x, y);
    return Color{p[0], p[1], p[2]};
  };
  CHECK((at(10, 10) == kPositiveColor));  // the highest reaches the top
  CHECK((at(13, 83) == Color{255, 255, 255}));
  CHECK((at(13, 86) == kIgnoredColor));  // half as high
  CHECK((at(19, 166) == kLeftOutColor));
  RegionStep unread = four_regions();
  unread.losses.clear();
  CHECK_THROWS_WITH(region_loss_strip(unread),
                    "region_loss_strip: the step has losses of 0 of its 4 regions; only OHEM's "
                    "read-only pass knows them");
}

TEST_CASE("region_sheet shows the left out beside the chosen", "[region_inspect]") {
  const ToyDataset data;
  const std::vector<Sample> two{data.get(0), data.get(1)};
  const Image sheet = region_sheet(four_regions(), two);
  CHECK(sheet.width() > 4 * 32);
  for (const Color color : {kPositiveColor, kNegativeColor, kIgnoredColor, kLeftOutColor})
    CHECK(shows(sheet, color));
  CHECK(region_sheet({}, two).width() == sheet.width());
}
