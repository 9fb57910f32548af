#include <algorithm>
#include <array>
#include <cmath>

#include "core/parallel.h"
#include "detection/boxes.h"
#include "detection/data/fashion_scenes.h"
#include "detection/data/scene_canvas.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

// Reading the archives takes half a second; all cases share them.
const FashionScenes& train_scenes() {
  static const FashionScenes scenes = FashionScenes::train(0);
  return scenes;
}
const FashionScenes& val_scenes() {
  static const FashionScenes scenes = FashionScenes::val();
  return scenes;
}

bool same(const Sample& a, const Sample& b) {
  return a.image == b.image && a.target.labels == b.target.labels &&
         a.target.boxes.to_vector() == b.target.boxes.to_vector();
}

}  // namespace

TEST_CASE("FashionScenes are what the task says", "[data][fashion_scenes]") {
  CHECK(val_scenes().size() == 500);
  CHECK(val_scenes().class_names().size() == 10);
  CHECK(val_scenes().class_names()[9] == "Ankle boot");
  std::array<int, 11> count{};
  int boxes_seen = 0, narrow = 0, wide = 0;
  double longest_sum = 0, brightness = 0;
  for (std::int64_t i = 0; i < val_scenes().size(); ++i) {
    const Sample sample = val_scenes().get(i);
    INFO(sample.name);
    REQUIRE(sample.image.width() == 128);
    REQUIRE(sample.image.height() == 128);
    const Tensor& boxes = sample.target.boxes;
    const std::int64_t n = boxes.size(0);
    REQUIRE(n >= 1);
    REQUIRE(n <= 5);
    REQUIRE(static_cast<std::int64_t>(sample.target.labels.size()) == n);
    REQUIRE(static_cast<std::int64_t>(sample.target.difficult.size()) == n);
    for (std::int64_t g = 0; g < n; ++g) {
      const Scalar x1 = boxes.at({g, 0}), y1 = boxes.at({g, 1}), x2 = boxes.at({g, 2}),
                   y2 = boxes.at({g, 3});
      REQUIRE((0 <= x1 && x1 < x2 && x2 <= 128 && 0 <= y1 && y1 < y2 && y2 <= 128));
      const Scalar longest = std::max(x2 - x1, y2 - y1);
      REQUIRE(longest <= 64);
      longest_sum += static_cast<double>(longest);
      narrow += x2 - x1 < (y2 - y1) / 2, wide += y2 - y1 < (x2 - x1) / 2;
      const std::int64_t label = sample.target.labels[static_cast<std::size_t>(g)];
      REQUIRE((label >= 1 && label <= 10));
      ++count[static_cast<std::size_t>(label)];
      ++boxes_seen;
    }
    const Tensor iou = box_iou(boxes, boxes);
    for (std::int64_t a = 0; a < n; ++a)
      for (std::int64_t b = 0; b < a; ++b) REQUIRE(iou.at({a, b}) <= Scalar(0.3001));
    // Grey: the three channels agree.
    const auto pixels = sample.image.data();
    for (std::size_t p = 0; p < pixels.size(); p += 3) {
      if (pixels[p] != pixels[p + 1] || pixels[p] != pixels[p + 2]) FAIL("not grey");
      brightness += pixels[p];
    }
  }
  CHECK(boxes_seen > 500 * 2.5);
  CHECK(boxes_seen < 500 * 3.0);
  CHECK(longest_sum / boxes_seen > 36);
  CHECK(longest_sum / boxes_seen < 43);
  CHECK(narrow > 50);
  CHECK(wide > 50);
  CHECK(brightness / (500. * 128 * 128 * 255) > 0.3);
  CHECK(brightness / (500. * 128 * 128 * 255) < 0.5);
  for (std::size_t c = 1; c <= 10; ++c) CHECK(count[c] > boxes_seen / 10 * 0.7);
}

TEST_CASE("the validation set is the one that figures are quoted on", "[data][fashion_scenes]") {
  // Whoever changes what is drawn, or one random number's place, has another task: AP is then no
  // longer comparable. The same with and without fused multiply-add; a mean leaves room for a pixel
  // that another compiler rounds the other way.
  double area = 0, brightness = 0;
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < 500; ++i) {
    const Sample sample = val_scenes().get(i);
    for (const Scalar a : box_area(sample.target.boxes).to_vector()) area += static_cast<double>(a);
    for (const std::uint8_t v : sample.image.data()) brightness += v;
    count += sample.target.boxes.size(0);
  }
  CHECK(count == 1479);
  CHECK(area == Approx(1801923).epsilon(1e-4));
  CHECK(brightness / (500. * 128 * 128 * 3) == Approx(100.661889).margin(1e-3));

  const Sample scene = val_scenes().get(17);
  CHECK(scene.target.labels == std::vector<std::int64_t>{10, 10, 9, 6});
  CHECK(scene.target.boxes.to_vector() == std::vector<Scalar>{53, 1, 76, 18, 14, 14, 65, 62,  //
                                                              52, 34, 113, 70, 1, 72, 53, 92});
  const Sample far = train_scenes().get(999'999);
  CHECK(far.target.labels == std::vector<std::int64_t>{1, 5});
  CHECK(far.target.boxes.to_vector() == std::vector<Scalar>{42, 68, 71, 101, 89, 22, 113, 73});
}

