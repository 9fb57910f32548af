// detection/models/rpn.h: the loss and the order of proposals, by figures computed by hand.
// test_fast_rcnn.cpp holds the parts together.
#include <cmath>

#include "core/autograd.h"
#include "core/ops.h"
#include "detection/models/rpn.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// One anchor of 8 x 8 px in each cell of a map of stride 8.
RpnOptions one_anchor_a_cell() {
  RpnOptions options;
  options.anchors = {.sizes = {{8, 8}}, .stride_px = 8};
  options.channels = 4;
  options.min_side_px = 0;
  return options;
}

/// Cells of a 2 x 2 map, row by row.
Tensor four_anchors() {
  return Tensor({4, 4}, {0, 0, 8, 8, 8, 0, 16, 8, 0, 8, 8, 16, 8, 8, 16, 16});
}

double softplus(double z) { return std::log1p(std::exp(z)); }

}  // namespace

TEST_CASE("RegionProposalNetwork: the loss by hand", "[rpn]") {
  RpnOptions options = one_anchor_a_cell();
  options.box_weight = 3;
  RegionProposalNetwork rpn(2, options);
  // The first anchor lies on the truth, the last has an IoU of 1/3 with the other, and is
  // the best that it has.
  const std::vector<Target> targets{
      {.boxes = Tensor({2, 4}, {0, 0, 8, 8, 12, 8, 20, 16}), .labels = {1, 1}}};
  RegionProposalNetwork::Output output{Tensor({1, 4}, {2, -1, 0, 1}), Tensor({1, 4, 4}),
                                       four_anchors()};
  output.logits.requires_grad_();
  output.offsets.requires_grad_();
  auto offsets = output.offsets.data();
  offsets[0] = Scalar(0.1);   // below beta = 1/9: 0.5 * 0.1^2 / beta = 0.045
  offsets[3] = Scalar(-0.5);  // above: 0.5 - beta / 2 = 4/9
  for (std::size_t k = 4; k < 16; ++k) offsets[k] = 9;  // background has no box to learn

  SECTION("an object, two backgrounds; a best anchor is an object whatever its IoU") {
    const std::vector<BatchImage> infos{{.width = 20, .height = 16}};
    Random random(1);
    const auto loss = rpn.loss(output, targets, infos, random);
    // The last anchor is the second truth's best: positive, with offsets (0.5, 0, 0, 0) wanted.
    CHECK(loss.positives == 2);
    CHECK(loss.negatives == 2);
    const double bce = (softplus(-2) + softplus(-1) + softplus(0) + softplus(-1)) / 4;
    CHECK(double(loss.objectness.item()) == Approx(bce).epsilon(1e-5));
    const double ninth = 1. / 18;  // beta / 2
    const double boxes = 0.045 + 4. / 9 + (8.5 - ninth) + 3 * (9 - ninth);
    CHECK(double(loss.boxes.item()) == Approx(3 * boxes / 4).epsilon(1e-5));

    (loss.objectness + loss.boxes).backward();
    // (sigmoid(z) - p) / S, and lambda / S times the slope of smooth L1.
    CHECK(double(output.logits.grad().data()[0]) ==
          Approx((1 / (1 + std::exp(-2.)) - 1) / 4).epsilon(1e-5));
    CHECK(double(output.logits.grad().data()[1]) ==
          Approx(1 / (1 + std::exp(1.)) / 4).epsilon(1e-5));
    CHECK(double(output.offsets.grad().data()[0]) == Approx(3 * 0.9 / 4).epsilon(1e-5));
    CHECK(double(output.offsets.grad().data()[3]) == Approx(-3. / 4).epsilon(1e-5));
    for (std::size_t k = 4; k < 12; ++k) CHECK(output.offsets.grad().data()[k] == 0);
  }
  SECTION("an anchor across the border is not sampled, so it counts in no sum") {
    const std::vector<BatchImage> infos{{.width = 15, .height = 16}};
    Random random(1);
    const auto loss = rpn.loss(output, targets, infos, random);
    CHECK(rpn.last_assignment()[0].crossing == std::vector<std::int64_t>{1, 3});
    CHECK(loss.positives == 1);
    CHECK(loss.negatives == 1);
    CHECK(double(loss.objectness.item()) == Approx((softplus(-2) + softplus(0)) / 2).epsilon(1e-5));
    CHECK(double(loss.boxes.item()) == Approx(3 * (0.045 + 4. / 9) / 2).epsilon(1e-5));
  }
}

