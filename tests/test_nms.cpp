#include <algorithm>
#include <cmath>
#include <limits>

#include "core/ops.h"
#include "core/parallel.h"
#include "core/random.h"
#include "detection/boxes.h"
#include "detection/nms.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;
using Indices = std::vector<std::int64_t>;

namespace {

/// The definition, on the whole matrix of overlaps: drop what a kept box before it overlaps.
Indices naive_nms(const Tensor& boxes, const std::vector<Scalar>& scores, double threshold) {
  const Tensor iou = box_iou(boxes, boxes);
  Indices kept;
  for (const std::int64_t i : argsort_descending(scores)) {
    const bool drop = std::any_of(kept.begin(), kept.end(), [&](std::int64_t k) {
      return static_cast<double>(iou.at({k, i})) > threshold;
    });
    if (!drop) kept.push_back(i);
  }
  return kept;
}

/// Boxes on a canvas with whole coordinates, so that overlaps exactly at a threshold and equal
/// scores are frequent.
void random_case(std::int64_t n, Random& random, Tensor& boxes, std::vector<Scalar>& scores) {
  boxes = Tensor({n, 4});
  scores.assign(static_cast<std::size_t>(n), 0);
  const std::int64_t canvas = 5 + random.below(60), largest = 1 + random.below(30);
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t x = random.below(canvas), y = random.below(canvas);
    boxes.set({i, 0}, static_cast<Scalar>(x - 10));
    boxes.set({i, 1}, static_cast<Scalar>(y - 10));
    boxes.set({i, 2}, static_cast<Scalar>(x - 10 + random.below(largest + 1)));
    boxes.set({i, 3}, static_cast<Scalar>(y - 10 + random.below(largest + 1)));
    scores[static_cast<std::size_t>(i)] = static_cast<Scalar>(random.below(50)) / 50;
  }
}

const Tensor kBoxes({5, 4},
                    {0, 0, 10, 10, 1, 1, 11, 11, 0, 0, 10, 5, 20, 20, 30, 30, 20, 20, 30, 30});
const std::vector<Scalar> kScores{.9, .8, .7, .6, .6};

}  // namespace

// Golden values: tests/golden/detection.py (torchvision.ops.nms, batched_nms).

TEST_CASE("nms matches torchvision on boxes that can be drawn", "[nms]") {
  CHECK(nms(kBoxes, kScores, .3) == Indices{0, 3});
  CHECK(nms(kBoxes, kScores, .5) == Indices{0, 2, 3});  // an overlap of .5 is not > .5
  CHECK(nms(kBoxes, kScores, .68) == Indices{0, 2, 3});
  CHECK(nms(kBoxes, kScores, .7) == Indices{0, 1, 2, 3});
  CHECK(nms(kBoxes, kScores, 1) == Indices{0, 1, 2, 3, 4});
  CHECK(nms(kBoxes, kScores, 0) == Indices{0, 3});
  CHECK(batched_nms(kBoxes, kScores, Indices{0, 1, 0, 0, 1}, .5) == Indices{0, 1, 2, 3, 4});
  CHECK(nms(Tensor({0, 4}), {}, .5).empty());
  CHECK(batched_nms(Tensor({0, 4}), {}, {}, .5).empty());
}

TEST_CASE("nms matches torchvision on 200 boxes with ties", "[nms]") {
  Tensor boxes({200, 4});
  std::vector<Scalar> scores;
  for (std::int64_t i = 0; i < 200; ++i) {
    const std::int64_t x = i * 37 % 101, y = i * 53 % 89;
    const std::int64_t corners[] = {x, y, x + 10 + i * 29 % 31, y + 10 + i * 17 % 23};
    for (std::int64_t c = 0; c < 4; ++c) boxes.set({i, c}, static_cast<Scalar>(corners[c]));
    scores.push_back(static_cast<Scalar>(i * 71 % 199) / 199);
  }
  CHECK(nms(boxes, scores, .3) ==
        Indices{14, 28, 42,  56,  70,  84,  98,  112, 126, 140, 154, 168, 182, 196, 11,
                25, 53, 67,  81,  95,  109, 123, 137, 151, 179, 193, 22,  36,  50,  64,
                78, 92, 106, 134, 148, 176, 190, 5,   19,  47,  61,  75,  103, 117, 131,
                30, 44, 170, 27,  111, 80,  164, 46,  88,  172, 15,  29,  57,  183, 12,
                26, 68, 138, 180, 107, 121, 149, 191, 34,  76,  90,  104, 31,  0});
  Indices kept = nms(boxes, scores, .5), dropped;
  std::sort(kept.begin(), kept.end());
  for (std::int64_t i = 0; i < 200; ++i)
    if (!std::binary_search(kept.begin(), kept.end(), i)) dropped.push_back(i);
  CHECK(dropped == Indices{6, 9, 21, 48, 54, 79, 85, 96, 110, 113, 116, 132, 146, 147, 163, 171,
                           177, 188, 192});
}

TEST_CASE("nms compares with the threshold as written, not as rounded to float", "[nms]") {
  // The overlap is 3/10. As a float that is .30000001 > .3, and torchvision drops the box; in
  // double it is .3 itself, and the box stays.
  const Tensor boxes({2, 4}, {0, 0, 10, 10, 0, 0, 10, 3});
  const std::vector<Scalar> scores{.9, .8};
  CHECK(nms(boxes, scores, .3) == (sizeof(Scalar) == 4 ? Indices{0} : Indices{0, 1}));
  CHECK(nms(boxes, scores, .31) == Indices{0, 1});
}

