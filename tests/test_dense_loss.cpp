// Ssd::loss and RetinaNet::loss as numbers that a person can add up, and their gradients with
// respect to the network's own parameters.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "core/ops.h"
#include "detection/models/fpn.h"
#include "detection/models/retinanet.h"
#include "layers/conv.h"
#include "tests/check_gradients.h"
#include "tests/given_maps.h"
#include "tests/toy_detector.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

std::shared_ptr<Backbone> two_cells() {
  return std::make_shared<GivenMaps>(std::vector{Tensor({2, 1, 2, 1}, {3, -1, 4, 1})});
}

/// Image 0: one object, IoU 7/9 with anchor 0, at most 1/4 with the others. Image 1: two objects,
/// which are anchors 0 and 3. N = 3.
Batch two_images() {
  Batch batch;
  batch.images = Tensor({2, 8, 16, 3});
  batch.targets = {{.boxes = Tensor({1, 4}, {1, 0, 9, 8}), .labels = {1}},
                   {.boxes = Tensor({2, 4}, {0, 0, 8, 8, 10, 2, 14, 6}), .labels = {2, 1}}};
  return batch;
}

double part(const DetectorLoss& loss, const std::string& name) {
  for (const auto& [part, value] : loss.parts)
    if (part == name) return value;
  FAIL("the loss has no part " << name);
  return 0;
}

void check_loss(const DetectorLoss& loss, double class_loss, double box_loss) {
  CHECK(part(loss, "class") == Approx(class_loss).epsilon(1e-5));
  CHECK(part(loss, "box") == Approx(box_loss).epsilon(1e-5));
  CHECK(double(loss.total.item()) == Approx(class_loss + box_loss).epsilon(1e-5));
}

// -ln softmax of the large anchors' logits (0, 0, 0), and of the small ones' (0, 2, 0) for class 1
// and for another.
const double kLarge = std::log(3.), kSmallRight = std::log(2 * std::exp(-2.) + 1),
             kSmallWrong = std::log(2 + std::exp(2.));

// -ln of a sigmoid when a logit of 2 or -2 is right, when it is wrong, and when the logit is 0.
const double kYesNoRight = std::log1p(std::exp(-2.)), kYesNoWrong = kYesNoRight + 2,
             kYesNoZero = std::log(2.);

/// In float a usual step through a trunk crosses zeros of ReLUs.
const GradcheckOptions kThroughRelus =
    sizeof(Scalar) == 8 ? GradcheckOptions{} : GradcheckOptions{.step = 1e-3, .tolerance = 0.05};

std::shared_ptr<Ssd> four_anchor_ssd(SsdOptions options) {
  options.num_classes = 2;
  options.levels = kFourAnchors;
  const auto model = std::make_shared<Ssd>(two_cells(), options);
  answer(*model, "class_head1", {0, 0, 0, 0, 2, 0});
  answer(*model, "box_head1", {1, 0.5, 0, 0, 0, 0, 2, -0.25});
  return model;
}

/// RetinaNet's box losses of two_images(). Offsets without weights, so image 0 asks for
/// tx = (5 - 4) / 8; errors with beta = 1/9:
///
///   image 0, anchor 0   (.05, -.5, 0, 0)    4.5 * .0025 + (.5 - 1/18)
///   image 1, anchor 0   (.175, -.5, 0, 0)   (.175 - 1/18) + (.5 - 1/18)
///   image 1, anchor 3   (0, 0, 1, -2)       (1 - 1/18) + (2 - 1/18)
const double kRetinaBoxes = .01125 + .175 + .5 + .5 + 1 + 2 - 5. / 18;

/// Four logits, or six with softmax.
std::shared_ptr<RetinaNet> four_anchor_retinanet(RetinaNetOptions options) {
  options.num_classes = 2;
  options.levels = kFourAnchors;
  options.tower_depth = 0;
  const auto model = std::make_shared<RetinaNet>(two_cells(), options);
  if (options.softmax)
    answer(*model, "class_logits", {0, 0, 0, 0, 2, 0});
  else
    answer(*model, "class_logits", {0, 0, 2, -2});
  answer(*model, "box_offsets", {0.175, -0.5, 0, 0, 0, 0, 1, -2});
  return model;
}

}  // namespace

