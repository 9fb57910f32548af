// detection/models/fast_rcnn.h and faster_rcnn.h: two-stage detectors.
#include <memory>

#include "core/autograd.h"
#include "core/gradcheck.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "detection/data/fashion_scenes.h"
#include "detection/data/preparation.h"
#include "detection/data/transforms.h"
#include "detection/matcher.h"
#include "detection/models/faster_rcnn.h"
#include "detection/models/fc_classifier.h"
#include "detection/models/vgg16.h"
#include "detection/proposals/with_proposals.h"
#include "layers/losses.h"
#include "layers/sgd.h"
#include "layers/svd_linear.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

std::shared_ptr<Backbone> small_backbone() {
  return std::make_shared<Vgg16>(Vgg16Options{.width = 0.0625, .outputs = {"conv3_3"}});
}

FastRcnnOptions small_options() {
  return {.num_classes = 2,
          .pool = 3,
          .scale = 0.25,
          .head = {.hidden = {16}, .dropout = 0},
          .sampling = {.size = 16, .positive_fraction = 0.25}};
}

/// Anchors of two sizes on the backbone's map.
FasterRcnnOptions small_faster_options(BoxSize other, std::int64_t channels) {
  FasterRcnnOptions options;
  options.rpn.anchors.sizes = {{16, 16}, other};
  options.rpn.anchors.stride_px = 4;
  options.rpn.channels = channels;
  options.fast_rcnn = small_options();
  return options;
}

/// Two images of 40 x 32 with a truth or two, and proposals around them.
Batch small_batch() {
  Batch batch;
  batch.images = Tensor::rand({2, 32, 40, 3});
  batch.targets = {{.boxes = Tensor({2, 4}, {2, 2, 18, 18, 20, 8, 38, 30}),
                    .labels = {1, 2},
                    .difficult = {false, false}},
                   {.boxes = Tensor({1, 4}, {8, 8, 30, 28}), .labels = {2}, .difficult = {false}}};
  batch.infos = {{.name = "a", .width = 40, .height = 32},
                 {.name = "b", .width = 40, .height = 32}};
  batch.proposals = {
      Tensor({5, 4}, {2, 2, 18, 16, 0, 0, 20, 20, 22, 10, 38, 30, 10, 0, 30, 20, 0, 20, 12, 32}),
      Tensor({3, 4}, {8, 8, 28, 28, 0, 0, 24, 20, 20, 20, 40, 32})};
  return batch;
}

}  // namespace

TEST_CASE("FastRcnn learns what its regions are", "[fast_rcnn]") {
  for (const RegionSelection selection :
       {RegionSelection::sampled, RegionSelection::all, RegionSelection::ohem}) {
    manual_seed(1);
    FastRcnnOptions options = small_options();
    options.selection = selection;
    FastRcnn model(small_backbone(), options);
    const Batch batch = small_batch();
    nn::SGD sgd(model, {.rate = 0.02, .momentum = 0.9});
    Random random(1);
    double first = 0, last = 0;
    for (int step = 0; step < 200; ++step) {
      sgd.zero_grad();
      const DetectorLoss loss = model.loss(batch, random);
      REQUIRE(loss.total.item() ==
              Approx(loss.parts[0].second + loss.parts[1].second).epsilon(1e-4));
      if (step == 0) first = static_cast<double>(loss.total.item());
      last = static_cast<double>(loss.total.item());
      CHECK(loss.positives >= 3);
      loss.total.backward();
      sgd.step();
    }
    CHECK(last < 0.5 * first);

    model.eval();
    const auto found = model.detect(batch);
    REQUIRE(found.size() == 2);
    REQUIRE(found[1].labels.size() >= 1);
    CHECK(found[1].labels[0] == 2);
    CHECK(box_iou(slice(found[1].boxes, 0, 0, 1), batch.targets[1].boxes).item() > 0.5);
  }
}

