#include <algorithm>
#include <cmath>

#include "core/gradcheck.h"
#include "core/parallel.h"
#include "core/random.h"
#include "detection/boxes.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

void check_close(const Tensor& got, const std::vector<double>& expected, double tolerance = 1e-5) {
  REQUIRE(got.numel() == static_cast<std::int64_t>(expected.size()));
  const auto v = got.data();
  for (std::size_t i = 0; i < expected.size(); ++i) {
    INFO("element " << i);
    CHECK(static_cast<double>(v[i]) == Approx(expected[i]).epsilon(tolerance).margin(tolerance));
  }
}

/// Boxes with corners in [0, 100] and sides of at least 1.
Tensor random_boxes(std::int64_t n, Random& random) {
  Tensor boxes({n, 4});
  for (std::int64_t i = 0; i < n; ++i) {
    const double x = random.uniform(0, 90), y = random.uniform(0, 90);
    boxes.set({i, 0}, static_cast<Scalar>(x));
    boxes.set({i, 1}, static_cast<Scalar>(y));
    boxes.set({i, 2}, static_cast<Scalar>(random.uniform(x + 1, 100)));
    boxes.set({i, 3}, static_cast<Scalar>(random.uniform(y + 1, 100)));
  }
  return boxes;
}

const Tensor kAnchor({1, 4}, {10, 20, 50, 80});
const Tensor kTruth({1, 4}, {14, 18, 62, 90});

}  // namespace

// Golden values: tests/golden/detection.py.

TEST_CASE("box_iou matches torchvision", "[boxes]") {
  const Tensor a({1, 4}, {0, 0, 10, 10});
  const Tensor b({8, 4}, {5, 5, 15, 15, 0, 0, 10, 10, 10, 10, 20, 20, 2, 2, 8, 8,
                          9, 0, 19, 10, 0, 0, 5,  5,  3,  3,  3,  3,  8, 8, 2, 2});
  check_close(box_iou(a, b), {0.142857, 1, 0, 0.36, 0.052632, 0.25, 0, 0});
  check_close(box_iou(b, a), {0.142857, 1, 0, 0.36, 0.052632, 0.25, 0, 0});
  check_close(box_area(b), {100, 100, 100, 36, 100, 25, 0, 36});
}

TEST_CASE("box_iou of boxes without area is 0, not NaN", "[boxes]") {
  const Tensor point({1, 4}, {3, 3, 3, 3});
  CHECK(box_iou(point, point).item() == 0);
}

TEST_CASE("box_iou of nothing", "[boxes]") {
  CHECK(box_iou(Tensor({0, 4}), Tensor({3, 4})).shape() == Shape{0, 3});
  CHECK(box_iou(Tensor({3, 4}), Tensor({0, 4})).shape() == Shape{3, 0});
  CHECK(box_area(Tensor({0, 4})).shape() == Shape{0});
}

TEST_CASE("box_iou is symmetric, lies in [0, 1] and is 1 for a box with itself", "[boxes]") {
  Random random(1);
  const Tensor a = random_boxes(60, random), b = random_boxes(37, random);
  const Tensor ab = box_iou(a, b), ba = box_iou(b, a), aa = box_iou(a, a);
  for (std::int64_t i = 0; i < 60; ++i) {
    CHECK(aa.at({i, i}) == 1);
    for (std::int64_t j = 0; j < 37; ++j) {
      REQUIRE(ab.at({i, j}) == ba.at({j, i}));
      REQUIRE(ab.at({i, j}) >= 0);
      REQUIRE(ab.at({i, j}) <= 1);
    }
  }
}

