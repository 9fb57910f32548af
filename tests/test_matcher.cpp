#include <algorithm>

#include "core/random.h"
#include "detection/boxes.h"
#include "detection/matcher.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;
using Indices = std::vector<std::int64_t>;

// Golden values: tests/golden/detection.py (torchvision's Matcher, SSDMatcher).

TEST_CASE("Matcher matches torchvision", "[matcher]") {
  const Tensor iou({2, 6}, {.9, .45, .35, 0, .62, .6, .1, .55, .5, .2, .3, .65});
  const auto match = [&](double positive, double negative, bool low) {
    return Matcher({Scalar(positive), Scalar(negative), low})(iou).truth;
  };
  CHECK(match(.7, .3, false) == Indices{0, -2, -2, -1, -2, -2});
  CHECK(match(.7, .3, true) == Indices{0, -2, -2, -1, -2, 1});
  CHECK(match(.6, .4, false) == Indices{0, -2, -2, -1, 0, 1});
  CHECK(match(.6, .4, true) == Indices{0, -2, -2, -1, 0, 1});
  CHECK(match(.5, .4, true) == Indices{0, 1, 1, -1, 0, 1});
  CHECK(match(.5, .5, false) == Indices{0, 1, 1, -1, 0, 1});
  CHECK(Matcher()(iou).iou == std::vector<Scalar>{.9, .55, .5, .2, .62, .65});
}

TEST_CASE("Matcher gives every tied anchor to the truth, the SSD matcher the first", "[matcher]") {
  const Tensor iou({2, 4}, {.2, .25, .25, .1, .8, 0, 0, 0});
  CHECK(Matcher()(iou).truth == Indices{1, 0, 0, -1});
  CHECK(ssd_match(iou).truth == Indices{1, 0, -1, -1});
}

TEST_CASE("a truth that overlaps no anchor matches none", "[matcher]") {
  // Four well-known implementations return [1, 1, 1] here: every anchor has the largest IoU, 0.
  const Tensor iou({2, 3}, {0, 0, 0, .6, .2, .1});
  const Matches matches = Matcher()(iou);
  CHECK(matches.truth == Indices{1, -1, -1});
  CHECK(matches.unmatched_truths == 1);
  CHECK(ssd_match(iou).truth == Indices{1, -1, -1});
  CHECK(ssd_match(iou).unmatched_truths == 1);
}

TEST_CASE("Matcher on anchors that can be drawn", "[matcher]") {
  Tensor anchors({18, 4});
  const std::vector<std::vector<Scalar>> cell{{-11, -6, 11, 6}, {-8, -8, 8, 8}, {-6, -11, 6, 11}};
  for (std::int64_t i = 0; i < 18; ++i)
    for (std::int64_t c = 0; c < 4; ++c)
      anchors.set({i, c}, cell[static_cast<std::size_t>(i % 3)][static_cast<std::size_t>(c)] +
                              static_cast<Scalar>(16 * (c % 2 == 0 ? i / 3 % 3 : i / 9)));
  const Tensor iou = box_iou(Tensor({2, 4}, {1, 2, 17, 18, 20, 10, 44, 22}), anchors);
  const Indices low = Matcher({.7, .3, true})(iou).truth;
  Indices expected(18, -1);
  expected[12] = 0, expected[15] = 1, expected[16] = -2, expected[17] = -2;
  CHECK(low == expected);
  expected[17] = -1;
  CHECK(Matcher({.6, .4, true})(iou).truth == expected);
  expected[12] = -1;
  CHECK(Matcher({.6, .4, false})(iou).truth == expected);
}

TEST_CASE("ssd_match is globally greedy: no truth loses its anchor to a later one", "[matcher]") {
  // Ports give [1, -1]: truth 1 overwrites truth 0.
  const Tensor iou({2, 2}, {.8, .1, .9, .3});
  const Matches matches = ssd_match(iou);
  CHECK(matches.truth == Indices{1, 0});
  CHECK(matches.unmatched_truths == 0);
  // Lesson 14's. Ports give [1, -1, -1]: of what is left to truth 0 nothing reaches the threshold.
  CHECK(ssd_match(Tensor({2, 3}, {.6, .45, .1, .7, .2, .1})).truth == Indices{1, 0, -1});
}

TEST_CASE("ssd_match of six default boxes", "[matcher]") {
  const Tensor anchors({6, 4}, {0,  0,  .5, .5, .5, 0, 1, .5, 0,   .5,  .5,  1,
                                .5, .5, 1,  1,  0,  0, 1, 1,  .35, .35, .65, .65});
  const Tensor truths({2, 4}, {0, 0, .45, .5, .35, .35, .65, .7});
  const Tensor iou = box_iou(truths, anchors);
  const double expected[2][6] = {{.9, 0, 0, 0, .225, .05},
                                 {.0677, .0677, .0923, .0923, .105, .8571}};
  for (std::int64_t g = 0; g < 2; ++g)
    for (std::int64_t a = 0; a < 6; ++a)
      CHECK(iou.at({g, a}) == Approx(expected[g][a]).epsilon(1e-3).margin(1e-6));
  const Matches matches = ssd_match(iou);
  CHECK(matches.truth == Indices{0, -1, -1, -1, -1, 1});
  CHECK(anchor_labels(matches, {1, 2}) == Indices{1, 0, 0, 0, 0, 2});

  const Tensor boxes = matched_boxes(matches, truths, {0, 5});
  const Tensor own({2, 4}, {0, 0, .5, .5, .35, .35, .65, .65});
  const Tensor offsets = encode_boxes(boxes, own);
  const double target[8] = {-.5, 0, -.52680, 0, 0, .83333, 0, .77075};
  for (std::int64_t i = 0; i < 8; ++i)
    CHECK(offsets.at({i / 4, i % 4}) == Approx(target[i]).epsilon(1e-4).margin(1e-5));
}