TEST_CASE("FastRcnn records which regions it looked at", "[fast_rcnn][ohem]") {
  manual_seed(1);
  FastRcnnOptions options = small_options();
  options.selection = RegionSelection::ohem;
  options.regions.negative_low = 0;
  options.ohem.size = 4;
  FastRcnn model(small_backbone(), options);
  Random random(1);
  const DetectorLoss loss = model.loss(small_batch(), random);
  const RegionStep& step = model.last_step();
  CHECK(step.losses.size() == step.labels.size());
  CHECK(step.rois.size(0) == static_cast<std::int64_t>(step.labels.size()));
  CHECK(step.chosen.size() == 4);
  CHECK(step.chosen_positives() == loss.positives);
  CHECK(loss.positives + loss.negatives == 4);
  for (std::size_t i = 1; i < step.chosen.size(); ++i)
    CHECK(step.losses[static_cast<std::size_t>(step.chosen[i - 1])] >=
          step.losses[static_cast<std::size_t>(step.chosen[i])]);
}

TEST_CASE("hierarchical sampling takes a quarter of positives from each image", "[fast_rcnn]") {
  manual_seed(1);
  FastRcnnOptions options = small_options();
  options.sampling = {.size = 4, .positive_fraction = 0.25};
  FastRcnn model(small_backbone(), options);
  Random random(1);
  model.loss(small_batch(), random);
  const RegionStep& step = model.last_step();
  for (const int image : {0, 1}) {
    int positives = 0;
    for (const std::int64_t r : step.chosen)
      if (step.rois.at({r, 0}) == static_cast<Scalar>(image))
        positives += step.labels[static_cast<std::size_t>(r)] > 0;
    CHECK(positives == 1);
  }
}

TEST_CASE("FastRcnn: folded statistics and full rank give the same detections", "[fast_rcnn]") {
  manual_seed(4);
  FastRcnn model(small_backbone(), small_options());
  TargetStatistics statistics{Tensor::rand({3, 4}), Tensor::rand({3, 4})};
  for (Scalar& value : statistics.std.data()) value += Scalar(0.1);
  model.set_target_statistics(statistics);
  model.eval();
  const NoGradGuard guard;
  const Batch batch = small_batch();
  const Tensor map = model.features(batch.images), rois = to_rois(batch.proposals);
  const Tensor before = model.classify(map, rois).offsets * statistics.std + statistics.mean;
  const auto found = model.detect(batch);
  model.fold_target_statistics();
  CHECK(relative_error(model.classify(map, rois).offsets, before) < 1e-5);
  const auto again = model.detect(batch);
  REQUIRE(again[0].labels == found[0].labels);
  if (!found[0].labels.empty()) CHECK(relative_error(again[0].boxes, found[0].boxes) < 1e-4);

  const auto report = nn::compress(model, {.layers = "head[.]fc6", .energy = 0.5});
  REQUIRE(report.size() == 1);
  CHECK(report[0].path == "head.fc6");
  CHECK(model.detect(batch).size() == 2);
}

TEST_CASE("FastRcnn learns normalised box targets", "[fast_rcnn]") {
  manual_seed(1);
  FastRcnnOptions options = small_options();
  options.selection = RegionSelection::all;
  options.regions = {.negative_low = 0, .add_truths = false};
  FastRcnn model(small_backbone(), options);
  TargetStatistics statistics{Tensor({3, 4}, std::vector<Scalar>(12, 9)),
                              Tensor({3, 4}, std::vector<Scalar>(12, 7))};
  const auto set = [](auto numbers, std::vector<double> values) {  // of class 2
    for (std::size_t k = 0; k < 4; ++k) numbers[8 + k] = static_cast<Scalar>(values[k]);
  };
  set(statistics.mean.data(), {0.05, 0.025, 0.1, 0});
  set(statistics.std.data(), {0.1, 0.2, 0.05, 0.4});
  model.set_target_statistics(statistics);
  // Whatever a region looks like, bbox_pred says these.
  auto& bbox_pred = dynamic_cast<nn::Linear&>(*model.head().find("bbox_pred"));
  for (Scalar& value : bbox_pred.weight.data()) value = 0;
  set(bbox_pred.bias.data(), {1.5, 0, 2, 3});

  // Offsets of the first region (.25, .125, log 1.25, log 1.25), normalised (2, .5, 2.462871,
  // .557859): smooth L1 .125 + .125 + .107125 + 1.942141, over two regions.
  const std::vector<Target> targets{
      {.boxes = Tensor({1, 4}, {10, 8, 30, 28}), .labels = {2}, .difficult = {false}}};
  const std::vector<Tensor> proposals{Tensor({2, 4}, {8, 8, 24, 24, 0, 0, 8, 8})};
  Random random(1);
  const Tensor map = model.features(Tensor::rand({1, 32, 40, 3}));
  const DetectorLoss loss = model.loss_of_regions(map, proposals, targets, random);
  REQUIRE(model.last_step().labels == std::vector<std::int64_t>{2, 0});
  CHECK(loss.parts[1].second == Approx(1.149633).epsilon(1e-5));
  // OHEM ranks by the same numbers: the first region's two losses, which are not divided by R.
  Batch batch;
  batch.images = Tensor::rand({1, 32, 40, 3});
  batch.targets = targets;
  batch.proposals = proposals;
  const RegionStep step = model.read_regions(batch, options.regions);
  const auto output = model.classify(model.features(batch.images), step.rois);
  CHECK(
      step.losses[0] ==
      Approx(2.299266 + double(cross_entropy_values(output.logits, step.labels)[0])).epsilon(1e-5));
}

