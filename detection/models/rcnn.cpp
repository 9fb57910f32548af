#include "detection/models/rcnn.h"

#include <algorithm>
#include <utility>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"
#include "layers/activation.h"
#include "layers/losses.h"
#include "layers/module.h"

namespace boxgrad::detection {

namespace {

/// [R, ...] as [R, all the rest].
Tensor flat_rows(const Tensor& x) {
  std::int64_t width = 1;
  for (int axis = 1; axis < x.rank(); ++axis) width *= x.size(axis);
  return reshape(x, {x.size(0), width});
}

/// What the backbone makes of one window of the given size: how many numbers.
std::int64_t window_features(Backbone& backbone, int size) {
  const NoGradGuard guard;
  const nn::EvaluationMode mode(backbone);
  return backbone.maps(Tensor({1, size, size, 3})).back().numel();
}

/// [H, W, C] of [1, H, W, C].
Tensor single(const Tensor& image) {
  return reshape(image, {image.size(1), image.size(2), image.size(3)});
}

}  // namespace

Rcnn::Rcnn(std::shared_ptr<Backbone> backbone, RcnnOptions options) : options_(std::move(options)) {
  check(backbone != nullptr, "Rcnn: the backbone is null");
  check(options_.num_classes >= 1, "Rcnn: num_classes must be >= 1, got ", options_.num_classes);
  check(options_.windows_at_once >= 1, "Rcnn: windows_at_once must be >= 1, got ",
        options_.windows_at_once);
  options_.head.boxes = false;
  const std::int64_t pooled = window_features(*backbone, options_.warp.size);
  backbone_ = add_module("backbone", std::move(backbone));
  const auto head = std::make_shared<RegionHead>(pooled, options_.num_classes, options_.head);
  head_ = add_module("head", head);
  classifiers_ = add_module("classifiers", std::make_shared<RegionClassifiers>(
                                               head->hidden_width(), pooled, options_.num_classes));
}

DetectorLoss Rcnn::loss(const Batch& batch, Random& random) {
  check_proposals(batch, "Rcnn");
  const std::vector<LabelledRegions> sampled =
      sample_regions(batch.proposals, batch.targets, options_.regions, options_.windows, random);
  std::vector<Tensor> windows;
  std::vector<std::int64_t> labels;
  for (std::size_t n = 0; n < sampled.size(); ++n) {
    if (sampled[n].labels.empty()) continue;
    windows.push_back(warp_regions(single(image_of(batch, n)), sampled[n].boxes, options_.warp));
    labels.insert(labels.end(), sampled[n].labels.begin(), sampled[n].labels.end());
  }
  DetectorLoss result;
  result.positives = std::ranges::count_if(labels, [](std::int64_t label) { return label > 0; });
  result.negatives = static_cast<std::int64_t>(labels.size()) - result.positives;
  check(!labels.empty(), "Rcnn: the batch has no window to learn from");
  Tensor map;
  {
    const ModuleScope scope("backbone");
    map = backbone_.as<Backbone>().maps(cat(windows, 0)).back();
  }
  const ModuleScope scope("head");
  result.total = cross_entropy(head()(map).logits, labels);
  result.parts = {{"class", static_cast<double>(result.total.item())}};
  return result;
}

ClassifierFeatures Rcnn::region_features(const Tensor& image, const Tensor& boxes) {
  check(!is_training(), "Rcnn::region_features: dropout is on while training; call eval() first");
  const NoGradGuard guard;
  const std::int64_t count = boxes.size(0);
  std::vector<Tensor> hidden, pooled;
  for (std::int64_t first = 0; first < std::max<std::int64_t>(count, 1);
       first += options_.windows_at_once) {
    const Tensor some = slice(boxes, 0, first, std::min(count, first + options_.windows_at_once));
    if (some.size(0) == 0) {
      hidden.push_back(Tensor({0, classifiers().svm_weight.size(0)}));
      pooled.push_back(Tensor({0, classifiers().box_weight.size(0)}));
      continue;
    }
    const Tensor windows = warp_regions(single(image), some, options_.warp);
    {
      const ModuleScope scope("backbone");
      pooled.push_back(flat_rows(backbone_.as<Backbone>().maps(windows).back()));
    }
    const ModuleScope scope("head");
    hidden.push_back(head().hidden(pooled.back()));
  }
  return {cat(hidden, 0), cat(pooled, 0)};
}

std::vector<Detections> Rcnn::detect(const Batch& batch) {
  check_proposals(batch, "Rcnn");
  return classify_proposals(*this, batch);
}

void check_proposals(const Batch& batch, const char* model) {
  check(batch.proposals.size() == batch.infos.size(), model, ": the batch has ", batch.infos.size(),
        " images and proposals for ", batch.proposals.size());
}

Detections classify_regions(const RegionHead& head, const RegionClassifiers& classifiers,
                            const ClassifierFeatures& features, const Tensor& regions,
                            RegionScoring scoring, bool regress_boxes, double width, double height,
                            const PostprocessOptions& options) {
  const NoGradGuard guard;
  const Tensor scores = scoring == RegionScoring::svm
                            ? classifiers.scores(features.hidden)
                            : softmax(head.classify(features.hidden).logits);
  const Tensor boxes = regress_boxes ? classifiers.boxes(features.pooled, regions) : regions;
  return postprocess(boxes, scores, static_cast<Scalar>(width), static_cast<Scalar>(height),
                     options);
}

}  // namespace boxgrad::detection
