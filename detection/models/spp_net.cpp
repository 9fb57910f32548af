#include "detection/models/spp_net.h"

#include <algorithm>
#include <utility>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"
#include "detection/models/fast_rcnn.h"
#include "detection/models/rcnn.h"
#include "detection/spatial_pyramid_pool.h"
#include "layers/losses.h"

namespace boxgrad::detection {

SppNet::SppNet(std::shared_ptr<Backbone> backbone, SppNetOptions options)
    : options_(std::move(options)) {
  check(backbone != nullptr, "SppNet: the backbone is null");
  check(options_.num_classes >= 1, "SppNet: num_classes must be >= 1, got ", options_.num_classes);
  options_.head.boxes = false;
  std::int64_t bins = 0;
  for (const std::int64_t n : options_.levels) bins += n * n;
  const std::int64_t pooled = bins * backbone->channels().back();
  backbone->set_requires_grad(false);
  backbone_ = add_module("backbone", std::move(backbone));
  const auto head = std::make_shared<RegionHead>(pooled, options_.num_classes, options_.head);
  head_ = add_module("head", head);
  classifiers_ = add_module("classifiers", std::make_shared<RegionClassifiers>(
                                               head->hidden_width(), pooled, options_.num_classes));
}

Tensor SppNet::map(const Tensor& image) {
  const NoGradGuard guard;
  const ModuleScope scope("backbone");
  return backbone_.as<Backbone>().maps(image).back();
}

Tensor SppNet::pool(const Tensor& map, const Tensor& boxes) const {
  return spatial_pyramid_pool(map, to_rois({boxes}), options_.scale, options_.levels);
}

Tensor SppNet::pooled_features(const Tensor& image, const Tensor& boxes) {
  const NoGradGuard guard;
  return pyramid_features(
      image, boxes, options_.pyramid,
      [&](const Tensor& scaled, const Tensor& regions) { return pool(map(scaled), regions); });
}

DetectorLoss SppNet::loss_of_pooled(const Tensor& pooled, const std::vector<std::int64_t>& labels) {
  DetectorLoss result;
  result.positives = std::ranges::count_if(labels, [](std::int64_t label) { return label > 0; });
  result.negatives = static_cast<std::int64_t>(labels.size()) - result.positives;
  const ModuleScope scope("head");
  result.total = labels.empty() ? Tensor({1}) : cross_entropy(head()(pooled).logits, labels);
  result.parts = {{"class", static_cast<double>(result.total.item())}};
  return result;
}

DetectorLoss SppNet::loss(const Batch& batch, Random& random) {
  check_proposals(batch, "SppNet");
  const std::vector<LabelledRegions> sampled =
      sample_regions(batch.proposals, batch.targets, options_.regions, options_.sampling, random);
  std::vector<Tensor> pooled;
  std::vector<std::int64_t> labels;
  for (std::size_t n = 0; n < sampled.size(); ++n) {
    if (sampled[n].labels.empty()) continue;  // its map would not be looked at
    pooled.push_back(pooled_features(image_of(batch, n), sampled[n].boxes));
    labels.insert(labels.end(), sampled[n].labels.begin(), sampled[n].labels.end());
  }
  return loss_of_pooled(labels.empty() ? Tensor() : cat(pooled, 0), labels);
}

ClassifierFeatures SppNet::region_features(const Tensor& image, const Tensor& boxes) {
  check(!is_training(), "SppNet::region_features: dropout is on while training; call eval() first");
  const NoGradGuard guard;
  Tensor pooled = pooled_features(image, boxes);
  const ModuleScope scope("head");
  return {head().hidden(pooled), pooled};
}

std::vector<Detections> SppNet::detect(const Batch& batch) {
  check_proposals(batch, "SppNet");
  return classify_proposals(*this, batch);
}

}  // namespace boxgrad::detection
