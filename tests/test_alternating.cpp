// detection/training/alternating.h and detection/training/propose.h.
#include "detection/data/transforms.h"
#include "detection/evaluation.h"
#include "detection/models/fc_classifier.h"
#include "detection/models/vgg16.h"
#include "detection/proposals/proposals.h"
#include "detection/training/alternating.h"
#include "detection/training/evaluate.h"
#include "detection/training/propose.h"
#include "tests/catch.h"
#include "tests/toy_detector.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

std::shared_ptr<Backbone> toy_start() {
  manual_seed(5);
  auto backbone = std::make_shared<Vgg16>(Vgg16Options{.width = 0.125, .outputs = {"conv3_1"}});
  backbone->freeze_through("conv1_1");
  return backbone;
}

AlternatingOptions toy_alternating() {
  AlternatingOptions options;
  options.model.rpn.anchors = {{{8, 8}, {12, 12}}, 4};
  options.model.rpn.channels = 16;
  options.model.rpn.sampling.size = 32;
  options.model.rpn.train_before_nms = 60;
  options.model.rpn.train_proposals = 20;
  options.model.rpn.test_proposals = 10;
  options.model.fast_rcnn.num_classes = 2;
  options.model.fast_rcnn.pool = 3;
  options.model.fast_rcnn.scale = 0.25;
  options.model.fast_rcnn.head = {.hidden = {32}, .dropout = 0};
  options.model.fast_rcnn.sampling.size = 16;
  options.sgd = {
      .rate = 0.02, .momentum = 0.9, .groups = {{.pattern = ".*[.]bias", .rate = 2, .decay = 0}}};
  options.images = {2, 2, 2, 2};
  options.training.clip_norm = 10;
  options.training.checkpoint_every = 0;
  options.iterations = {200, 200, 200, 60};
  return options;
}

std::vector<Scalar> weights(const nn::Module& module) {
  std::vector<Scalar> all;
  for (const auto& [name, tensor] : module.state_dict())
    all.insert(all.end(), tensor.data().begin(), tensor.data().end());
  return all;
}

}  // namespace

TEST_CASE("the 4-step scheme learns, and shares one frozen backbone at its end", "[alternating]") {
  const ToyDataset data(24);
  int starts = 0;
  std::vector<std::vector<Scalar>> backbones;  // step 2's network behind each step's first update
  AlternatingOptions options = toy_alternating();
  std::vector<std::shared_ptr<Backbone>> made;
  options.training.on_step = [&](std::int64_t iteration, const DetectorLoss&) {
    if (iteration == 1) backbones.push_back(weights(*made.back()));
  };
  const AlternatingResult result = train_alternating(
      [&] {
        ++starts;
        made.push_back(toy_start());
        return made.back();
      },
      data, {}, {}, options);
  REQUIRE(starts == 2);
  // The first network was step 1's only; the second one learned in step 2 and then stayed.
  CHECK(weights(*made[0]) != weights(*made[1]));
  CHECK(weights(*made[1]) != weights(*toy_start()));
  CHECK(&result.model->fast_rcnn() == result.model->find("fast_rcnn"));
  CHECK(result.model->find("fast_rcnn.backbone") == made[1].get());
  REQUIRE(backbones.size() == 4);
  CHECK(backbones[1] != backbones[2]);
  CHECK(backbones[2] == backbones[3]);
  CHECK(backbones[3] == weights(*made[1]));
  for (const auto& [name, parameter] : made[1]->parameters())
    CHECK_FALSE(parameter.requires_grad());
  CHECK(result.model->part == FasterRcnnPart::both);

  for (const std::size_t k : {0u, 2u}) {
    CHECK(result.steps[k].proposals.size() == 24);
    CHECK(result.steps[k].training.log.steps.back().parts.front().first == "objectness");
    const auto score =
        proposal_scores(result.steps[k].proposals, targets_of(data), std::vector<std::int64_t>{20});
    INFO("step " << k + 1);
    CHECK(score[0].recall > 0.9);
  }
  for (const std::size_t k : {1u, 3u}) {
    CHECK(result.steps[k].proposals.empty());
    CHECK(result.steps[k].training.log.steps.back().parts.front().first == "class");
  }
  CHECK(result.seconds() > 0);
  const Answers answers = detect_all(*result.model, data, {});
  const EvaluationResult evaluation = evaluate_detections(answers.detections, answers.targets, 2);
  CHECK(evaluation.mean_ap.value_or(0) > 0.6);
}

TEST_CASE("the 4-step scheme begins with what a classifier knows", "[alternating]") {
  const ToyDataset data(4);
  AlternatingOptions options = toy_alternating();
  options.iterations = {2, 2, 2, 2};
  manual_seed(7);
  FcClassifier classifier(toy_start(), 3, 3, {.num_classes = 5, .hidden = {32}});
  std::vector<FasterRcnn*> networks;
  options.on_new_network = [&](FasterRcnn& network) {
    network.fast_rcnn().load_classifier(classifier.state_dict());
    networks.push_back(&network);
  };
  options.sgd.rate = 0;  // what was loaded is still there in the end
  const AlternatingResult result = train_alternating(toy_start, data, {}, {}, options);
  REQUIRE(networks.size() == 2);  // one for step 1, one for steps 2 to 4
  CHECK(networks[1] == result.model.get());
  CHECK(weights(*result.model->find("fast_rcnn.head.fc6")) == weights(*classifier.find("fc6")));
  CHECK(weights(*result.model->find("fast_rcnn.backbone")) ==
        weights(*classifier.find("backbone")));
}

TEST_CASE("propose_all says boxes in pixels of the dataset's images", "[alternating]") {
  const ToyDataset data(5);
  AlternatingOptions options = toy_alternating();
  FasterRcnn model(toy_start(), options.model);
  const auto plain = propose_all(model, data, {}, 128, 7, 2);
  REQUIRE(plain.size() == 5);
  CHECK(model.is_training());
  for (const Tensor& boxes : plain) {
    CHECK(boxes.size(0) <= 7);
    CHECK(boxes.size(0) >= 1);
  }
  const Preparation twice{.resize = [](Sample s, Random&) { return resize(s, 64, 64); }};
  for (const Tensor& boxes : propose_all(model, data, twice, 128, 7))
    for (const Scalar v : boxes.data()) CHECK(v <= 32);
  CHECK_THROWS_WITH(propose_all(model, data, {}, 0, 7),
                    "propose_all: before_nms, count and batch_size must be >= 1, got 0, 7 and 32");
}

TEST_CASE("train_alternating refuses what it cannot do", "[alternating][errors]") {
  const ToyDataset data(4);
  AlternatingOptions options = toy_alternating();
  CHECK_THROWS_WITH(train_alternating({}, data, {}, {}, options),
                    "train_alternating: start makes no network");
  options.training.resume = true;
  CHECK_THROWS_WITH(train_alternating(toy_start, data, {}, {}, options),
                    "train_alternating: minutes and resume are for a single training");
}
