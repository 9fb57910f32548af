// detection/regions.h: labels, targets, OHEM's choice.
#include <cmath>
#include <limits>

#include "core/ops.h"
#include "detection/matcher.h"
#include "detection/regions.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

Target two_truths() {
  return {.boxes = Tensor({2, 4}, {0, 0, 10, 10, 20, 20, 40, 40}),
          .labels = {3, 1},
          .difficult = {false, false}};
}

}  // namespace

TEST_CASE("label_regions names positives, background and what is neither", "[regions]") {
  const Tensor proposals({5, 4}, {0,  0,  10, 5,     // half of the first truth: IoU 0.5, positive
                                  0,  0,  10, 4,     // IoU 0.4: background
                                  0,  0,  10, 0.5,   // IoU 0.05: overlaps too little to teach
                                  50, 50, 60, 60,    // IoU 0
                                  22, 20, 40, 40});  // IoU 0.9 with the second
  const Regions regions = label_regions(proposals, two_truths());
  CHECK(regions.labels == std::vector<std::int64_t>{3, 0, -1, -1, 1, 3, 1});  // and the truths
  CHECK(regions.truth == std::vector<std::int64_t>{0, kUnmatched, kIgnored, kIgnored, 1, 0, 1});
  CHECK(regions.iou[4] == Approx(0.9));
  CHECK(regions.boxes.size(0) == 7);

  // OHEM: no lower bound. Without the truths.
  const Regions all =
      label_regions(proposals, two_truths(), {.negative_low = 0, .add_truths = false});
  CHECK(all.labels == std::vector<std::int64_t>{3, 0, 0, 0, 1});
}

TEST_CASE("label_regions leaves out lines, and what overlaps a difficult truth most", "[regions]") {
  Target target = two_truths();
  target.difficult = {true, false};
  const Tensor proposals({3, 4}, {0, 0, 10, 9, 5, 5, 5, 8, 20, 20, 40, 40});
  const Regions regions = label_regions(proposals, target, {.add_truths = false});
  CHECK(regions.labels == std::vector<std::int64_t>{-1, 1});
}

TEST_CASE("label_regions without truths makes everything background when asked to", "[regions]") {
  const Tensor proposals({1, 4}, {0, 0, 10, 10});
  CHECK(label_regions(proposals, {}).labels == std::vector<std::int64_t>{-1});
  CHECK(label_regions(proposals, {}, {.negative_low = 0}).labels == std::vector<std::int64_t>{0});
  CHECK(label_regions(Tensor({0, 4}), {}).labels.empty());
}

TEST_CASE("sample_regions draws from all images together", "[regions]") {
  // Which image and which of its regions a box is stands in its corner.
  const auto image_with = [](int number, std::vector<std::int64_t> labels) {
    LabelledRegions image{.boxes = Tensor({std::ssize(labels), 4}), .labels = labels};
    for (std::int64_t r = 0; r < std::ssize(labels); ++r)
      image.boxes.set({r, 0}, Scalar(100 * number + r));
    return image;
  };
  std::vector<std::int64_t> many(30, 2);  // objects, then background
  many.insert(many.end(), 10, 0);
  const std::vector<LabelledRegions> images{
      image_with(0, {0, 0, 0}), image_with(1, {}), image_with(2, many),
      image_with(3, {0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})};
  Random random(3);
  std::vector<int> drawn(4, 0);
  for (int repeat = 0; repeat < 50; ++repeat) {
    const auto chosen = sample_regions(images, {.size = 32, .positive_fraction = 0.25}, random);
    REQUIRE(chosen.size() == 4);
    int objects = 0, background = 0;
    for (std::size_t n = 0; n < 4; ++n) {
      REQUIRE(chosen[n].boxes.shape() == Shape{std::ssize(chosen[n].labels), 4});
      Scalar last = -1;
      for (std::int64_t i = 0; i < chosen[n].boxes.size(0); ++i) {
        const Scalar mark = chosen[n].boxes.at({i, 0});
        CHECK(mark > last);
        last = mark;
        const auto r = static_cast<std::size_t>(mark) - 100 * n;
        REQUIRE(r < images[n].labels.size());
        CHECK(chosen[n].labels[static_cast<std::size_t>(i)] == images[n].labels[r]);
        const bool object = images[n].labels[r] > 0;
        ++(object ? objects : background);
        drawn[n] += object;
      }
    }
    CHECK(objects == 8);  // a quarter of 32, nearly all from one image
    CHECK(background == 24);
  }
  CHECK(drawn[2] > 340);  // of 400; 30 in 31 are there
  CHECK(drawn[3] > 0);
  CHECK(sample_regions(std::vector<LabelledRegions>{}, {}, random).empty());
}