TEST_CASE("Ssd::loss by hand: N of the whole batch, alpha on the boxes alone", "[ssd][loss]") {
  // What each positive is asked to say is 0 but for image 0's tx = 10 (5 - 4) / 8 = 1.25. Errors:
  //   image 0, anchor 0   (-.25, .5, 0, 0)    .03125 + .125
  //   image 1, anchor 0   (1, .5, 0, 0)       .5 + .125
  //   image 1, anchor 3   (0, 0, 2, -.25)     1.5 + .03125
  const double boxes = 2.3125;
  // Anchors 0 and 2 say nothing of the class, whatever it is. Anchor 3 of image 1 is right; 1 and 3
  // of image 0 and 1 of image 1 are wrong.
  const double classes = 4 * kLarge + kSmallRight + 3 * kSmallWrong;
  Random random(1);
  for (const double alpha : {1., 2.}) {
    INFO("alpha " << alpha);
    // 3 : 1 wants all the negatives that there are.
    const DetectorLoss loss = four_anchor_ssd({.box_weight = alpha})->loss(two_images(), random);
    CHECK(loss.positives == 3);
    CHECK(loss.negatives == 5);
    check_loss(loss, classes / 3, alpha * boxes / 3);
    // 1 : 1 takes the hardest: in image 0 one of the small anchors, in image 1 both negatives.
    const DetectorLoss mined =
        four_anchor_ssd({.mining = {.negatives_per_positive = 1}, .box_weight = alpha})
            ->loss(two_images(), random);
    CHECK(mined.negatives == 3);
    check_loss(mined, (3 * kLarge + kSmallRight + 2 * kSmallWrong) / 3, alpha * boxes / 3);
    // Over positives and negatives, all eight; boxes still over the positives.
    const DetectorLoss mean =
        four_anchor_ssd({.sampling = AnchorSampling::mean, .box_weight = alpha})
            ->loss(two_images(), random);
    check_loss(mean, classes / 8, alpha * boxes / 3);
  }
}

TEST_CASE("Ssd::loss by hand: images without objects", "[ssd][loss]") {
  Random random(1);
  // Image 0 is empty: it has no share in N, and none in the sum.
  Batch half = two_images();
  half.targets[0] = {};
  check_loss(four_anchor_ssd({.box_weight = 2})->loss(half, random),
             (2 * kLarge + kSmallRight + kSmallWrong) / 2, 2 * (.625 + 1.53125) / 2);
  // Both are: N is 0, and what is divided by is 1. Two hardest negatives of each image.
  Batch none = half;
  none.targets[1] = {};
  check_loss(four_anchor_ssd({})->loss(none, random), 0, 0);
  const DetectorLoss asked =
      four_anchor_ssd({.mining = {.min_negatives = 2}, .box_weight = 2})->loss(none, random);
  CHECK(asked.positives == 0);
  check_loss(asked, 4 * kSmallWrong, 0);
}

TEST_CASE("Ssd::loss by hand: a crowd takes no part, a difficult object only if it may not teach",
          "[ssd][loss]") {
  // Of image 1 the first truth, which is anchor 0: without it N is 2, anchor 0 is in neither sum,
  // and no other anchor is asked about it (anchor 1 overlaps with it by 1/4).
  const double without = (3 * kLarge + kSmallRight + 3 * kSmallWrong) / 2,
               with = (4 * kLarge + kSmallRight + 3 * kSmallWrong) / 3;
  Batch difficult = two_images();
  difficult.targets[1].difficult = {true, false};
  Batch crowd = difficult;
  crowd.targets[1].crowd = {true, false};
  Random random(1);
  check_loss(four_anchor_ssd({})->loss(difficult, random), with, 2.3125 / 3);
  for (const auto& [batch, learn_difficult] :
       {std::pair(crowd, true), std::pair(crowd, false), std::pair(difficult, false)}) {
    INFO("learn_difficult " << learn_difficult);
    const auto model = four_anchor_ssd({.learn_difficult = learn_difficult});
    const DetectorLoss loss = model->loss(batch, random);
    CHECK(loss.positives == 2);
    CHECK(loss.negatives == 5);
    check_loss(loss, without, (2.3125 - .625) / 2);
    CHECK(model->last_assignment()[1].matches.truth ==
          std::vector<std::int64_t>{kIgnored, kUnmatched, kUnmatched, 1});
    // Neither sampling takes what is ignored: all seven others, and the minibatch.
    const auto mean =
        four_anchor_ssd({.sampling = AnchorSampling::mean, .learn_difficult = learn_difficult});
    check_loss(mean->loss(batch, random), without * 2 / 7, (2.3125 - .625) / 2);
    const auto notes =
        four_anchor_ssd({.sampling = AnchorSampling::notes, .learn_difficult = learn_difficult});
    CHECK(notes->loss(batch, random).positives == 2);
    CHECK(notes->last_assignment()[1].matches.truth[0] == kIgnored);
  }
}

