#include "detection/models/retinanet.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

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

// Which anchor is to say what: matches of every image, and the labels of all their anchors.
std::vector<std::int64_t> RetinaNet::match(const Batch& batch, const Tensor& anchors) {
  const std::int64_t n = batch.size(), num_anchors = anchors.size(0);
  assignment_.assign(static_cast<std::size_t>(n), {});
  std::vector<std::int64_t> labels(static_cast<std::size_t>(n * num_anchors));
  const Matcher matcher(options_.matcher);
  parallel_for(n, 1, [&](std::int64_t image, std::int64_t) {
    const auto i = static_cast<std::size_t>(image);
    const Target& target = batch.targets[i];
    Matches& matches = assignment_[i].matches = matcher(box_iou(target.boxes, anchors));
    ignore_flagged(matches.truth, target.difficult);
    std::ranges::copy(anchor_labels(matches, target.labels), labels.begin() + image * num_anchors);
  });
  return labels;
}

Tensor RetinaNet::class_losses(const Tensor& logits,
                               const std::vector<std::int64_t>& labels) const {
  const bool focal = options_.class_loss == DenseLoss::focal;
  const bool weighted = focal || options_.class_loss == DenseLoss::balanced;
  const FocalLossOptions loss{.gamma = focal ? options_.gamma : 0,
                              .alpha = weighted ? options_.alpha : -1,
                              .reduction = Reduction::none};
  if (options_.softmax) return softmax_focal_loss(logits, labels, loss);
  return sum(sigmoid_focal_loss(logits, one_hot(labels, columns()), loss), {1});
}

Selection RetinaNet::select(const Matches& matches, const Tensor& anchors,
                            std::span<const std::int64_t> labels,
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

// Which anchors the class loss looks at. Those who choose by the loss have a look at all of them
// before, without a graph.
void RetinaNet::select_anchors(const Tensor& logits, const Tensor& anchors,
                               const std::vector<std::int64_t>& labels) {
  losses_.assign(labels.size(), 0);
  if (options_.class_loss == DenseLoss::ohem || options_.class_loss == DenseLoss::mining) {
    const NoGradGuard guard;
    std::vector<std::int64_t> asked = labels;
    std::ranges::replace(asked, -1, 0);
    losses_ = class_losses(logits.detach(), asked).to_vector();
  }
  const auto per_image = static_cast<std::size_t>(anchors.size(0));
  for (std::size_t i = 0; i < assignment_.size(); ++i)
    assignment_[i].selection =
        select(assignment_[i].matches, anchors, std::span(labels).subspan(i * per_image, per_image),
               std::span(std::as_const(losses_)).subspan(i * per_image, per_image));
}

// The class losses of the chosen anchors, added up; each is kept in losses_.
Tensor RetinaNet::class_loss_sum(const Tensor& logits, const std::vector<std::int64_t>& labels) {
  std::vector<std::int64_t> rows, row_labels;
  std::int64_t first = 0;  // the image's first row
  for (const Assignment& image : assignment_) {
    for (const std::int64_t anchor : image.selection.all()) {
      rows.push_back(first + anchor);
      row_labels.push_back(labels[static_cast<std::size_t>(rows.back())]);
    }
    first += std::ssize(image.matches.truth);
  }
  const Tensor each = class_losses(index_select(logits, 0, rows), row_labels);
  std::ranges::fill(losses_, Scalar{0});
  for (std::size_t k = 0; k < rows.size(); ++k)
    losses_[static_cast<std::size_t>(rows[k])] = each.data()[k];
  return sum(each);
}

// The box losses of all matched anchors, whichever of them say classes, added up.
Tensor RetinaNet::box_loss_sum(const Tensor& offsets, const Tensor& anchors, const Batch& batch,
                               std::int64_t& positives) const {
  std::vector<std::int64_t> rows, row_anchors;
  std::vector<Tensor> truths;
  std::int64_t first = 0;  // the image's first row
  for (std::size_t i = 0; i < assignment_.size(); ++i, first += anchors.size(0)) {
    const Matches& matches = assignment_[i].matches;
    std::vector<std::int64_t> matched;
    for (std::int64_t a = 0; a < anchors.size(0); ++a)
      if (matches.truth[static_cast<std::size_t>(a)] >= 0) matched.push_back(a);
    if (matched.empty()) continue;
    for (const std::int64_t a : matched) rows.push_back(first + a);
    row_anchors.insert(row_anchors.end(), matched.begin(), matched.end());
    truths.push_back(matched_boxes(matches, batch.targets[i].boxes, matched));
  }
  positives = static_cast<std::int64_t>(rows.size());
  if (rows.empty()) return Tensor({1});
  const Tensor wanted =
      encode_boxes(cat(truths, 0), index_select(anchors, 0, row_anchors), options_.box_weights);
  return smooth_l1_loss(index_select(offsets, 0, rows), wanted, options_.box_beta,
                        {.reduction = Reduction::sum});
}

DetectorLoss RetinaNet::loss(const Batch& batch, Random&) {
  // A sigmoid has no column that a wrong label could miss: one_hot() would write beside its row.
  for (const Target& target : batch.targets)
    check_truth_labels("RetinaNet", target.labels, options_.num_classes);
  const Heads answers = heads(batch.images);
  const Tensor& anchors = answers.anchors;
  const std::int64_t rows = batch.size() * anchors.size(0);
  const Tensor logits = reshape(answers.logits, {rows, columns()});
  const Tensor offsets = reshape(answers.offsets, {rows, 4});

  const std::vector<std::int64_t> labels = match(batch, anchors);
  select_anchors(logits, anchors, labels);

  DetectorLoss result;
  const Tensor classes = class_loss_sum(logits, labels);
  const Tensor boxes = box_loss_sum(offsets, anchors, batch, result.positives);
  const auto norm = static_cast<Scalar>(std::max<std::int64_t>(1, result.positives));
  const Tensor class_loss = classes / norm;
  const Tensor box_loss = boxes * (static_cast<Scalar>(options_.box_weight) / norm);
  result.total = class_loss + box_loss;
  result.parts = {{"class", static_cast<double>(class_loss.item())},
                  {"box", static_cast<double>(box_loss.item())}};
  for (const Assignment& image : assignment_)
    result.negatives += static_cast<std::int64_t>(image.selection.negatives.size());
  return result;
}

std::vector<Detections> RetinaNet::detect(const Batch& batch) {
  const NoGradGuard no_grad;
  const auto [logits, offsets, anchors] = heads(batch.images);
  return postprocess_batch(decode_boxes(offsets, anchors, options_.box_weights), scores(logits),
                           batch.infos, options_.postprocess);
}

}  // namespace boxgrad::detection