TEST_CASE("FastRcnn begins with a classifier's layers, all of them", "[fast_rcnn]") {
  manual_seed(1);
  // 3 x 3 bins are what the classifier sees of an image of 12 x 12.
  FcClassifier classifier(small_backbone(), 3, 3, {.num_classes = 5, .hidden = {16}});
  FastRcnn model(small_backbone(), small_options());
  const auto weight = [](nn::Module& of, const char* layer) {
    return dynamic_cast<nn::Linear&>(*of.find(layer)).weight.to_vector();
  };
  const auto cls_score = weight(model.head(), "cls_score");
  REQUIRE(weight(model.head(), "fc6") != weight(classifier, "fc6"));
  model.load_classifier(classifier.state_dict());
  CHECK(weight(model.head(), "fc6") == weight(classifier, "fc6"));
  CHECK(weight(model.head(), "cls_score") == cls_score);
  const NoGradGuard guard;
  const Tensor image = Tensor::rand({1, 12, 12, 3});
  CHECK(relative_error(model.features(image), (*classifier.find("backbone"))(image)) == 0);

  // One without fc6, and one with a narrower one.
  nn::StateDict headless;
  for (const auto& entry : classifier.state_dict())
    if (!entry.first.starts_with("fc6.")) headless.push_back(entry);
  FastRcnn untouched(small_backbone(), small_options());
  const auto before = untouched.state_dict()[0].second.to_vector();
  CHECK_THROWS_WITH(
      untouched.load_classifier(headless),
      "FastRcnn::load_classifier: the classifier has nothing for \"head.fc6.weight\"");
  FcClassifier narrow(small_backbone(), 3, 3, {.num_classes = 5, .hidden = {8}});
  CHECK_THROWS_WITH(untouched.load_classifier(narrow.state_dict()),
                    Catch::Contains("head.fc6.weight"));
  CHECK(untouched.state_dict()[0].second.to_vector() == before);
}

TEST_CASE("FastRcnn: no regions, no truths, no proposals", "[fast_rcnn][errors]") {
  manual_seed(1);
  FastRcnn model(small_backbone(), small_options());
  Batch batch = small_batch();
  batch.targets = {Target{}, Target{}};
  batch.proposals = {Tensor({0, 4}), Tensor({0, 4})};
  Random random(1);
  const DetectorLoss loss = model.loss(batch, random);
  CHECK(loss.total.item() == 0);
  loss.total.backward();  // there is a graph to walk
  model.eval();
  CHECK(model.detect(batch)[0].labels.empty());
  batch.proposals.pop_back();
  CHECK_THROWS_WITH(model.loss(batch, random),
                    "FastRcnn: the batch has 2 images and proposals for 1; give the dataset some "
                    "(detection/proposals)");
  CHECK_THROWS_WITH(FastRcnn(nullptr, small_options()), "FastRcnn: the backbone is null");
  FastRcnnOptions options = small_options();
  options.pool = 0;
  CHECK_THROWS_WITH(FastRcnn(small_backbone(), options),
                    "FastRcnn: pool must be >= 1 and scale > 0, got 0 and 0.25");
  batch = small_batch();
  batch.targets[1].labels = {3};
  model.train();
  CHECK_THROWS_WITH(model.loss(batch, random), "FastRcnn: a truth has label 3 of 2 classes");
  const Tensor map = model.features(batch.images);
  CHECK_THROWS_WITH(model.detect_regions(map, batch.proposals, {batch.infos[0]}),
                    Catch::Contains("the batch has 1 images and proposals for 2"));
  nn::compress(model, {.layers = "head[.]bbox_pred", .t = 2});
  CHECK_THROWS_WITH(model.fold_target_statistics(),
                    "FastRcnn: bbox_pred is not a Linear; fold before compressing it");
}

