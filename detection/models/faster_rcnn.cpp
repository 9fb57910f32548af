#include "detection/models/faster_rcnn.h"

#include <utility>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"

namespace boxgrad::detection {

FasterRcnn::FasterRcnn(std::shared_ptr<Backbone> backbone, FasterRcnnOptions options) {
  check(backbone != nullptr, "FasterRcnn: the backbone is null");
  check(!options.fast_rcnn.pyramid,
        "FasterRcnn: proposals and regions share one map; fast_rcnn.pyramid must be unset");
  const std::int64_t channels = backbone->channels().back();
  fast_rcnn_ = add_module(
      "fast_rcnn", std::make_shared<FastRcnn>(std::move(backbone), std::move(options.fast_rcnn)));
  rpn_ =
      add_module("rpn", std::make_shared<RegionProposalNetwork>(channels, std::move(options.rpn)));
}

Tensor FasterRcnn::features(const Tensor& images) const {
  const ModuleScope scope("fast_rcnn");
  return fast_rcnn().features(images);
}

DetectorLoss FasterRcnn::loss(const Batch& batch, Random& random) {
  const Tensor map = features(batch.images);
  DetectorLoss result;
  std::vector<Tensor> proposals;
  {
    const ModuleScope scope("rpn");
    const auto output = rpn()(map);
    if (part != FasterRcnnPart::detector) {
      const auto loss = rpn().loss(output, batch.targets, batch.infos, random);
      result.total = loss.objectness + loss.boxes;
      result.parts = {{"objectness", static_cast<double>(loss.objectness.item())},
                      {"rpn box", static_cast<double>(loss.boxes.item())}};
      result.positives = loss.positives;
      result.negatives = loss.negatives;
    }
    if (part != FasterRcnnPart::proposals) proposals = rpn().proposals(output, batch.infos);
  }
  if (part == FasterRcnnPart::proposals) return result;
  const ModuleScope scope("fast_rcnn");
  DetectorLoss regions = fast_rcnn().loss_of_regions(map, proposals, batch.targets, random);
  result.total = result.total.defined() ? result.total + regions.total : regions.total;
  result.parts.insert(result.parts.end(), regions.parts.begin(), regions.parts.end());
  result.positives = regions.positives;
  result.negatives = regions.negatives;
  return result;
}

std::vector<Tensor> FasterRcnn::propose(const Batch& batch) {
  const NoGradGuard guard;
  const Tensor map = features(batch.images);
  const ModuleScope scope("rpn");
  return rpn().proposals(rpn()(map), batch.infos);
}

std::vector<Tensor> FasterRcnn::propose(const Batch& batch, std::int64_t before_nms,
                                        std::int64_t count) {
  const NoGradGuard guard;
  const Tensor map = features(batch.images);
  const ModuleScope scope("rpn");
  return rpn().proposals(rpn()(map), batch.infos, before_nms, count);
}

std::vector<Detections> FasterRcnn::detect(const Batch& batch) {
  const NoGradGuard guard;
  const Tensor map = features(batch.images);
  std::vector<Tensor> proposals;
  {
    const ModuleScope scope("rpn");
    proposals = rpn().proposals(rpn()(map), batch.infos);
  }
  const ModuleScope scope("fast_rcnn");
  return fast_rcnn().detect_regions(map, proposals, batch.infos);
}

}  // namespace boxgrad::detection