TEST_CASE("labelled_regions are those that are not ignored", "[regions]") {
  const Tensor proposals({3, 4}, {0, 0, 10, 5, 50, 50, 60, 60, 0, 0, 10, 4});
  const LabelledRegions regions = labelled_regions(proposals, two_truths());
  CHECK(regions.labels == std::vector<std::int64_t>{3, 0, 3, 1});
  CHECK(regions.boxes.to_vector() == std::vector<Scalar>{0, 0, 10, 5, 0, 0, 10, 4,  //
                                                         0, 0, 10, 10, 20, 20, 40, 40});
  Random random(1);
  const auto sampled =
      sample_regions({proposals, Tensor({0, 4})}, {two_truths(), Target{}}, {}, {}, random);
  REQUIRE(sampled.size() == 2);
  CHECK(sampled[0].labels == regions.labels);
  CHECK(sampled[1].labels.empty());
}

TEST_CASE("regions explain what does not fit", "[regions][errors]") {
  const Tensor proposals({1, 4}, {0, 0, 10, 10});
  CHECK_THROWS_AS(label_regions(Tensor({1, 5}), two_truths()), std::invalid_argument);
  CHECK_THROWS_WITH(label_regions(proposals, two_truths(), {.negative_high = Scalar(0.7)}),
                    "label_regions: expected 0 <= negative_low <= negative_high <= positive, got "
                    "0.1, 0.7 and 0.5");
  const Regions regions = label_regions(proposals, two_truths());
  CHECK_THROWS_AS(region_targets(regions, {3}), std::out_of_range);
  CHECK_THROWS_WITH(target_statistics({regions}, 2), "target_statistics: label 3 of 2 classes");
  Random random(1);
  CHECK_THROWS_WITH(sample_regions({proposals}, {Target{}, Target{}}, {}, {}, random),
                    "sample_regions: expected proposals for 2 images, got 1");
  CHECK_THROWS_WITH(sample_regions({proposals}, {Target{}}, {}, {.size = 0}, random),
                    "sample_balanced: size must be >= 1, got 0");
}

TEST_CASE("region_targets encodes positives with unit weights and leaves 0 elsewhere",
          "[regions]") {
  Target target{.boxes = Tensor({1, 4}, {14, 18, 62, 90}), .labels = {1}, .difficult = {false}};
  const Tensor proposals({2, 4}, {10, 20, 50, 80, 100, 100, 120, 120});
  const Regions regions = label_regions(proposals, target, {.negative_low = 0});
  const Tensor targets = region_targets(regions, {1, 0});
  CHECK(targets.shape() == Shape{2, 4});
  for (const std::int64_t k : {0, 1, 2, 3}) CHECK(targets.at({0, k}) == 0);
  CHECK(targets.at({1, 0}) == Approx(0.2));
  CHECK(targets.at({1, 1}) == Approx(0.066667).epsilon(1e-4));
  CHECK(targets.at({1, 2}) == Approx(0.182322).epsilon(1e-4));
  CHECK(targets.at({1, 3}) == Approx(0.182322).epsilon(1e-4));
}