TEST_CASE("box_iou of every small shape equals its definition", "[boxes]") {
  Random random(6);
  for (std::int64_t rows = 1; rows <= 9; ++rows)
    for (std::int64_t columns = 1; columns <= 19; ++columns) {
      const Tensor a = random_boxes(rows, random), b = random_boxes(columns, random);
      const Tensor iou = box_iou(a, b);
      for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < columns; ++j) {
          const auto side = [&](std::int64_t c) {
            return std::max(0.0, static_cast<double>(std::min(a.at({i, c + 2}), b.at({j, c + 2})) -
                                                     std::max(a.at({i, c}), b.at({j, c}))));
          };
          const double both = side(0) * side(1);
          const double areas = static_cast<double>(box_area(a).at({i}) + box_area(b).at({j}));
          INFO(rows << " x " << columns << " at " << i << ", " << j);
          REQUIRE(iou.at({i, j}) == Approx(both / (areas - both)).margin(1e-6));
        }
    }
}

TEST_CASE("box_iou gives the same bits for any number of threads", "[boxes][threads]") {
  Random random(2);
  const Tensor a = random_boxes(300, random), b = random_boxes(301, random);
  const int before = num_threads();
  set_num_threads(1);
  const std::vector<Scalar> one = box_iou(a, b).to_vector();
  for (const int threads : {2, 3, 4}) {
    set_num_threads(threads);
    CHECK(box_iou(a, b).to_vector() == one);
  }
  set_num_threads(before);
}

TEST_CASE("encode_boxes and decode_boxes match torchvision", "[boxes]") {
  const Tensor unit = encode_boxes(kTruth, kAnchor, kUnitBoxWeights);
  check_close(unit, {0.2, 0.066667, 0.182322, 0.182322});
  check_close(decode_boxes(unit, kAnchor, kUnitBoxWeights), {14, 18, 62, 90});
  const Tensor weighted = encode_boxes(kTruth, kAnchor);
  check_close(weighted, {2, 0.666667, 0.911608, 0.911608});
  check_close(decode_boxes(weighted, kAnchor), {14, 18, 62, 90});
}

TEST_CASE("decode_boxes limits growth to 1000/16", "[boxes]") {
  const Tensor offsets({1, 4}, {0, 0, 10, 10});
  check_close(decode_boxes(offsets, kAnchor, kUnitBoxWeights), {-1220, -1825, 1280, 1925});
}

TEST_CASE("encode and decode are inverse, a box is 0 from itself", "[boxes]") {
  Random random(3);
  const Tensor g = random_boxes(200, random), p = random_boxes(200, random);
  for (const BoxWeights& weights : {kBoxWeights, kUnitBoxWeights}) {
    const Tensor back = decode_boxes(encode_boxes(g, p, weights), p, weights);
    for (std::int64_t i = 0; i < 200; ++i) {
      const Scalar w = g.at({i, 2}) - g.at({i, 0}), h = g.at({i, 3}) - g.at({i, 1});
      // A truth 100 times smaller than its anchor loses two digits on the way, hence the margin.
      for (std::int64_t c = 0; c < 4; ++c)
        REQUIRE(back.at({i, c}) ==
                Approx(g.at({i, c})).epsilon(1e-5).margin(1e-5 * (w + h) + 1e-4));
    }
  }
  check_close(encode_boxes(p, p), std::vector<double>(800, 0.0));
}

TEST_CASE("decode_boxes repeats the anchors for each image of a batch", "[boxes]") {
  Random random(4);
  const Tensor p = random_boxes(5, random);
  const Tensor offsets = Tensor::randn({3, 5, 4}, random);
  const Tensor all = decode_boxes(offsets, p);
  CHECK(all.shape() == Shape{3, 5, 4});
  for (std::int64_t n = 0; n < 3; ++n) {
    const auto numbers = offsets.to_vector(), boxes = all.to_vector();
    const Tensor one({5, 4},
                     std::vector<Scalar>(numbers.begin() + 20 * n, numbers.begin() + 20 * (n + 1)));
    CHECK(decode_boxes(one, p).to_vector() ==
          std::vector<Scalar>(boxes.begin() + 20 * n, boxes.begin() + 20 * (n + 1)));
  }
}

