// detection/data/ssd_augmentation.cpp: the whole chain, with the boxes beside the pixels.
#include <algorithm>
#include <set>

#include "detection/data/ssd_augmentation.h"
#include "detection/training/photo_fit.h"
#include "detection/training/photo_recipe.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// Two saturated rectangles on grey, far from each other and from the border; each is proposed too.
Sample two_objects() {
  Sample sample{.image = Image(200, 120, 110, 110, 110), .name = "two"};
  const int boxes[2][4] = {{20, 30, 70, 90}, {120, 20, 180, 60}};
  std::vector<Scalar> numbers;
  for (int k = 0; k < 2; ++k) {
    for (int y = boxes[k][1]; y < boxes[k][3]; ++y)
      for (int x = boxes[k][0]; x < boxes[k][2]; ++x) {
        std::uint8_t* pixel = sample.image.pixel(x, y);
        pixel[0] = k == 0 ? 220 : 30, pixel[1] = 30, pixel[2] = k == 0 ? 30 : 220;
      }
    for (const int v : boxes[k]) numbers.push_back(static_cast<Scalar>(v));
  }
  sample.target = {.boxes = Tensor({2, 4}, numbers), .labels = {1, 2}, .difficult = {false, true}};
  sample.proposals = sample.target.boxes.clone();
  return sample;
}

/// Grey, and the canvas' mean, have channels that are nearly alike; objects stay coloured however
/// their colours are changed.
bool coloured(const Image& image, int x, int y) {
  const std::uint8_t* p = image.pixel(x, y);
  return std::max({p[0], p[1], p[2]}) - std::min({p[0], p[1], p[2]}) > 28;
}

Sample augmented(const Transform& transform, std::uint64_t seed, Sample sample = two_objects()) {
  Random random(seed);
  return transform(std::move(sample), random);
}

}  // namespace

TEST_CASE("ssd_augmentation: boxes lie where the objects are", "[ssd_augmentation]") {
  const Transform transform = ssd_augmentation();
  int smaller = 0, larger = 0, lost = 0, edges = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    INFO("seed " << seed);
    const Sample out = augmented(transform, seed);
    REQUIRE(out.image.width() == 300);
    REQUIRE(out.image.height() == 300);
    REQUIRE(out.target.labels.size() >= 1);
    REQUIRE(out.target.boxes.size(0) == std::int64_t(out.target.labels.size()));
    lost += out.target.labels.size() == 1;
    for (std::int64_t k = 0; k < out.target.boxes.size(0); ++k) {
      const auto at = [&](std::int64_t i) { return double(out.target.boxes.at({k, i})); };
      const double x1 = at(0), y1 = at(1), x2 = at(2), y2 = at(3);
      constexpr double kRounding = 1e-4;  // of 300 times what 1 / 300 was rounded to
      CHECK(x1 >= -kRounding);
      CHECK(y1 >= -kRounding);
      CHECK(x2 <= 300 + kRounding);
      CHECK(y2 <= 300 + kRounding);
      REQUIRE(x2 - x1 > 0);
      REQUIRE(y2 - y1 > 0);
      CHECK(out.target.difficult[std::size_t(k)] == (out.target.labels[std::size_t(k)] == 2));
      smaller += (x2 - x1) < 50 * 300. / 200 * .7;
      larger += (x2 - x1) > 60 * 300. / 200 * 1.3;
      // Three pixels inside of each side there is colour, and three pixels outside there is none.
      if (x2 - x1 < 12 || y2 - y1 < 12) continue;
      const int mx = int((x1 + x2) / 2), my = int((y1 + y2) / 2);
      CHECK(coloured(out.image, int(x1 + 3), my));
      CHECK(coloured(out.image, int(x2 - 3), my));
      CHECK(coloured(out.image, mx, int(y1 + 3)));
      CHECK(coloured(out.image, mx, int(y2 - 3)));
      const int reach = 5;  // a stretched patch smears borders over some pixels
      const auto outside = [&](bool there, int x, int y) {
        if (!there) return;
        CHECK_FALSE(coloured(out.image, x, y));
        ++edges;
      };
      outside(x1 > reach, int(x1) - reach, my);
      outside(x2 < 299 - reach, int(x2) + reach, my);
      outside(y1 > reach, mx, int(y1) - reach);
      outside(y2 < 299 - reach, mx, int(y2) + reach);
    }
    CHECK(out.image == augmented(transform, seed).image);  // of the seed alone
  }
  // It happens: objects shrink, grow, are cut away, and most borders could be looked at.
  CHECK(smaller > 30);
  CHECK(larger > 30);
  CHECK(lost > 30);
  CHECK(edges > 500);
}

