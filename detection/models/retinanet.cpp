#include "detection/models/retinanet.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "layers/activation.h"
#include "layers/conv.h"
#include "layers/focal_loss.h"
#include "layers/init.h"

namespace boxgrad::detection {

namespace {

/// Gaussian with deviation .01 and bias 0, as all new layers of the paper (section 4.1).
std::shared_ptr<nn::Conv2d> subnet_conv(std::int64_t in, std::int64_t out, Activation activation) {
  auto conv = std::make_shared<nn::Conv2d>(in, out, 3,
                                           Conv2dOptions{.padding = 1, .activation = activation});
  nn::init::gaussian(conv->weight, 0.01);
  nn::init::constant(conv->bias, 0);
  return conv;
}

/// 1 in the column of each anchor's class, for sigmoids: [rows, K].
Tensor one_hot(const std::vector<std::int64_t>& labels, std::int64_t classes) {
  Tensor target({static_cast<std::int64_t>(labels.size()), classes});
  for (std::size_t r = 0; r < labels.size(); ++r)
    if (labels[r] > 0)
      target
          .data()[r * static_cast<std::size_t>(classes) + static_cast<std::size_t>(labels[r] - 1)] =
          1;
  return target;
}

}  // namespace

RetinaNet::RetinaNet(std::shared_ptr<Backbone> backbone, RetinaNetOptions options)
    : options_(std::move(options)), generator_(options_.levels) {
  check(backbone != nullptr, "RetinaNet: the backbone is null");
  check(options_.num_classes >= 1, "RetinaNet: num_classes must be >= 1, got ",
        options_.num_classes);
  check(options_.prior >= 0 && options_.prior < 1, "RetinaNet: prior must be in [0, 1), got ",
        options_.prior);
  check(options_.tower_depth >= 0, "RetinaNet: tower_depth must be >= 0, got ",
        options_.tower_depth);
  const std::vector<std::int64_t> channels = backbone->channels();
  check(channels.size() == options_.levels.size(), "RetinaNet: the backbone has ", channels.size(),
        " maps, the anchors ", options_.levels.size(), " levels");
  const std::int64_t width = channels[0], anchors = generator_.num_anchors(0);
  for (std::size_t k = 0; k < channels.size(); ++k) {
    check(channels[k] == width,
          "RetinaNet: one subnet serves all maps, which must have as many "
          "channels, got ",
          width, " and ", channels[k]);
    check(generator_.num_anchors(static_cast<int>(k)) == anchors,
          "RetinaNet: all levels must have as many anchor sizes, got ", anchors, " and ",
          generator_.num_anchors(static_cast<int>(k)));
  }
  backbone_ = add_module("backbone", std::move(backbone));
  for (std::int64_t i = 1; i <= options_.tower_depth; ++i) {
    class_tower_.push_back(
        add_module(concat("class_tower", i), subnet_conv(width, width, Activation::relu)));
    box_tower_.push_back(
        add_module(concat("box_tower", i), subnet_conv(width, width, Activation::relu)));
  }
  const auto last = subnet_conv(width, anchors * columns(), Activation::none);
  if (options_.prior > 0) {
    if (options_.softmax) {  // background's logit alone
      const double k = static_cast<double>(options_.num_classes);
      for (std::int64_t a = 0; a < anchors; ++a)
        last->bias.set({a * columns()},
                       static_cast<Scalar>(std::log(k * (1 - options_.prior) / options_.prior)));
    } else {
      nn::init::constant(last->bias, nn::init::prior_bias(options_.prior));
    }
  }
  class_logits_ = add_module("class_logits", last);
  box_offsets_ = add_module("box_offsets", subnet_conv(width, 4 * anchors, Activation::none));
}

RetinaNet::Heads RetinaNet::heads(const Tensor& images) {
  std::vector<Tensor> maps;
  {
    const ModuleScope scope("backbone");
    maps = backbone_.as<Backbone>().maps(images);
  }
  const std::int64_t n = images.size(0);
  std::vector<Tensor> logits, offsets;
  std::vector<MapSize> sizes;
  for (const Tensor& map : maps) {
    Tensor classes = map, boxes = map;
    for (const nn::Child& layer : class_tower_) classes = layer(classes);
    for (const nn::Child& layer : box_tower_) boxes = layer(boxes);
    logits.push_back(reshape(class_logits_(classes), {n, -1, columns()}));
    offsets.push_back(reshape(box_offsets_(boxes), {n, -1, 4}));
    sizes.push_back({map.size(1), map.size(2)});
  }
  return {cat(logits, 1), cat(offsets, 1), generator_(sizes)};
}

Tensor RetinaNet::scores(const Tensor& logits) const {
  if (options_.softmax) return softmax(logits);
  const Shape background{logits.size(0), logits.size(1), 1};
  return cat({Tensor(background), sigmoid(logits)}, -1);
}

Selection RetinaNet::select(const Matches& matches, const Tensor& anchors,
                            const std::vector<std::int64_t>& labels,
                            std::span<const Scalar> losses) const {
  if (options_.class_loss == DenseLoss::mining)
    return mine_hard_negatives(matches.truth, losses, options_.mining);
  Selection all;
  for (std::size_t a = 0; a < labels.size(); ++a) {
    if (labels[a] > 0) all.positives.push_back(static_cast<std::int64_t>(a));
    if (labels[a] == 0) all.negatives.push_back(static_cast<std::int64_t>(a));
  }
  if (options_.class_loss != DenseLoss::ohem) return all;

  const std::vector<std::int64_t> candidates = all.all();
  std::vector<std::int64_t> candidate_labels;
  std::vector<Scalar> candidate_losses;
  for (const std::int64_t a : candidates) {
    candidate_labels.push_back(labels[static_cast<std::size_t>(a)]);
    candidate_losses.push_back(losses[static_cast<std::size_t>(a)]);
  }
  Selection hard;
  for (const std::int64_t k : ohem_select(index_select(anchors, 0, candidates),
                                          std::vector<std::int64_t>(candidates.size(), 0),
                                          candidate_labels, candidate_losses, options_.ohem)) {
    const auto at = static_cast<std::size_t>(k);
    (candidate_labels[at] > 0 ? hard.positives : hard.negatives).push_back(candidates[at]);
  }
  return hard;
}

DetectorLoss RetinaNet::loss(const Batch& batch, Random&) {
  // A sigmoid has no column that a wrong label could miss: one_hot() would write beside its row.
  for (const Target& target : batch.targets)
    check_truth_labels("RetinaNet", target.labels, options_.num_classes);
  const Heads answers = heads(batch.images);
  const Tensor &logits = answers.logits, &offsets = answers.offsets, &anchors = answers.anchors;
  const std::int64_t n = batch.size(), num_anchors = anchors.size(0), width = columns();
  const auto per_image = static_cast<std::size_t>(num_anchors);

  // Which anchor is to say what.
  assignment_.assign(static_cast<std::size_t>(n), {});
  std::vector<std::int64_t> labels(static_cast<std::size_t>(n) * per_image);
  const Matcher matcher(options_.matcher);
  parallel_for(n, 1, [&](std::int64_t image, std::int64_t) {
    const auto i = static_cast<std::size_t>(image);
    const Target& target = batch.targets[i];
    Matches& matches = assignment_[i].matches = matcher(box_iou(target.boxes, anchors));
    ignore_flagged(matches.truth, target.difficult);
    std::ranges::copy(anchor_labels(matches, target.labels), labels.begin() + image * num_anchors);
  });

  // The class loss of each anchor, with its graph: rows of a sum that selection may thin out.
  const bool focal = options_.class_loss == DenseLoss::focal;
  const bool weighted = focal || options_.class_loss == DenseLoss::balanced;
  const FocalLossOptions class_options{.gamma = focal ? options_.gamma : 0,
                                       .alpha = weighted ? options_.alpha : -1,
                                       .reduction = Reduction::none};
  const auto class_losses = [&](const Tensor& rows, const std::vector<std::int64_t>& row_labels) {
    return options_.softmax
               ? softmax_focal_loss(rows, row_labels, class_options)
               : sum(sigmoid_focal_loss(rows, one_hot(row_labels, width), class_options), {1});
  };
  const Tensor flat = reshape(logits, {n * num_anchors, width});
  const bool selects =
      options_.class_loss == DenseLoss::ohem || options_.class_loss == DenseLoss::mining;
  losses_.assign(labels.size(), 0);
  if (selects) {  // a look at all of them without a graph
    const NoGradGuard guard;
    std::vector<std::int64_t> asked = labels;
    std::ranges::replace(asked, -1, 0);
    losses_ = class_losses(flat.detach(), asked).to_vector();
  }
  for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
    const std::vector<std::int64_t> own(
        labels.begin() + static_cast<std::ptrdiff_t>(i * per_image),
        labels.begin() + static_cast<std::ptrdiff_t>((i + 1) * per_image));
    const std::span<const Scalar> losses = std::span(losses_).subspan(i * per_image, per_image);
    assignment_[i].selection = select(assignment_[i].matches, anchors, own, losses);
  }