TEST_CASE("Ssd::loss by hand: six anchors, from matching to the sum", "[ssd][loss]") {
  // Quarters of a 100 x 100 image, all of it, and its middle; a map tells its cells apart, so that
  // filters give every anchor logits of its own.
  const auto maps = std::make_shared<GivenMaps>(
      std::vector{Tensor({1, 2, 2, 4}, {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}),
                  Tensor({1, 1, 1, 1}, {1})});
  const auto loss_with = [&](const MiningOptions& mining) {
    SsdOptions options{.num_classes = 2,
                       .levels = {{.sizes = {{50, 50}}, .stride_px = 50},
                                  {.sizes = {{100, 100}, {30, 30}}, .stride_px = 100}},
                       .head_kernel = 1,
                       .mining = mining};
    Ssd model(maps, options);
    answer(model, "class_head1", {0, 0, 0});
    std::ranges::copy(std::vector<Scalar>{0, 1, 0, 2, 0, 0, 0, 0, 0, -1, 2, 0},
                      conv_at(model, "class_head1").weight.data().begin());
    answer(model, "class_head2", {1, 0, 0, 0, 0, 1});
    answer(model, "box_head1", {0, 0, 0, 0});
    answer(model, "box_head2", std::vector<Scalar>(8, 0));
    Batch batch;
    batch.images = Tensor({1, 100, 100, 3});
    batch.targets = {{.boxes = Tensor({2, 4}, {0, 0, 45, 50, 35, 35, 65, 70}), .labels = {1, 2}}};
    Random random(1);
    const DetectorLoss loss = model.loss(batch, random);
    const AnchorAssignment& image = model.last_assignment()[0];
    CHECK(image.matches.truth == std::vector<std::int64_t>{0, -1, -1, -1, -1, 1});
    CHECK(image.matches.iou[0] == Approx(.9));
    CHECK(image.matches.iou[5] == Approx(6. / 7));
    return std::pair(loss, image.selection.negatives);
  };
  // Offsets (-.5, 0, 5 ln .9, 0) and (0, 10 / 12, 0, 5 ln(7 / 6)), all below 1.
  const double w = 5 * std::log(.9), h = 5 * std::log(7. / 6);
  const double box = (.25 + w * w + 25. / 36 + h * h) / 2 / 2;
  const auto [one, first] = loss_with({.negatives_per_positive = 1});
  CHECK(first == std::vector<std::int64_t>{3, 2});
  check_loss(one, 2.685674, box);
  const auto [three, all] = loss_with({});  // six are wanted, four are there
  CHECK(all == std::vector<std::int64_t>{3, 2, 4, 1});
  check_loss(three, 3.081169, box);
}

TEST_CASE("RetinaNet::loss by hand: 1 / N over the whole batch, for both parts",
          "[retinanet][loss]") {
  // Focal loss of one logit, gamma 2, alpha .25: (logit, target).
  const double zero_yes = .0433216988, zero_no = .1299650964, two_yes = .00045089,
               two_no = 1.23755860, minus_no = .00135267;
  const double large_positive = zero_yes + zero_no, large_negative = 2 * zero_no,
               small_negative = two_no + minus_no;
  const double classes =
      2 * large_positive + (two_yes + minus_no) + 2 * large_negative + 3 * small_negative;
  const double boxes = kRetinaBoxes;
  Random random(1);
  for (const double weight : {1., 2.}) {
    INFO("box_weight " << weight);
    const auto model = four_anchor_retinanet({.box_weight = weight});
    const DetectorLoss loss = model->loss(two_images(), random);
    CHECK(loss.positives == 3);
    CHECK(loss.negatives == 5);
    check_loss(loss, classes / 3, weight * boxes / 3);
    CHECK(model->last_losses()[7] == Approx(two_yes + minus_no).epsilon(1e-5));  // not divided

    // One softmax instead, without focus: the sum that SSD has over all anchors.
    RetinaNetOptions plain{
        .softmax = true, .class_loss = DenseLoss::cross_entropy, .box_weight = weight};
    check_loss(four_anchor_retinanet(plain)->loss(two_images(), random),
               (4 * kLarge + kSmallRight + 3 * kSmallWrong) / 3, weight * boxes / 3);

    Batch batch = two_images();
    batch.targets[0] = {};
    check_loss(model->loss(batch, random),
               (large_positive + two_yes + minus_no + 3 * large_negative + 3 * small_negative) / 2,
               weight * (boxes - .01125 - (.5 - 1. / 18)) / 2);
    batch.targets[1] = {};  // N is 0: over 1
    check_loss(model->loss(batch, random), 4 * (large_negative + small_negative), 0);
  }
}