TEST_CASE("ssd_augmentation: stretching and mirroring, exactly", "[ssd_augmentation]") {
  SsdAugmentationOptions still;
  still.colors.chance = 0;
  still.zoom_out.chance = 0;
  still.zoom_in.min_scale = 1;  // a patch is the whole
  const Transform transform = ssd_augmentation(still);
  std::set<std::vector<Scalar>> seen;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Sample out = augmented(transform, seed);
    CHECK(out.scale_x == 1.5);
    CHECK(out.scale_y == 2.5);
    CHECK(out.proposals.to_vector() == out.target.boxes.to_vector());
    seen.insert(out.target.boxes.to_vector());
  }
  CHECK(seen == std::set<std::vector<Scalar>>{{30, 75, 105, 225, 180, 50, 270, 150},
                                              {195, 75, 270, 225, 30, 50, 120, 150}});
  still.width = still.height = 0;  // as it was
  still.flip_chance = 1;
  still.vertical_flips = true;
  const Sample turned = augmented(ssd_augmentation(still), 1);
  CHECK(turned.image.width() == 200);
  CHECK(turned.image.height() == 120);
  CHECK(turned.target.boxes.to_vector() == std::vector<Scalar>{130, 30, 180, 90, 20, 60, 80, 100});
}

TEST_CASE("ssd_augmentation: colours change before the canvas comes", "[ssd_augmentation]") {
  SsdAugmentationOptions options;
  options.colors.chance = 1;
  options.zoom_out.chance = 1;
  options.zoom_in.min_scale = 1;
  const Color mean = options.zoom_out.fill;
  int canvas = 0, changed = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Image image = augmented(ssd_augmentation(options), seed).image;
    int corners = 0;
    bool grey = false;
    for (const int x : {0, 299})
      for (const int y : {0, 299})
        corners += std::equal(image.pixel(x, y), image.pixel(x, y) + 3,
                              std::array{mean.red, mean.green, mean.blue}.begin());
    for (int i = 0; i < 300; ++i) grey = grey || image.pixel(i, 150)[0] == 110;
    canvas += corners > 0;
    changed += !grey;
  }
  CHECK(canvas > 40);
  CHECK(changed > 40);
}

TEST_CASE("ssd_augmentation: two ways of shrinking", "[ssd_augmentation]") {
  // Single pixels of white and black: of three by three, an area's mean is 4/9 or 5/9, the middle
  // pixel is one or the other.
  Sample sample{.image = Image(900, 900), .name = "board"};
  for (int y = 0; y < 900; ++y)
    for (int x = 0; x < 900; ++x)
      if ((x + y) % 2 == 0) std::fill_n(sample.image.pixel(x, y), 3, std::uint8_t{255});
  SsdAugmentationOptions still;
  still.colors.chance = 0;
  still.zoom_out.chance = 0;
  const Transform transform = ssd_augmentation(still);
  int area = 0, bilinear = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const int v = augmented(transform, seed, sample).image.pixel(150, 150)[0];
    area += v == 113 || v == 142;
    bilinear += v == 0 || v == 255;
  }
  CHECK(area + bilinear == 40);
  CHECK(area > 8);
  CHECK(bilinear > 8);
}

TEST_CASE("ssd_augmentation explains what does not fit", "[ssd_augmentation][errors]") {
  CHECK_THROWS_WITH(ssd_augmentation({.width = 300, .height = 0}),
                    "ssd_augmentation: width and height must be > 0, or both 0, got 300 and 0");
  CHECK_THROWS_WITH(ssd_augmentation({.flip_chance = 2}),
                    "ssd_augmentation: flip_chance must be in 0..1, got 2");
  CHECK_THROWS_WITH(augmented(ssd_augmentation(), 1, Sample{.name = "none"}),
                    Catch::Contains("none"));
}

TEST_CASE("a recipe takes SSD's augmentation when asked", "[ssd_augmentation]") {
  PhotoRecipe recipe = PhotoRecipe::of("ssd-small");
  REQUIRE(recipe.set_augmentation(Augmentation::ssd));
  const Transform whole = ssd_augmentation({.width = 0, .height = 0});
  const Transform little = PhotoRecipe::of("ssd-small").augmentation();
  const Sample out = augmented(recipe.augmentation(), 4);
  CHECK(out.image == augmented(whole, 4).image);
  CHECK_FALSE(out.image == augmented(little, 4).image);
  CHECK(out.image.width() == 200);
  CHECK(PhotoRecipe::of("ssd-mobilenet").set_augmentation(Augmentation::ssd));
  CHECK(PhotoRecipe::of("retinanet").set_augmentation(Augmentation::ssd));
  CHECK_FALSE(PhotoRecipe::of("faster-rcnn").set_augmentation(Augmentation::ssd));
  for (const std::string& name : augmentation_names())
    CHECK(augmentation_name(augmentation_named(name)) == name);
  CHECK_THROWS_WITH(augmentation_named("wild"),
                    "\"augmentation\" must be photos or ssd, got \"wild\"");
}