TEST_CASE("two-stage detectors compute the same bits with any number of threads",
          "[fast_rcnn][threads]") {
  const int before = num_threads();
  std::vector<Scalar> expected;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    manual_seed(5);
    FasterRcnn model(small_backbone(), small_faster_options({24, 20}, 8));
    nn::SGD sgd(model, {.rate = 0.01, .momentum = 0.9});
    Random random(1);
    for (int step = 0; step < 3; ++step) {
      sgd.zero_grad();
      model.loss(small_batch(), random).total.backward();
      sgd.step();
    }
    std::vector<Scalar> numbers;
    for (const auto& [name, parameter] : model.parameters())
      numbers.insert(numbers.end(), parameter.data().begin(), parameter.data().end());
    if (expected.empty()) expected = numbers;
    CHECK(numbers == expected);
  }
  set_num_threads(before);
}

TEST_CASE("RegionProposalNetwork matches anchors, and ignores those across the border", "[rpn]") {
  manual_seed(1);
  RpnOptions options;
  options.anchors.sizes = {{16, 16}};
  options.anchors.stride_px = 8;
  options.channels = 4;
  RegionProposalNetwork rpn(3, options);
  const Tensor map = Tensor::randn({1, 4, 5, 3});  // of an image of 40 x 32
  const auto output = rpn(map);
  CHECK(output.logits.shape() == Shape{1, 20});
  CHECK(output.offsets.shape() == Shape{1, 20, 4});
  const std::vector<Target> targets{
      {.boxes = Tensor({1, 4}, {4, 4, 20, 20}), .labels = {7}, .difficult = {false}}};
  const std::vector<BatchImage> infos{{.name = "a", .width = 40, .height = 32}};
  Random random(1);
  const auto loss = rpn.loss(output, targets, infos, random);
  // Cell (1, 1): centre (12, 12), the truth itself. The border's cells cross it.
  const auto& truth = rpn.last_assignment()[0].matches.truth;
  CHECK(truth[1 * 5 + 1] == 0);
  CHECK(truth[0] == kIgnored);
  CHECK(truth[1 * 5 + 3] == kUnmatched);
  CHECK(loss.positives == 1);
  CHECK(loss.negatives == 3);  // (20, 20), (28, 12), (28, 20); (20, 12) has IoU 1/3
  CHECK(loss.objectness.item() == Approx(0.6931).epsilon(0.02));  // an untrained network's

  // Columns 1 to 3 of rows 1 and 2 lie inside.
  CHECK(rpn.last_assignment()[0].crossing.size() == 20 - 6);

  // Without the ignore band what overlaps by 1/3 is background.
  options.matcher.negative = options.matcher.positive;
  RegionProposalNetwork no_band(3, options);
  CHECK(no_band.loss(no_band(map), targets, infos, random).negatives == 5);
  options.matcher.negative = Scalar(0.3);

  options.ignore_crossing = false;
  RegionProposalNetwork all(3, options);
  const auto other = all.loss(all(map), targets, infos, random);
  CHECK(other.positives + other.negatives >= 15);

  // A truth that no anchor touches makes nobody positive.
  const std::vector<Target> lost{
      {.boxes = Tensor({1, 4}, {100, 100, 120, 120}), .labels = {1}, .difficult = {false}}};
  CHECK(rpn.loss(output, lost, infos, random).positives == 0);
  // No truth at all: everything is background.
  const auto none = rpn.loss(output, {Target{}}, infos, random);
  CHECK(none.positives == 0);
  CHECK(none.boxes.item() == 0);
}