  std::vector<std::int64_t> rows, row_labels, positive_rows, positive_anchors;
  std::vector<Tensor> truths;
  std::int64_t negatives = 0;
  for (std::int64_t image = 0; image < n; ++image) {
    const auto& [matches, selection] = assignment_[static_cast<std::size_t>(image)];
    for (const std::int64_t a : selection.all()) {
      rows.push_back(image * num_anchors + a);
      row_labels.push_back(labels[static_cast<std::size_t>(rows.back())]);
    }
    negatives += static_cast<std::int64_t>(selection.negatives.size());
    std::vector<std::int64_t> positives;  // all of them say boxes, whichever say classes
    for (std::int64_t a = 0; a < num_anchors; ++a)
      if (matches.truth[static_cast<std::size_t>(a)] >= 0) positives.push_back(a);
    if (positives.empty()) continue;
    for (const std::int64_t a : positives) positive_rows.push_back(image * num_anchors + a);
    positive_anchors.insert(positive_anchors.end(), positives.begin(), positives.end());
    truths.push_back(
        matched_boxes(matches, batch.targets[static_cast<std::size_t>(image)].boxes, positives));
  }
  const Scalar norm = static_cast<Scalar>(std::max<std::size_t>(1, positive_rows.size()));
  const Tensor each = class_losses(index_select(flat, 0, rows), row_labels);
  std::ranges::fill(losses_, Scalar{0});
  for (std::size_t k = 0; k < rows.size(); ++k)
    losses_[static_cast<std::size_t>(rows[k])] = each.data()[k];
  const Tensor class_loss = sum(each) / norm;
  Tensor box_loss({1});
  if (!positive_rows.empty())
    box_loss =
        smooth_l1_loss(index_select(reshape(offsets, {n * num_anchors, 4}), 0, positive_rows),
                       encode_boxes(cat(truths, 0), index_select(anchors, 0, positive_anchors),
                                    options_.box_weights),
                       options_.box_beta, {.reduction = Reduction::sum}) *
        (static_cast<Scalar>(options_.box_weight) / norm);

  DetectorLoss result;
  result.total = class_loss + box_loss;
  result.parts = {{"class", static_cast<double>(class_loss.item())},
                  {"box", static_cast<double>(box_loss.item())}};
  result.positives = static_cast<std::int64_t>(positive_rows.size());
  result.negatives = negatives;
  return result;
}

std::vector<Detections> RetinaNet::detect(const Batch& batch) {
  const NoGradGuard no_grad;
  const auto [logits, offsets, anchors] = heads(batch.images);
  return postprocess_batch(decode_boxes(offsets, anchors, options_.box_weights), scores(logits),
                           batch.infos, options_.postprocess);
}

}  // namespace boxgrad::detection