TEST_CASE("RetinaNet::loss by hand: balanced", "[retinanet][loss]") {
  Random random(1);
  for (const double alpha : {.25, .9}) {
    INFO("alpha " << alpha);
    // alpha weighs the logits whose target is 1: one of each positive, two of which are large.
    const double yes = 2 * kYesNoZero + kYesNoRight;
    // All the others: the positives' other class, two large negatives, three small ones.
    const double no =
        2 * kYesNoZero + kYesNoRight + 4 * kYesNoZero + 3 * (kYesNoWrong + kYesNoRight);
    check_loss(four_anchor_retinanet({.class_loss = DenseLoss::balanced, .alpha = alpha})
                   ->loss(two_images(), random),
               (alpha * yes + (1 - alpha) * no) / 3, kRetinaBoxes / 3);
    // With softmax it is positives that alpha weighs.
    check_loss(
        four_anchor_retinanet({.softmax = true, .class_loss = DenseLoss::balanced, .alpha = alpha})
            ->loss(two_images(), random),
        (alpha * (2 * kLarge + kSmallRight) + (1 - alpha) * (2 * kLarge + 3 * kSmallWrong)) / 3,
        kRetinaBoxes / 3);
  }
}

TEST_CASE("RetinaNet::loss by hand: the anchors that OHEM and mining choose", "[retinanet][loss]") {
  // Cross entropy of each anchor: small ones without an object are the hardest, with theirs the
  // easiest; all that is asked of the large ones costs the same.
  const double hard = kYesNoWrong + kYesNoRight, easy = 2 * kYesNoRight, large = 2 * kYesNoZero;
  using Indices = std::vector<std::int64_t>;
  Random random(1);
  const auto check_chosen = [](const RetinaNet& model, std::size_t image, const Indices& positives,
                               const Indices& negatives) {
    INFO("image " << image);
    CHECK(model.last_assignment()[image].selection.positives == positives);
    CHECK(model.last_assignment()[image].selection.negatives == negatives);
  };

  // Two negatives for each positive; image 1 has two for its two.
  const auto mining = four_anchor_retinanet(
      {.class_loss = DenseLoss::mining, .mining = {.negatives_per_positive = 2}});
  check_loss(mining->loss(two_images(), random), (3 * large + easy + 3 * hard) / 3,
             kRetinaBoxes / 3);
  check_chosen(*mining, 0, {0}, {1, 3});
  check_chosen(*mining, 1, {0, 3}, {1, 2});

  // Two anchors of each image, whatever they are. Boxes are of all positives, and so is N.
  const auto ohem =
      four_anchor_retinanet({.class_loss = DenseLoss::ohem, .ohem = {.size = 2, .nms_iou = 0.5}});
  const DetectorLoss loss = ohem->loss(two_images(), random);
  CHECK(loss.positives == 3);
  CHECK(loss.negatives == 3);
  check_loss(loss, (3 * hard + large) / 3, kRetinaBoxes / 3);
  check_chosen(*ohem, 0, {}, {1, 3});
  check_chosen(*ohem, 1, {0}, {1});

  // Room for all four, but for anchor 2 of image 0: anchor 3, of the same label, lies in it with an
  // IoU of 1/4 and is harder. Anchors 0 and 1 have other labels.
  const auto apart =
      four_anchor_retinanet({.class_loss = DenseLoss::ohem, .ohem = {.size = 4, .nms_iou = 0.2}});
  check_loss(apart->loss(two_images(), random), (3 * hard + 3 * large + easy) / 3,
             kRetinaBoxes / 3);
  check_chosen(*apart, 0, {0}, {1, 3});
  check_chosen(*apart, 1, {0, 3}, {1, 2});
}

