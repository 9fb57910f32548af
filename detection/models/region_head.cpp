#include "detection/models/region_head.h"

#include <cmath>
#include <memory>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"
#include "detection/models/fc_layers.h"
#include "layers/init.h"
#include "layers/linear.h"
#include "layers/losses.h"

namespace boxgrad::detection {

RegionHead::RegionHead(std::int64_t in_features, std::int64_t num_classes,
                       const RegionHeadOptions& options) {
  check(in_features >= 1 && num_classes >= 1, "RegionHead: needs features and classes, got ",
        in_features, " and ", num_classes);
  for (const auto& [name, layer] : fc_layers(in_features, options.hidden, options.dropout))
    hidden_.push_back(add_module(name, layer));
  hidden_width_ = options.hidden.empty() ? in_features : options.hidden.back();
  const auto sibling = [&](const char* name, std::int64_t out, double std) {
    const auto layer = std::make_shared<nn::Linear>(hidden_width_, out);
    nn::init::gaussian(layer->weight, std);
    nn::init::constant(layer->bias, 0);
    return add_module(name, layer);
  };
  cls_score_ = sibling("cls_score", 1 + num_classes, options.class_std);
  if (options.boxes) bbox_pred_ = sibling("bbox_pred", 4 * (1 + num_classes), options.box_std);
  has_boxes_ = options.boxes;
}

Tensor RegionHead::hidden(const Tensor& features) const {
  const std::int64_t regions = features.size(0);
  std::int64_t width = 1;
  for (int axis = 1; axis < features.rank(); ++axis) width *= features.size(axis);
  Tensor x = reshape(features, {regions, width});
  for (const nn::Child& layer : hidden_) x = layer(x);
  return x;
}

RegionHead::Output RegionHead::classify(const Tensor& hidden) const {
  Output output{cls_score_(hidden), {}};
  if (has_boxes_) {
    const Tensor offsets = bbox_pred_(hidden);
    output.offsets = reshape(offsets, {hidden.size(0), offsets.size(1) / 4, 4});
  }
  return output;
}

namespace {

/// The four offsets of each region's own class, of the regions whose box counts: rows of
/// [R (1 + K), 4], and the regions themselves.
struct Own {
  std::vector<std::int64_t> rows, regions;
};

Own own_offsets(const RegionHead::Output& output, const std::vector<std::int64_t>& labels,
                const Tensor& targets, double lambda) {
  const std::int64_t regions = output.logits.size(0), classes = output.logits.size(1);
  check(static_cast<std::int64_t>(labels.size()) == regions && targets.shape() == Shape{regions, 4},
        "multi_task_loss: expected ", regions, " labels and targets [", regions, ", 4], got ",
        labels.size(), " and ", targets.shape());
  Own own;
  for (std::int64_t r = 0; r < regions; ++r) {
    const std::int64_t label = labels[static_cast<std::size_t>(r)];
    check(label >= 0 && label < classes, "multi_task_loss: label ", label, " of region ", r,
          " is not one of 0 to ", classes - 1);
    if (label == 0 || lambda == 0) continue;
    own.rows.push_back(r * classes + label);
    own.regions.push_back(r);
  }
  if (own.rows.empty()) return own;
  check(output.offsets.defined(), "multi_task_loss: the head says no boxes (RegionHeadOptions)");
  check(output.offsets.shape() == Shape{regions, classes, 4},
        "multi_task_loss: offsets must have shape ", Shape{regions, classes, 4}, ", got ",
        output.offsets.shape());
  return own;
}

}  // namespace

RegionLoss multi_task_loss(const RegionHead::Output& output,
                           const std::vector<std::int64_t>& labels, const Tensor& targets,
                           double lambda) {
  const Own own = own_offsets(output, labels, targets, lambda);
  const std::int64_t regions = output.logits.size(0);
  if (regions == 0) return {Tensor({1}), Tensor({1})};
  RegionLoss loss{cross_entropy(output.logits, labels), Tensor({1})};
  if (!own.rows.empty())
    loss.boxes =
        smooth_l1_loss(index_select(reshape(output.offsets, {-1, 4}), 0, own.rows),
                       index_select(targets, 0, own.regions), 1, {.reduction = Reduction::sum}) *
        static_cast<Scalar>(lambda / static_cast<double>(regions));
  return loss;
}

std::vector<Scalar> multi_task_losses(const RegionHead::Output& output,
                                      const std::vector<std::int64_t>& labels,
                                      const Tensor& targets, double lambda) {
  const NoGradGuard guard;
  const Own own = own_offsets(output, labels, targets, lambda);
  std::vector<Scalar> losses = cross_entropy_values(output.logits, labels);
  if (own.rows.empty()) return losses;
  const Tensor boxes =
      smooth_l1_loss(index_select(reshape(output.offsets, {-1, 4}), 0, own.rows),
                     index_select(targets, 0, own.regions), 1, {.reduction = Reduction::none});
  for (std::size_t i = 0; i < own.regions.size(); ++i)
    for (std::size_t k = 0; k < 4; ++k)
      losses[static_cast<std::size_t>(own.regions[i])] +=
          static_cast<Scalar>(lambda) * boxes.data()[4 * i + k];
  return losses;
}

}  // namespace boxgrad::detection