TEST_CASE("target_statistics: population deviations of each class's positives", "[regions]") {
  // By hand: targets (.1 0 .2 -.1), (-.1 .2 0 .1), (.3 .1 .1 0) of regions (0, 0, 10, 10).
  const Tensor offsets({3, 4}, {0.1, 0, 0.2, -0.1, -0.1, 0.2, 0, 0.1, 0.3, 0.1, 0.1, 0});
  const Tensor region({3, 4}, {0, 0, 10, 10, 0, 0, 10, 10, 0, 0, 10, 10});
  const Tensor truths = decode_boxes(offsets, region, kUnitBoxWeights);
  std::vector<Regions> images;
  for (std::int64_t i = 0; i < 3; ++i) {
    const Target target{.boxes = slice(truths, 0, i, i + 1), .labels = {2}, .difficult = {false}};
    images.push_back(label_regions(
        slice(region, 0, 0, 1), target,
        {.positive = Scalar(0.4), .negative_high = Scalar(0.4), .add_truths = false}));
  }
  const auto [mean, std] = target_statistics(images, 3);
  CHECK(mean.at({2, 0}) == Approx(0.1).epsilon(1e-4));
  CHECK(mean.at({2, 3}) == Approx(0).margin(1e-6));
  CHECK(std.at({2, 0}) == Approx(0.163299).epsilon(1e-4));
  CHECK(std.at({2, 1}) == Approx(0.081650).epsilon(1e-4));
  // Classes that nothing is known of: what later code uses for all of them.
  CHECK(std.at({1, 0}) == Approx(0.1));
  CHECK(std.at({3, 2}) == Approx(0.2));
  CHECK(mean.at({1, 0}) == 0);
  CHECK(std.at({0, 0}) == 1);
  // One example has no deviation.
  CHECK(target_statistics({images[0]}, 3).std.at({2, 0}) == Approx(0.1));
}

TEST_CASE("ohem_select equals the authors' code", "[regions][ohem]") {
  // a b c d e f: classes 1 1 0 0 0 2. b overlaps a by .8; d is where a is, of another class.
  const Tensor boxes({6, 4}, {0, 0, 9, 9, 1,  0,  10, 9,  20, 20, 29, 29,
                              0, 0, 9, 9, 40, 40, 49, 49, 60, 60, 69, 69});
  const std::vector<std::int64_t> images(6, 0), labels{1, 1, 0, 0, 0, 2};
  const std::vector<Scalar> losses{2.0, 1.9, 0.5, 1.5, 0.1, 0.9};
  const auto select = [&](const OhemOptions& options) {
    return ohem_select(boxes, images, labels, losses, options);
  };
  CHECK(select({.size = 3}) == std::vector<std::int64_t>{0, 3, 5});
  CHECK(select({.size = 3, .suppress = false}) == std::vector<std::int64_t>{0, 1, 3});
  CHECK(select({.size = 10}).size() == 5);
  std::vector<std::int64_t> suppressed{9};
  ohem_select(boxes, images, labels, losses, {.size = 3}, &suppressed);
  CHECK(suppressed == std::vector<std::int64_t>{1});
  ohem_select(boxes, images, labels, losses, {.size = 3, .suppress = false}, &suppressed);
  CHECK(suppressed.empty());
  // The lecture notes' order: three are taken, then b falls.
  CHECK(select({.size = 3, .suppress_first = false}) == std::vector<std::int64_t>{0, 3});
  // The same boxes in different images do not meet.
  CHECK(ohem_select(boxes, {0, 1, 0, 0, 0, 0}, labels, losses, {.size = 10}).size() == 6);
}

TEST_CASE("ohem_select sees a NaN first and takes the lower of equals", "[regions][ohem]") {
  const Tensor boxes({3, 4}, {0, 0, 1, 1, 5, 5, 6, 6, 8, 8, 9, 9});
  const Scalar nan = std::numeric_limits<Scalar>::quiet_NaN();
  CHECK(ohem_select(boxes, {0, 0, 0}, {0, 0, 0}, {1, nan, 1}, {.size = 2}) ==
        std::vector<std::int64_t>{1, 0});
  CHECK(ohem_select(Tensor({0, 4}), {}, {}, {}).empty());
  CHECK_THROWS_WITH(ohem_select(boxes, {0}, {0, 0, 0}, {1, 1, 1}),
                    "ohem_select: expected 3 images, labels and losses, got 1, 3 and 3");
}