TEST_CASE("Ssd and RetinaNet refuse a truth of no class that they have", "[ssd][retinanet][loss]") {
  Random random(1);
  for (const std::int64_t label : {-1, 0, 3}) {
    Batch batch = two_images();
    batch.targets[1].labels[1] = label;
    const std::string told = concat(": a truth's label must be 1 to 2 (num_classes), got ", label);
    CHECK_THROWS_WITH(four_anchor_ssd({})->loss(batch, random), "Ssd" + told);
    for (const bool softmax : {false, true})
      CHECK_THROWS_WITH(four_anchor_retinanet({.softmax = softmax})->loss(batch, random),
                        "RetinaNet" + told);
  }
}

TEST_CASE("Ssd: gradients of the whole loss", "[ssd][loss][gradcheck]") {
  const ToyDataset data;
  const Batch batch = collate(std::vector{data.get(0), data.get(1)});
  for (const BoxLoss box_loss : {BoxLoss::smooth_l1, BoxLoss::decoded_l2}) {
    const auto model =
        make_toy({.sampling = AnchorSampling::all, .box_loss = box_loss, .box_weight = 1.5});
    nn::Conv2d& classes = conv_at(*model, "class_head1");
    nn::Conv2d& boxes = conv_at(*model, "box_head1");
    nn::Conv2d& stem = conv_at(*model, "backbone.stem.conv");
    const auto loss = [&](const std::vector<Tensor>& in) {
      classes.bias = in[0];
      boxes.bias = in[1];
      classes.weight = in[2];
      stem.weight = in[3];
      Random random(1);
      return model->loss(batch, random).total;
    };
    check_gradients(loss, {classes.bias, boxes.bias, classes.weight, stem.weight}, kThroughRelus);
  }
}

TEST_CASE("Ssd: every parameter gets a gradient from the loss", "[ssd][loss]") {
  const ToyDataset data;
  const auto model = make_toy();
  Random random(1);
  model->loss(collate(std::vector{data.get(0), data.get(1)}), random).total.backward();
  for (const auto& [name, tensor] : model->parameters()) {
    INFO(name);
    REQUIRE(tensor.has_grad());
    const auto grad = std::as_const(tensor).grad().to_vector();
    CHECK(std::ranges::any_of(grad, [](Scalar v) { return v != 0; }));
  }
}

TEST_CASE("RetinaNet: gradients of the whole loss", "[retinanet][loss][gradcheck]") {
  const ToyDataset data;
  const Batch batch = collate(std::vector{data.get(0), data.get(1)});
  for (const bool softmax : {false, true}) {
    manual_seed(3);
    RetinaNetOptions options{.num_classes = 2,
                             .levels = {{.sizes = {{8, 8}, {12, 12}}, .stride_px = 4},
                                        {.sizes = {{16, 16}, {24, 24}}, .stride_px = 8}},
                             .tower_depth = 1,
                             .prior = 0.1,
                             .softmax = softmax,
                             .box_weight = 1.5};
    SeparableNetOptions net;
    net.stem_channels = 4;
    net.stages = {{.channels = 6, .stride = 2, .output = true},
                  {.channels = 8, .stride = 2, .output = true}};
    RetinaNet model(std::make_shared<Fpn>(std::make_shared<SeparableNet>(net),
                                          FpnOptions{.channels = 4, .extra_levels = 0}),
                    options);
    // Filters large enough for a gradient that shows.
    for (const char* path : {"class_tower1", "box_tower1", "class_logits", "box_offsets"})
      for (Scalar& v : conv_at(model, path).weight.data()) v *= 20;
    nn::Conv2d& classes = conv_at(model, "class_logits");
    nn::Conv2d& boxes = conv_at(model, "box_offsets");
    nn::Conv2d& tower = conv_at(model, "class_tower1");
    nn::Conv2d& lateral = conv_at(model, "backbone.lateral2");
    const auto loss = [&](const std::vector<Tensor>& in) {
      classes.bias = in[0];
      boxes.bias = in[1];
      tower.weight = in[2];
      lateral.weight = in[3];
      Random random(1);
      return model.loss(batch, random).total;
    };
    check_gradients(loss, {classes.bias, boxes.bias, tower.weight, lateral.weight}, kThroughRelus);
  }
}
