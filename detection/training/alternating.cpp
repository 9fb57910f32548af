#include "detection/training/alternating.h"

#include "core/check.h"
#include "core/stopwatch.h"
#include "detection/proposals/with_proposals.h"
#include "detection/training/propose.h"
#include "detection/training/region_task.h"
#include "layers/batch_norm.h"

namespace boxgrad::detection {

namespace {

/// Parameters get no gradient, batch norm keeps its statistics.
void freeze(nn::Module& module) {
  module.set_requires_grad(false);
  module.visit([](const std::string&, nn::Module& part) {
    if (auto* norm = dynamic_cast<nn::BatchNorm2d*>(&part)) norm->frozen = true;
  });
}

}  // namespace

double AlternatingResult::seconds() const {
  double sum = 0;
  for (const AlternatingStep& step : steps) sum += step.training.seconds + step.proposal_seconds;
  return sum;
}

AlternatingResult train_alternating(const std::function<std::shared_ptr<Backbone>()>& start,
                                    const Dataset& dataset, const Transform& augmentation,
                                    const Preparation& preparation,
                                    const AlternatingOptions& options) {
  check(static_cast<bool>(start), "train_alternating: start makes no network");
  check(options.training.minutes == 0 && !options.training.resume,
        "train_alternating: minutes and resume are for a single training");
  AlternatingResult result;

  // The trainable parameters of `learns`; `detector` says the loss.
  const auto run = [&](std::size_t k, const char* name, Detector& detector, nn::Module& learns,
                       const Dataset& data) {
    TrainerOptions training = options.training;
    training.iterations = options.iterations[k];
    training.batch_size = options.images[k];
    if (!training.out.empty()) training.out /= concat("step_", k + 1);
    nn::SGD sgd(learns, options.sgd);
    result.steps[k].name = name;
    result.steps[k].training = train(detector, sgd, data, augmentation, preparation, training);
  };
  const auto propose = [&](std::size_t k, FasterRcnn& model) {
    const RpnOptions& rpn = model.rpn().options();
    const Stopwatch watch;
    result.steps[k].proposals =
        propose_all(model, dataset, preparation, rpn.train_before_nms, rpn.train_proposals);
    result.steps[k].proposal_seconds = watch.seconds();
    return WithProposals(dataset, result.steps[k].proposals);
  };

  const auto new_network = [&] {
    const auto network = std::make_shared<FasterRcnn>(start(), options.model);
    if (options.on_new_network) options.on_new_network(*network);
    return network;
  };

  {
    const auto first = new_network();
    first->part = FasterRcnnPart::proposals;
    run(0, "RPN", *first, *first, dataset);
    propose(0, *first);
  }

  result.model = new_network();
  FasterRcnn& model = *result.model;
  FastRcnn& detector = model.fast_rcnn();
  const WithProposals unshared(dataset, result.steps[0].proposals);
  detector.set_target_statistics(dataset_target_statistics(unshared, detector.options().regions));
  run(1, "Fast R-CNN", detector, detector, unshared);

  freeze(*detector.find("backbone"));
  model.part = FasterRcnnPart::proposals;
  run(2, "RPN, convolutions shared", model, model.rpn(), dataset);
  const WithProposals shared = propose(2, model);
  run(3, "Fast R-CNN's head", detector, detector, shared);
  model.part = FasterRcnnPart::both;
  return result;
}

}  // namespace boxgrad::detection
