#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "detection/data/dataset.h"
#include "detection/training/augmentation_sheet.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// Grey pictures of 40 x 30 with one box at the left.
struct Grey : Dataset {
  std::vector<std::string> names = {"thing"};
  std::int64_t count = 2;
  std::int64_t size() const override { return count; }
  Sample get(std::int64_t i) const override {
    Sample sample;
    sample.image = Image(40, 30, 100, 100, 100);
    sample.target.boxes = Tensor({1, 4}, {4, 6, 14, 20});
    sample.target.labels = {1};
    sample.name = i == 0 ? "first" : "second";
    return sample;
  }
  const std::vector<std::string>& class_names() const override { return names; }
};

/// The columns of a picture of the sheet in which a box's outline is drawn, from left and right.
std::pair<int, int> outline(const Image& sheet, int left, int right, int top, int bottom) {
  std::pair<int, int> found{-1, -1};
  for (int x = left; x < right; ++x)
    for (int y = top; y < bottom; ++y) {
      const std::uint8_t* c = sheet.pixel(x, y);
      if (std::abs(c[0] - c[1]) < 30 && std::abs(c[1] - c[2]) < 30) continue;  // grey, white, black
      if (found.first < 0) found.first = x - left;
      found.second = x - left;
    }
  return found;
}

}  // namespace

TEST_CASE("augmentation_sheet: a row for each photo, boxes move with it", "[augmentation_sheet]") {
  const Grey photos;
  const auto flip = [](Sample s, Random&) { return flip_horizontal(s); };
  const Image sheet = augmentation_sheet(photos, flip, 0, 2, 1);
  // Two columns: pictures of 40 x 30, enlarged four times, 8 pixels around and between.
  REQUIRE(sheet.width() == 2 * 160 + 3 * 8);
  const auto before = outline(sheet, 8, 168, 8, 128), after = outline(sheet, 176, 336, 8, 128);
  CHECK(std::abs(before.first - 16) <= 2);
  CHECK(std::abs(before.second - 56) <= 2);
  CHECK(std::abs(after.first - (160 - 56)) <= 2);
  CHECK(std::abs(after.second - (160 - 16)) <= 2);
}

TEST_CASE("augmentation_sheet: a seed's sheet is always the same", "[augmentation_sheet]") {
  const Grey photos;
  const auto darken = [](Sample s, Random& random) {
    const auto grey = static_cast<std::uint8_t>(200 * random.uniform());
    s.image = Image(40, 30, grey, grey, grey);
    return s;
  };
  const auto bytes = [&](std::uint64_t seed) {
    const Image sheet = augmentation_sheet(photos, darken, seed);
    return std::vector<std::uint8_t>(sheet.data().begin(), sheet.data().end());
  };
  CHECK(bytes(1) == bytes(1));
  CHECK(bytes(1) != bytes(2));
}

TEST_CASE("augmentation_sheet explains what is missing", "[augmentation_sheet][errors]") {
  Grey photos;
  CHECK_THROWS_WITH(augmentation_sheet(photos, {}, 0),
                    "augmentation_sheet: there is no augmentation to show");
  photos.count = 0;
  CHECK_THROWS_WITH(augmentation_sheet(
                        photos, [](Sample s, Random&) { return s; }, 0),
                    "augmentation_sheet: the dataset has no image");
}