TEST_CASE("a scene is a pure function of split, seed and index", "[data][fashion_scenes]") {
  const Sample a = val_scenes().get(17), b = val_scenes().get(18);
  CHECK(same(a, val_scenes().get(17)));
  CHECK_FALSE(same(a, b));
  CHECK_FALSE(same(a, train_scenes().get(17)));
  CHECK_FALSE(same(train_scenes().get(0), FashionScenes::train(1).get(0)));
  CHECK(a.name == "val/17");
  CHECK(train_scenes().get(999'999).name == "train/999999");

  // On any thread.
  std::vector<Sample> parallel(16);
  parallel_for(16, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      parallel[static_cast<std::size_t>(i)] = val_scenes().get(i);
  });
  for (std::int64_t i = 15; i >= 0; --i)
    CHECK(same(parallel[static_cast<std::size_t>(i)], val_scenes().get(i)));
}

TEST_CASE("FashionScenes have presets", "[data][fashion_scenes]") {
  const FashionScenes eight(FashionScenes::Split::val, 1, 60,
                            FashionScenesOptions::preset("eight"));
  CHECK(eight.class_names().size() == 8);
  CHECK(std::find(eight.class_names().begin(), eight.class_names().end(), "Shirt") ==
        eight.class_names().end());
  for (std::int64_t i = 0; i < eight.size(); ++i)
    for (const std::int64_t label : eight.get(i).target.labels) REQUIRE((label >= 1 && label <= 8));

  const FashionScenes hard(FashionScenes::Split::val, 1, 3, FashionScenesOptions::preset("hard"));
  CHECK(hard.get(0).image.width() == 192);
  const FashionScenes colour(FashionScenes::Split::val, 1, 3,
                             FashionScenesOptions::preset("colour"));
  const Image image = colour.get(1).image;
  CHECK(image.pixel(0, 0)[0] != image.pixel(0, 0)[1]);
}

TEST_CASE("FashionScenes explains bad options", "[data][fashion_scenes][errors]") {
  const auto make = [](FashionScenesOptions options) {
    return FashionScenes(FashionScenes::Split::val, 1, 1, std::move(options));
  };
  CHECK_THROWS_WITH(FashionScenesOptions::preset("tiny"), Catch::Contains("got \"tiny\""));
  CHECK_THROWS_WITH(make({.max_side_px = 200}), Catch::Contains("range in 8..128, got 20..200"));
  CHECK_THROWS_WITH(make({.classes = {}}), Catch::Contains("at least one class"));
  CHECK_THROWS_WITH(make({.classes = {1, 1}}), Catch::Contains("twice"));
  CHECK_THROWS_WITH(make({.folder = "/nonexistent"}), Catch::Contains("dataset-fashion-mnist"));
  CHECK_THROWS_WITH(val_scenes().get(500), "FashionScenes: index must be in 0..499, got 500");
}

TEST_CASE("tight_box and resize_patch on drawn pictures", "[data][scene_canvas]") {
  // . . . .
  // . # . .      the tight box of '#' is columns 1..2, rows 1..2
  // . . # .
  Patch patch{4, 3, std::vector<float>(12)};
  patch.values[5] = patch.values[10] = 1;
  const PixelBox box = tight_box(patch, .5f);
  CHECK((box.x1 == 1 && box.y1 == 1 && box.x2 == 3 && box.y2 == 3));
  CHECK(tight_box(patch, 1.f).empty());
  CHECK(resize_patch(patch, box, 2, 2, false).values == std::vector<float>{1, 0, 0, 1});
  CHECK(resize_patch(patch, box, 2, 2, true).values == std::vector<float>{0, 1, 1, 0});
  // Twice as wide by the half-pixel rule: 1, .75, .25, 0.
  const Patch wide = resize_patch(patch, {1, 1, 3, 2}, 4, 1, false);
  CHECK(wide.values == std::vector<float>{1, .75f, .25f, 0});
}

TEST_CASE("a pasted item fills its box to every edge", "[data][scene_canvas]") {
  SceneCanvas canvas(32, false);
  Patch patch{4, 4, std::vector<float>(16, 1.f)};
  canvas.blend_patch(patch, 5, 7, .5f, .3f, {1, 1, 1});
  canvas.blend_box({30, 30, 40, 40}, {1, 1, 1}, .5f);
  const Image image = canvas.to_image();
  CHECK(image.pixel(5, 7)[0] == 204);
  CHECK(image.pixel(8, 10)[2] == 204);
  CHECK(image.pixel(4, 7)[0] == 0);
  CHECK(image.pixel(9, 10)[0] == 0);
  CHECK(image.pixel(31, 31)[1] == 128);
}

TEST_CASE("a texture has the mean and contrast it was asked for", "[data][scene_canvas]") {
  for (const auto pattern :
       {SceneCanvas::Pattern::plain, SceneCanvas::Pattern::stripes, SceneCanvas::Pattern::checks}) {
    Random random(3);
    SceneCanvas canvas(100, false);
    canvas.paint_texture(random, pattern, {.5f, .5f, .5f}, .1f);
    const Image image = canvas.to_image();
    double sum = 0, square = 0;
    for (const double v : image.data()) sum += v, square += v * v;
    const double n = 3e4, mean = sum / n;
    CHECK(mean == Approx(127.5).margin(1));
    CHECK(std::sqrt(square / n - mean * mean) == Approx(25.5).margin(1));
  }
}