TEST_CASE("RegionProposalNetwork proposes clipped boxes, best first, without doubles", "[rpn]") {
  manual_seed(2);
  RegionProposalNetwork rpn(
      3, {.anchors = {.sizes = {{16, 16}, {8, 20}}, .stride_px = 8}, .channels = 4});
  auto output = rpn(Tensor::randn({2, 4, 5, 3}));
  const std::vector<BatchImage> infos{{.name = "a", .width = 40, .height = 32},
                                      {.name = "b", .width = 30, .height = 20}};
  const auto proposals = rpn.proposals(output, infos, 40, 10);
  REQUIRE(proposals.size() == 2);
  for (std::size_t n = 0; n < 2; ++n) {
    CHECK(proposals[n].size(0) <= 10);
    CHECK(proposals[n].size(0) >= 3);
    const Tensor iou = box_iou(proposals[n], proposals[n]);
    for (std::int64_t i = 0; i < proposals[n].size(0); ++i) {
      CHECK(proposals[n].at({i, 2}) <= static_cast<Scalar>(infos[n].width));
      CHECK(proposals[n].at({i, 0}) >= 0);
      for (std::int64_t j = 0; j < i; ++j) CHECK(iou.at({i, j}) <= 0.7);
    }
  }
  CHECK_FALSE(proposals[0].requires_grad());
}

TEST_CASE("FasterRcnn learns both parts, or one", "[fast_rcnn][rpn]") {
  manual_seed(3);
  FasterRcnn model(small_backbone(), small_faster_options({20, 22}, 16));
  const Batch batch = small_batch();
  nn::SGD sgd(model, {.rate = 0.02, .momentum = 0.9});
  Random random(1);
  double first = 0, last = 0;
  for (int step = 0; step < 80; ++step) {
    sgd.zero_grad();
    const DetectorLoss loss = model.loss(batch, random);
    REQUIRE(loss.parts.size() == 4);
    if (step == 0) first = static_cast<double>(loss.total.item());
    last = static_cast<double>(loss.total.item());
    loss.total.backward();
    sgd.step();
  }
  CHECK(last < 0.6 * first);
  model.eval();
  CHECK(model.detect(batch).size() == 2);
  CHECK(model.propose(batch)[0].size(0) > 0);

  model.train();
  sgd.zero_grad();
  model.part = FasterRcnnPart::proposals;
  model.loss(batch, random).total.backward();
  CHECK_FALSE(model.find("fast_rcnn.head.cls_score")->parameters()[0].second.has_grad());
  CHECK(model.find("rpn.conv")->parameters()[0].second.has_grad());
  sgd.zero_grad();
  model.part = FasterRcnnPart::detector;
  const DetectorLoss loss = model.loss(batch, random);
  CHECK(loss.parts.size() == 2);
  loss.total.backward();
  CHECK_FALSE(model.find("rpn.conv")->parameters()[0].second.has_grad());
}

TEST_CASE("proposals go through transforms with the image", "[fast_rcnn][proposals]") {
  const FashionScenes scenes(FashionScenes::Split::val, 1, 2);
  std::vector<Tensor> lists(2, Tensor({3, 4}, {0, 0, 10, 20, 100, 100, 120, 128, 1, 2, 3, 4}));
  const WithProposals dataset(scenes, lists, 2);
  const Sample sample = dataset.get(1);
  CHECK(sample.proposals.shape() == Shape{2, 4});
  const double width = sample.image.width();
  const Sample flipped = flip_horizontal(sample);
  CHECK(flipped.proposals.at({0, 0}) == Approx(width - 10));
  CHECK(flipped.proposals.at({0, 2}) == Approx(width));
  const Sample small = resize(sample, 64, 32);
  CHECK(small.proposals.at({1, 0}) == Approx(100 * 64 / width));
  const Sample window = crop(sample, 90, 90, 30, 30);
  REQUIRE(window.proposals.shape() == Shape{1, 4});
  CHECK(window.proposals.at({0, 0}) == 10);
  CHECK(window.proposals.at({0, 3}) == 30);  // clipped
  const Batch batch = Preparation{}.make_batch({sample});
  CHECK(batch.proposals[0].shape() == Shape{2, 4});
  CHECK_THROWS_WITH(WithProposals(scenes, {}),
                    "WithProposals: expected proposals for 2 images, got 0");
}
