#include <limits>

#include "detection/postprocess.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;
using Labels = std::vector<std::int64_t>;

namespace {
// Two overlapping boxes, one that reaches out of the image, one that lies outside.
const Tensor kBoxes({4, 4}, {0, 0, 10, 10, 1, 1, 11, 11, 30, 30, 60, 60, -20, 0, -5, 9});
}  // namespace

TEST_CASE("postprocess: threshold, suppression within a class, clipping", "[postprocess]") {
  const Tensor scores({4, 3}, {.1, .9, .0,    //
                               .1, .8, .3,    // class 1 is suppressed, class 2 stays
                               .2, .005, .7,  //
                               .0, .5, .5});  // outside: nothing of it is left
  const Detections found = postprocess(kBoxes, scores, 40, 50);
  CHECK(found.labels == Labels{1, 2, 2});
  CHECK(found.scores == std::vector<Scalar>{.9, .7, .3});
  CHECK(found.boxes.to_vector() == std::vector<Scalar>{0, 0, 10, 10, 30, 30, 40, 50, 1, 1, 11, 11});
}

TEST_CASE("postprocess keeps the best per class and per image", "[postprocess]") {
  Tensor boxes({6, 4}), scores({6, 3});
  for (std::int64_t i = 0; i < 6; ++i) {
    const Scalar x = static_cast<Scalar>(10 * i);
    for (std::int64_t c = 0; c < 4; ++c) boxes.set({i, c}, x + (c < 2 ? 0 : 5));
    scores.set({i, 1}, static_cast<Scalar>(i + 1) / 10);
    scores.set({i, 2}, static_cast<Scalar>(i + 1) / 20);
  }
  const Detections two = postprocess(boxes, scores, 100, 100, {.max_per_class = 2});
  CHECK(two.labels == Labels{1, 1, 2, 2});
  CHECK(two.scores == std::vector<Scalar>{.6, .5, .3, .25});
  const Detections three =
      postprocess(boxes, scores, 100, 100, {.max_per_class = 2, .max_per_image = 3});
  CHECK(three.labels == Labels{1, 1, 2});
  CHECK(three.boxes.size(0) == 3);
}

TEST_CASE("postprocess: a score at the threshold and a NaN are not reported", "[postprocess]") {
  const Tensor scores({4, 2}, {0, .5, 0, std::numeric_limits<Scalar>::quiet_NaN(), 0, .6, 0, 0});
  const Detections found = postprocess(kBoxes, scores, 100, 100, {.score_threshold = .5});
  CHECK(found.labels == Labels{1});
  CHECK(found.scores == std::vector<Scalar>{.6});
}

TEST_CASE("postprocess with a box for each class", "[postprocess]") {
  // One region; classes 1 and 2 put its box at different places, background's is not read.
  const Tensor boxes({1, 3, 4}, {0, 0, 0, 0, 10, 10, 20, 20, 50, 50, 70, 80});
  const Detections found = postprocess(boxes, Tensor({1, 3}, {.2, .5, .3}), 100, 100);
  CHECK(found.labels == Labels{1, 2});
  CHECK(found.boxes.to_vector() == std::vector<Scalar>{10, 10, 20, 20, 50, 50, 70, 80});
}

TEST_CASE("postprocess of nothing", "[postprocess]") {
  CHECK(postprocess(Tensor({0, 4}), Tensor({0, 3}), 10, 10).boxes.shape() == Shape{0, 4});
  CHECK(postprocess(kBoxes, Tensor({4, 3}), 100, 100).labels.empty());
}

TEST_CASE("postprocess_batch: every image by its own boxes, scores and size", "[postprocess]") {
  const Tensor boxes({2, 1, 4}, {0, 0, 10, 10, 30, 30, 60, 60});
  const Tensor scores({2, 1, 3}, {.1, .9, 0, .2, 0, .8});
  const std::vector<BatchImage> images{{.width = 8, .height = 50}, {.width = 50, .height = 40}};
  const std::vector<Detections> found = postprocess_batch(boxes, scores, images);
  REQUIRE(found.size() == 2);
  CHECK(found[0].labels == Labels{1});
  CHECK(found[1].labels == Labels{2});
  CHECK(found[0].scores == std::vector<Scalar>{.9});
  CHECK(found[1].scores == std::vector<Scalar>{.8});
  CHECK(found[0].boxes.to_vector() == std::vector<Scalar>{0, 0, 8, 10});
  CHECK(found[1].boxes.to_vector() == std::vector<Scalar>{30, 30, 50, 40});
  for (const Detections& none : postprocess_batch(boxes, scores, images, {.score_threshold = .95}))
    CHECK(none.labels.empty());
  CHECK_THROWS_WITH(postprocess_batch(boxes, scores, {{.width = 8, .height = 50}}),
                    "postprocess_batch: boxes of 2 images, sizes of 1");
}

TEST_CASE("postprocess explains what is wrong", "[postprocess][errors]") {
  CHECK_THROWS_WITH(postprocess(kBoxes, Tensor({3, 2}), 10, 10),
                    "postprocess: boxes must have shape [3, 4] or [3, 2, 4] for scores [3, 2], got "
                    "[4, 4]");
  CHECK_THROWS_WITH(postprocess(kBoxes, Tensor({4}), 10, 10),
                    "postprocess: scores must have shape [A, L], got [4]");
  CHECK_THROWS_AS(postprocess(kBoxes, Tensor({4, 2}), 10, 10, {.max_per_image = -1}),
                  std::invalid_argument);
}