TEST_CASE("nms equals its definition on random boxes", "[nms]") {
  Random random(11);
  Tensor boxes;
  std::vector<Scalar> scores;
  for (int round = 0; round < 300; ++round) {
    random_case(random.below(round % 10 == 0 ? 400 : 80), random, boxes, scores);
    const double threshold = static_cast<double>(random.below(21)) / 20;
    INFO("round " << round << ", " << scores.size() << " boxes, threshold " << threshold);
    const Indices kept = nms(boxes, scores, threshold);
    REQUIRE(kept == naive_nms(boxes, scores, threshold));

    // Done again on what was kept it changes nothing, and the scores come out sorted.
    Tensor again({static_cast<std::int64_t>(kept.size()), 4});
    std::vector<Scalar> kept_scores;
    for (std::size_t k = 0; k < kept.size(); ++k) {
      for (std::int64_t c = 0; c < 4; ++c)
        again.set({static_cast<std::int64_t>(k), c}, boxes.at({kept[k], c}));
      kept_scores.push_back(scores[static_cast<std::size_t>(kept[k])]);
    }
    REQUIRE(std::is_sorted(kept_scores.rbegin(), kept_scores.rend()));
    REQUIRE(nms(again, kept_scores, threshold).size() == kept.size());
  }
}

TEST_CASE("batched_nms equals nms done class by class, negative coordinates too", "[nms]") {
  Random random(12);
  Tensor boxes;
  std::vector<Scalar> scores;
  for (int round = 0; round < 60; ++round) {
    random_case(random.below(120), random, boxes, scores);
    Indices classes;
    for (std::size_t i = 0; i < scores.size(); ++i) classes.push_back(random.below(4) - 1);
    std::vector<bool> expected(scores.size(), false);
    for (std::int64_t label = -1; label < 3; ++label) {
      Indices members;
      std::vector<Scalar> member_scores;
      for (std::size_t i = 0; i < scores.size(); ++i)
        if (classes[i] == label) {
          members.push_back(static_cast<std::int64_t>(i));
          member_scores.push_back(scores[i]);
        }
      const Tensor own = index_select(boxes, 0, members);
      for (const std::int64_t k : naive_nms(own, member_scores, .4))
        expected[static_cast<std::size_t>(members[static_cast<std::size_t>(k)])] = true;
    }
    Indices in_order;
    for (const std::int64_t i : argsort_descending(scores))
      if (expected[static_cast<std::size_t>(i)]) in_order.push_back(i);
    REQUIRE(batched_nms(boxes, scores, classes, .4) == in_order);
  }
}

TEST_CASE("batched_nms keeps the same for any number of threads", "[nms][threads]") {
  const int before = num_threads();
  Random random(11);
  const std::int64_t n = 600;
  Tensor boxes({n, 4});
  std::vector<Scalar> scores;
  std::vector<std::int64_t> classes;
  for (std::int64_t i = 0; i < n; ++i) {
    Scalar* box = boxes.data().data() + 4 * i;
    box[0] = static_cast<Scalar>(random.uniform(0, 80));
    box[1] = static_cast<Scalar>(random.uniform(0, 80));
    box[2] = box[0] + static_cast<Scalar>(random.uniform(5, 40));
    box[3] = box[1] + static_cast<Scalar>(random.uniform(5, 40));
    scores.push_back(static_cast<Scalar>(random.uniform()));
    classes.push_back(1 + i % 7);
  }
  std::vector<std::int64_t> first;
  for (const int threads : {1, 2, 3, 4, 8}) {
    set_num_threads(threads);
    const auto kept = batched_nms(boxes, scores, classes, 0.5);
    if (threads == 1) first = kept;
    CHECK(kept == first);
  }
  CHECK(first.size() > 7);
  CHECK(first.size() < 600);
  set_num_threads(before);
}

TEST_CASE("a NaN score comes last and is counted", "[nms]") {
  const Scalar nan = std::numeric_limits<Scalar>::quiet_NaN();
  const Scalar infinity = std::numeric_limits<Scalar>::infinity();
  const Tensor boxes({4, 4}, {0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7});
  const std::vector<Scalar> scores{nan, .5, -infinity, nan};
  std::int64_t nans = -1;
  CHECK(nms(boxes, scores, .5, &nans) == Indices{1, 0, 2, 3});
  CHECK(nans == 2);
  CHECK(batched_nms(boxes, scores, Indices{1, 1, 1, 2}, .5, &nans) == Indices{1, 0, 2, 3});
  CHECK(nans == 2);
  nms(kBoxes, kScores, .5, &nans);
  CHECK(nans == 0);
}

TEST_CASE("a box with NaN coordinates neither drops nor is dropped", "[nms]") {
  const Scalar nan = std::numeric_limits<Scalar>::quiet_NaN();
  const Tensor boxes({3, 4}, {nan, 0, 10, 10, 0, 0, 10, 10, 0, 0, 10, 10});
  CHECK(nms(boxes, std::vector<Scalar>{.9, .8, .7}, .5) == Indices{0, 1});
}

TEST_CASE("nms explains what is wrong", "[nms][errors]") {
  CHECK_THROWS_WITH(nms(Tensor({2, 3}), kScores, .5),
                    "nms: boxes must have shape [N, 4] as [x1, y1, x2, y2], got [2, 3]");
  CHECK_THROWS_WITH(nms(Tensor({2, 4}), kScores, .5),
                    "nms: scores must have one number per box, 2, got 5");
  CHECK_THROWS_WITH(nms(kBoxes, kScores, 1.5), "nms: iou_threshold must be in [0, 1], got 1.5");
  CHECK_THROWS_AS(nms(kBoxes, kScores, std::nan("")), std::invalid_argument);
  CHECK_THROWS_WITH(batched_nms(kBoxes, kScores, Indices{1}, .5),
                    "batched_nms: classes must have one number per box, 5, got 1");
}