TEST_CASE("RegionProposalNetwork: between the two thresholds nobody learns", "[rpn]") {
  RpnOptions options = one_anchor_a_cell();
  RegionProposalNetwork rpn(2, options);
  // IoU of the first anchor with the truth 1, of the second (8 x 8 shared of 96) 1/2.
  const std::vector<Target> band{
      {.boxes = Tensor({2, 4}, {0, 0, 8, 8, 8, 0, 16, 16}), .labels = {1, 1}}};
  const std::vector<BatchImage> infos{{.width = 16, .height = 16}};
  const RegionProposalNetwork::Output output{Tensor({1, 4}), Tensor({1, 4, 4}), four_anchors()};
  Random random(1);
  const auto loss = rpn.loss(output, band, infos, random);
  // The second truth's best anchors, two of IoU 1/2, are objects; the third is background.
  CHECK(loss.positives == 3);
  CHECK(loss.negatives == 1);

  // A second truth of 12 rows has its best in the anchor above, IoU 56/104; the one below, 40/120,
  // is in the band and asked nothing.
  const std::vector<Target> better{
      {.boxes = Tensor({2, 4}, {0, 0, 8, 8, 8, 1, 16, 13}), .labels = {1, 1}}};
  const auto asked = rpn.loss(output, better, infos, random);
  const auto& truth = rpn.last_assignment()[0].matches.truth;
  CHECK(truth == std::vector<std::int64_t>{0, 1, kUnmatched, kIgnored});
  CHECK(asked.positives == 2);
  CHECK(asked.negatives == 1);

  // The same, difficult: its anchor is asked nothing, and is no background either.
  std::vector<Target> difficult = better;
  difficult[0].difficult = {false, true};
  const auto quiet = rpn.loss(output, difficult, infos, random);
  CHECK(rpn.last_assignment()[0].matches.truth ==
        std::vector<std::int64_t>{0, kIgnored, kUnmatched, kIgnored});
  CHECK(quiet.positives == 1);
  CHECK(quiet.negatives == 1);
}

TEST_CASE("RegionProposalNetwork: the best, decoded, clipped, large enough, suppressed", "[rpn]") {
  RpnOptions options = one_anchor_a_cell();
  options.min_side_px = 4;
  RegionProposalNetwork rpn(2, options);
  rpn.eval();
  RegionProposalNetwork::Output output{Tensor({1, 4}, {1, 4, 3, 2}), Tensor({1, 4, 4}),
                                       four_anchors()};
  const auto propose = [&](int width, std::int64_t before_nms, std::int64_t count) {
    return rpn.proposals(output, {{.width = width, .height = 16}}, before_nms, count)[0]
        .to_vector();
  };
  using Boxes = std::vector<Scalar>;
  // Best first, and at most so many.
  CHECK(propose(16, 4, 4) == Boxes{8, 0, 16, 8, 0, 8, 8, 16, 8, 8, 16, 16, 0, 0, 8, 8});
  CHECK(propose(16, 4, 2) == Boxes{8, 0, 16, 8, 0, 8, 8, 16});
  // 11 px leave 3 of the right anchors: dropped. The best two were chosen before, so one remains.
  CHECK(propose(11, 4, 4) == Boxes{0, 8, 8, 16, 0, 0, 8, 8});
  CHECK(propose(11, 2, 4) == Boxes{0, 8, 8, 16});
  // 12 px leave 4, which is enough; clipped.
  CHECK(propose(12, 2, 4) == Boxes{8, 0, 12, 8, 0, 8, 8, 16});

  // The fourth moves on top of the third (dx = dy = (0 - 8) / 8, then down by 8): IoU 1 with a
  // better one, so it goes; half a cell beside it stays, as its IoU is 1/3.
  auto offsets = output.offsets.data();
  offsets[12] = -1;
  CHECK(propose(16, 4, 4) == Boxes{8, 0, 16, 8, 0, 8, 8, 16, 0, 0, 8, 8});
  offsets[12] = Scalar(-0.5);
  CHECK(propose(16, 4, 4) == Boxes{8, 0, 16, 8, 0, 8, 8, 16, 4, 8, 12, 16, 0, 0, 8, 8});
  // Twice as wide about its centre: exp(log 2).
  offsets[12] = 0;
  offsets[14] = Scalar(std::log(2.));
  const auto wide = propose(16, 4, 4);
  REQUIRE(wide.size() == 16);
  CHECK(double(wide[8]) == Approx(4));
  CHECK(double(wide[10]) == Approx(16));
}

TEST_CASE("RegionProposalNetwork: training and test have numbers of proposals of their own",
          "[rpn]") {
  manual_seed(1);
  RpnOptions options = one_anchor_a_cell();
  options.nms_iou = 1;  // nothing is suppressed
  options.min_side_px = 0;
  const std::vector<BatchImage> infos{{.width = 40, .height = 32}};
  const auto count = [&](bool training) {
    RegionProposalNetwork rpn(2, options);
    rpn.train(training);
    return rpn.proposals(rpn(Tensor::randn({1, 4, 5, 2})), infos)[0].size(0);
  };
  options.train_proposals = 7;
  options.test_proposals = 3;
  CHECK(count(true) == 7);
  CHECK(count(false) == 3);
  options.train_proposals = options.test_proposals = 20;
  options.train_before_nms = 6;
  options.test_before_nms = 2;
  CHECK(count(true) == 6);
  CHECK(count(false) == 2);
}

TEST_CASE("RegionProposalNetwork explains what does not fit", "[rpn][errors]") {
  RegionProposalNetwork rpn(2, one_anchor_a_cell());
  const RegionProposalNetwork::Output output{Tensor({1, 4}), Tensor({1, 4, 4}), four_anchors()};
  const std::vector<BatchImage> one(1, {.width = 16, .height = 16}), two(2, one[0]);
  Random random(1);
  CHECK_THROWS_WITH(rpn.loss(output, {Target{}}, two, random),
                    "RegionProposalNetwork: expected 1 targets and infos, got 1 and 2");
  CHECK_THROWS_WITH(rpn.proposals(output, two), "RegionProposalNetwork: expected 1 infos, got 2");
  CHECK_THROWS_WITH(rpn.proposals(output, one, 4, 0),
                    "RegionProposalNetwork: before_nms and count must be >= 1, got 4 and 0");
}
