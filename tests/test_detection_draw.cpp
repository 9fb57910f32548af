#include "core/draw.h"
#include "detection/draw.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

Color color_of(const Image& image, int x, int y) {
  const std::uint8_t* p = image.pixel(x, y);
  return {p[0], p[1], p[2]};
}

/// Pixels of a colour.
int count_color(const Image& image, Color color) {
  int count = 0;
  for (int y = 0; y < image.height(); ++y)
    for (int x = 0; x < image.width(); ++x) count += color_of(image, x, y) == color;
  return count;
}

const std::vector<std::string> kNames{"shirt", "shoe"};
const DrawOptions kPlain{.text_scale = 0};

}  // namespace

TEST_CASE("draw_detections outlines what is above min_score, in the class's colour",
          "[detection_draw]") {
  Image image(100, 80);
  const Detections detections{Tensor({2, 4}, {10, 10, 40, 40, 50, 20, 90, 60}), {1, 2}, {.9, .2}};
  draw_detections(image, detections, kNames, kPlain);
  CHECK(color_of(image, 10, 25) == class_color(1));
  CHECK(color_of(image, 25, 40) == class_color(1));
  CHECK(color_of(image, 25, 25) == kBlack);
  CHECK(count_color(image, class_color(2)) == 0);
  draw_detections(image, detections, kNames, {.min_score = 0, .text_scale = 0});
  CHECK(count_color(image, class_color(2)) > 0);
}

TEST_CASE("draw_detections: the picture may be finer than the boxes", "[detection_draw]") {
  Image image(200, 160);
  draw_detections(image, {Tensor({1, 4}, {10, 10, 40, 40}), {1}, {.9}}, kNames,
                  {.scale = 2, .text_scale = 0});
  CHECK(color_of(image, 20, 50) == class_color(1));
  CHECK(color_of(image, 80, 50) == class_color(1));
  CHECK(color_of(image, 10, 25) == kBlack);
}

TEST_CASE("draw_detections writes labels, even for a class without a name", "[detection_draw]") {
  Image with(100, 80), without(100, 80);
  const Detections found{Tensor({1, 4}, {30, 40, 60, 70}), {7}, {.9}};
  draw_detections(with, found, kNames);
  draw_detections(without, found, kNames, kPlain);
  CHECK(count_color(with, class_color(7)) > count_color(without, class_color(7)));
}

TEST_CASE("draw_truths is dashed", "[detection_draw]") {
  Image dashed(100, 80), solid(100, 80);
  const Tensor box({1, 4}, {10, 10, 90, 70});
  draw_truths(dashed, {box, {1}, {true}}, kNames, kPlain);
  draw_detections(solid, {box, {1}, {1}}, kNames, kPlain);
  const int dashes = count_color(dashed, class_color(1));
  CHECK(dashes > 0);
  CHECK(dashes < count_color(solid, class_color(1)));
}

TEST_CASE("draw_boxes scales and draws all in one colour", "[detection_draw]") {
  Image image(100, 30);
  draw_boxes(image, Tensor({2, 4}, {1, 2, 10, 12, 20, 2, 40, 12}), kIgnoredColor, {.scale = 2});
  CHECK(color_of(image, 2, 15) == kIgnoredColor);
  CHECK(color_of(image, 40, 15) == kIgnoredColor);
  CHECK(color_of(image, 30, 15) == kBlack);
  CHECK_THROWS_WITH(draw_boxes(image, Tensor({4}), kIgnoredColor),
                    "draw_boxes: boxes must have shape [N, 4] as [x1, y1, x2, y2], got [4]");
}

TEST_CASE("draw_anchors shows the chosen and the ignored, not the crowd", "[detection_draw]") {
  Image image(100, 30);
  const Tensor anchors({4, 4}, {2, 5, 20, 25, 27, 5, 45, 25, 52, 5, 70, 25, 77, 5, 95, 25});
  Matches matches;
  matches.truth = {0, kUnmatched, kIgnored, kUnmatched};
  draw_anchors(image, anchors, matches, {{0}, {1}}, kPlain);
  CHECK(color_of(image, 2, 15) == kPositiveColor);
  CHECK(color_of(image, 27, 15).red > 100);   // negative, translucent
  CHECK(color_of(image, 52, 15).green > 80);  // ignored, translucent
  CHECK(color_of(image, 77, 15) == kBlack);
}

TEST_CASE("draw_outcomes and worst_images show what went wrong", "[detection_draw]") {
  // Image 0: a hit, a false alarm and a truth found only with a score of .1. Image 1: all is well.
  const std::vector<Target> targets{{Tensor({2, 4}, {5, 5, 25, 25, 35, 5, 55, 25}), {1, 1}, {}},
                                    {Tensor({1, 4}, {5, 5, 25, 25}), {1}, {}}};
  const std::vector<Detections> detections{
      {Tensor({3, 4}, {5, 5, 25, 25, 65, 5, 85, 25, 35, 5, 55, 25}), {1, 1, 1}, {.9, .8, .1}},
      {Tensor({1, 4}, {5, 5, 25, 25}), {1}, {.9}}};
  const EvaluationResult result = evaluate_detections(detections, targets, 1);

  Image image(100, 30);
  draw_outcomes(image, detections[0], targets[0], result.classes[0], 0, kNames, kPlain);
  CHECK(color_of(image, 5, 15) == kPositiveColor);
  CHECK(color_of(image, 65, 15) == kNegativeColor);
  CHECK(count_color(image, kTruthColor) > 0);
  CHECK(color_of(image, 45, 15) == kBlack);

  const auto worst = worst_images(result.classes);
  REQUIRE(worst.size() == 1);
  CHECK(worst[0].image == 0);
  CHECK(worst[0].error == Approx(1.8));
  // Everything shown, nothing is missed: the false alarm is what remains.
  CHECK(worst_images(result.classes, 0)[0].error == Approx(.8));
}

TEST_CASE("detection drawings explain what is wrong", "[detection_draw][errors]") {
  Image image(10, 10);
  CHECK_THROWS_WITH(draw_detections(image, {Tensor({1, 4}), {1}, {}}, kNames),
                    "draw_detections: detections must have as many labels and scores as boxes, 1, "
                    "got 1 and 0");
  CHECK_THROWS_WITH(draw_truths(image, {Tensor({1, 4}), {}, {}}, kNames),
                    "draw_truths: target must have as many labels as boxes, 1, got 0");
  Matches matches;
  matches.truth = {-1};
  CHECK_THROWS_WITH(draw_anchors(image, Tensor({2, 4}), matches, {}),
                    "draw_anchors: matches must have one entry per anchor, 2, got 1");
  CHECK_THROWS_WITH(draw_anchors(image, Tensor({1, 4}), matches, {{3}, {}}),
                    "draw_anchors: selection has anchor 3, but there are only 1");
}