TEST_CASE("decode_boxes gradient", "[boxes][gradcheck]") {
  // The last row is beyond the limit on both sizes: its size offsets get no gradient.
  const Tensor anchors({3, 4}, {0, 0, 2, 1, 1, 2, 2, 4, 0, 0, 0.01, 0.02});
  const Tensor offsets({3, 4}, {0.1, -0.2, 0.3, 0.4, 1, 2, -0.5, 0.7, 0.3, 0.1, 30, 40});
  for (const BoxWeights& weights : {kBoxWeights, kUnitBoxWeights}) {
    const auto report =
        gradcheck([&](const auto& in) { return decode_boxes(in[0], anchors, weights); }, {offsets});
    INFO(report.table());
    CHECK(report.ok);
  }
  const auto batch = gradcheck([&](const auto& in) { return decode_boxes(in[0], anchors); },
                               {Tensor({2, 3, 4}, Scalar(0.2))});
  INFO(batch.table());
  CHECK(batch.ok);
}

TEST_CASE("clip_boxes_to_image matches torchvision", "[boxes]") {
  const Tensor boxes({2, 4}, {-5, 3, 20, 50, 30, 30, 40, 40});
  check_close(clip_boxes_to_image(boxes, 24, 16), {0, 3, 20, 16, 24, 16, 24, 16});
  CHECK(boxes.at({0, 0}) == -5);  // the input stays as it was
}

TEST_CASE("flip_boxes mirrors, twice is nothing", "[boxes]") {
  const Tensor boxes({1, 4}, {10, 20, 50, 80});
  check_close(flip_boxes(boxes, 100), {50, 20, 90, 80});
  check_close(flip_boxes(flip_boxes(boxes, 100), 100), {10, 20, 50, 80});
  Random random(5);
  const Tensor a = random_boxes(20, random), b = random_boxes(20, random);
  const Tensor plain = box_iou(a, b), mirrored = box_iou(flip_boxes(a, 128), flip_boxes(b, 128));
  for (std::int64_t i = 0; i < 400; ++i)
    REQUIRE(mirrored.at({i / 20, i % 20}) == Approx(plain.at({i / 20, i % 20})).margin(1e-5));
}

TEST_CASE("boxes explain what is wrong", "[boxes][errors]") {
  CHECK_THROWS_WITH(box_iou(Tensor({2, 5}), kAnchor),
                    "box_iou: a must have shape [N, 4] as [x1, y1, x2, y2], got [2, 5]");
  CHECK_THROWS_WITH(box_area(Tensor()),
                    "box_area: boxes must have shape [N, 4] as [x1, y1, x2, y2], got an undefined "
                    "tensor");
  CHECK_THROWS_WITH(
      encode_boxes(Tensor({1, 4}, {5, 5, 5, 9}), kAnchor),
      "encode_boxes: truth must have width and height > 0, got [5, 5, 5, 9] in row 0");
  const Scalar nan = std::nan("");
  CHECK_THROWS_AS(encode_boxes(kTruth, Tensor({1, 4}, {0, 0, nan, 9})), std::invalid_argument);
  CHECK_THROWS_WITH(encode_boxes(kTruth, Tensor({2, 4})),
                    "encode_boxes: truths must have anchors' shape [2, 4], got [1, 4]");
  CHECK_THROWS_WITH(
      decode_boxes(Tensor({2, 4}), kAnchor),
      "decode_boxes: offsets must have shape [..., 1, 4] for anchors of shape [1, 4], "
      "got [2, 4]");
  CHECK_THROWS_WITH(decode_boxes(Tensor({1, 4}), kAnchor, {1, 1, 0, 1}),
                    "decode_boxes: weights must be > 0, got 0");
}

TEST_CASE("repeat_boxes gives each box so many times in a row", "[boxes]") {
  const Tensor boxes({2, 4}, {0, 1, 2, 3, 4, 5, 6, 7});
  CHECK(repeat_boxes(boxes, 2).to_vector() ==
        std::vector<Scalar>{0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7});
  CHECK(repeat_boxes(boxes, 0).shape() == Shape{0, 4});
  CHECK_THROWS_WITH(repeat_boxes(boxes, -1), "repeat_boxes: times must be >= 0, got -1");
}
