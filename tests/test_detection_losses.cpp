#include "core/gradcheck.h"
#include "core/ops.h"
#include "detection/losses.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {
const Tensor kAnchors({1, 4}, {0, 0, 10, 10});
const Tensor kTruths({1, 4}, {1, 1, 13, 9});
}  // namespace

// Golden values: tests/golden/detection.py.

TEST_CASE("decoded_l2_loss: value and gradient of the worked example", "[detection_losses]") {
  Tensor offsets({1, 4}, {0.1, 0.1, 0.1, -0.1});
  offsets.requires_grad_();
  const double corners[] = {0.474145, 1.475813, 11.525855, 10.524187};
  const Tensor boxes = decode_boxes(offsets.detach(), kAnchors, kUnitBoxWeights);
  for (std::int64_t c = 0; c < 4; ++c) CHECK(boxes.at({0, c}) == Approx(corners[c]).epsilon(1e-5));

  const Tensor loss = decoded_l2_loss(offsets, kAnchors, kTruths, 1, 1, kUnitBoxWeights);
  CHECK(loss.item() == Approx(4.999172).epsilon(1e-5));
  loss.backward();
  const double gradient[] = {-40, 40, -10.480225, 9.486082};
  for (std::int64_t c = 0; c < 4; ++c)
    CHECK(offsets.grad().at({0, c}) == Approx(gradient[c]).epsilon(1e-5));
  // In fractions of a 100 x 100 image.
  CHECK(decoded_l2_loss(offsets, kAnchors, kTruths, 100, 100, kUnitBoxWeights).item() ==
        Approx(4.999172e-4).epsilon(1e-5));
}

TEST_CASE("the same example as smooth L1 on offsets", "[detection_losses]") {
  const Tensor targets = encode_boxes(kTruths, kAnchors, kUnitBoxWeights);
  const double expected[] = {0.2, 0, 0.182322, -0.223144};
  const double prediction[] = {0.1, 0.1, 0.1, -0.1};
  double loss = 0;
  for (std::int64_t c = 0; c < 4; ++c) {
    CHECK(targets.at({0, c}) == Approx(expected[c]).epsilon(1e-5).margin(1e-6));
    const double d = prediction[c] - static_cast<double>(targets.at({0, c}));
    loss += 0.5 * d * d;  // every |d| < 1
  }
  CHECK(loss == Approx(0.020971).epsilon(1e-4));
}

TEST_CASE("decoded_l2_loss divides x by the width and y by the height", "[detection_losses]") {
  // Off by 2 to the right: x1 and x2 are both wrong by 2.
  const Tensor right({1, 4}, {2, 0, 12, 10}), down({1, 4}, {0, 2, 10, 12});
  const Tensor none({1, 4});
  CHECK(decoded_l2_loss(none, kAnchors, right, 20, 40).item() == Approx(2 * 0.01));
  CHECK(decoded_l2_loss(none, kAnchors, down, 20, 40).item() == Approx(2 * 0.0025));
}

TEST_CASE("decoded_l2_loss gradient", "[detection_losses][gradcheck]") {
  const Tensor anchors({3, 4}, {0, 0, 2, 1, 1, 2, 2, 4, 3, 1, 4, 2});
  const Tensor truths({3, 4}, {0, 0, 1, 2, 1, 1, 2, 3, 2, 1, 5, 3});
  const Tensor offsets({3, 4}, {0.1, -0.2, 0.3, 0.4, 1, 2, -0.5, 0.7, 0.3, 0.1, 0.2, -0.6});
  for (const BoxWeights& weights : {kBoxWeights, kUnitBoxWeights}) {
    const auto report = gradcheck(
        [&](const auto& in) { return decoded_l2_loss(in[0], anchors, truths, 4, 5, weights); },
        {offsets});
    INFO(report.table());
    CHECK(report.ok);
  }
}

TEST_CASE("decoded_l2_loss of no positives is 0", "[detection_losses]") {
  Tensor offsets({0, 4});
  offsets.requires_grad_();
  const Tensor loss = decoded_l2_loss(offsets, Tensor({0, 4}), Tensor({0, 4}), 10, 10);
  CHECK(loss.item() == 0);
  loss.backward();
}

TEST_CASE("decoded_l2_loss explains what is wrong", "[detection_losses][errors]") {
  CHECK_THROWS_WITH(decoded_l2_loss(Tensor({2, 4}), kAnchors, kTruths, 10, 10),
                    "decoded_l2_loss: truths must have offsets' shape [2, 4], got [1, 4]");
  CHECK_THROWS_WITH(decoded_l2_loss(kAnchors, kAnchors, kTruths, 0, 10),
                    "decoded_l2_loss: image size must be > 0, got 0 x 10");
}