TEST_CASE("ssd_match equals its definition on random overlaps", "[matcher]") {
  Random random(7);
  for (int round = 0; round < 200; ++round) {
    const std::int64_t num_truths = random.below(6), num_anchors = random.below(12);
    Tensor iou({num_truths, num_anchors});
    // Few distinct values, so that ties are frequent.
    for (auto& v : iou.data()) v = static_cast<Scalar>(random.below(11)) / 10;

    // The loop of the original: over all free anchors and free truths, strictly larger wins.
    Indices truth(static_cast<std::size_t>(num_anchors), -1);
    std::vector<bool> used(static_cast<std::size_t>(num_truths), false);
    while (true) {
      Scalar best = Scalar(1e-6);
      std::int64_t best_a = -1, best_g = -1;
      for (std::int64_t a = 0; a < num_anchors; ++a)
        for (std::int64_t g = 0; g < num_truths; ++g)
          if (truth[static_cast<std::size_t>(a)] == -1 && !used[static_cast<std::size_t>(g)] &&
              iou.at({g, a}) > best)
            best = iou.at({g, a}), best_a = a, best_g = g;
      if (best_a < 0) break;
      truth[static_cast<std::size_t>(best_a)] = best_g;
      used[static_cast<std::size_t>(best_g)] = true;
    }
    for (std::int64_t a = 0; a < num_anchors; ++a)
      if (truth[static_cast<std::size_t>(a)] == -1) {
        Scalar best = 0;
        for (std::int64_t g = 0; g < num_truths; ++g)
          if (iou.at({g, a}) >= Scalar(.5) && iou.at({g, a}) > best)
            best = iou.at({g, a}), truth[static_cast<std::size_t>(a)] = g;
      }
    REQUIRE(ssd_match(iou).truth == truth);
  }
}

TEST_CASE("matchers do not depend on the order of anchors", "[matcher]") {
  Random random(8);
  for (int round = 0; round < 50; ++round) {
    Tensor iou = Tensor::rand({4, 15}, random), shuffled({4, 15});
    const Indices order = random.permutation(15);
    for (std::int64_t g = 0; g < 4; ++g)
      for (std::int64_t a = 0; a < 15; ++a)
        shuffled.set({g, a}, iou.at({g, order[static_cast<std::size_t>(a)]}));
    const auto check = [&](const Matches& plain, const Matches& moved) {
      for (std::size_t a = 0; a < 15; ++a)
        REQUIRE(moved.truth[a] == plain.truth[static_cast<std::size_t>(order[a])]);
    };
    check(Matcher()(iou), Matcher()(shuffled));
    check(ssd_match(iou), ssd_match(shuffled));
  }
}

TEST_CASE("without truths everything is background", "[matcher]") {
  const Tensor none({0, 3});
  CHECK(Matcher()(none).truth == Indices{-1, -1, -1});
  CHECK(ssd_match(none).truth == Indices{-1, -1, -1});
  CHECK(ssd_match(none, 0).truth == Indices{-1, -1, -1});
  CHECK(Matcher({0, 0, true})(none).truth == Indices{-1, -1, -1});
  CHECK(Matcher()(none).iou == std::vector<Scalar>{0, 0, 0});
  CHECK(Matcher()(Tensor({2, 0})).unmatched_truths == 2);
  CHECK(ssd_match(Tensor({2, 0})).unmatched_truths == 2);
}

TEST_CASE("anchor_labels: class, 0 for background, -1 for ignored", "[matcher]") {
  Matches matches;
  matches.truth = {1, kUnmatched, kIgnored, 0};
  CHECK(anchor_labels(matches, {7, 3}) == Indices{3, 0, -1, 7});
}

TEST_CASE("ignore_flagged: anchors of flagged truths are asked nothing", "[matcher]") {
  const Indices matched{1, kUnmatched, kIgnored, 0, 1, 2};
  Indices truth = matched;
  ignore_flagged(truth, {false, true});  // says nothing of truth 2
  CHECK(truth == Indices{kIgnored, kUnmatched, kIgnored, 0, kIgnored, 2});
  truth = matched;
  ignore_flagged(truth, {});
  CHECK(truth == matched);
}

TEST_CASE("matchers explain what is wrong", "[matcher][errors]") {
  CHECK_THROWS_WITH(Matcher({.3, .7, true}),
                    "Matcher: thresholds must satisfy 0 <= negative <= positive, got negative 0.7, "
                    "positive 0.3");
  CHECK_THROWS_WITH(Matcher()(Tensor({3})),
                    "Matcher: iou must have shape [truths, anchors], got [3]");
  CHECK_THROWS_AS(ssd_match(Tensor({1, 1}), -1), std::invalid_argument);
  Matches matches;
  matches.truth = {-1, 1};
  CHECK_THROWS_WITH(anchor_labels(matches, {5}),
                    "anchor_labels: truth 1 is matched, but there are only 1 labels");
  CHECK_THROWS_AS(matched_boxes(matches, Tensor({2, 4}), {0}), std::invalid_argument);
  CHECK_THROWS_AS(matched_boxes(matches, Tensor({2, 4}), {2}), std::invalid_argument);
}
