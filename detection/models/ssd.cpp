#include "detection/models/ssd.h"

#include <cmath>

#include "core/autograd.h"
#include "core/ops.h"
#include "detection/losses.h"
#include "layers/activation.h"
#include "layers/conv.h"
#include "layers/losses.h"
#include "layers/sequential.h"

namespace boxgrad::detection {

namespace {

/// A K x K convolution to `outputs` channels, or a depthwise 3x3 one and then a 1x1.
struct Head {
  std::shared_ptr<nn::Module> module;
  Tensor bias;  ///< of the last convolution
};

Head make_head(std::int64_t channels, std::int64_t outputs, const SsdOptions& options) {
  if (!options.separable_head) {
    const auto conv =
        std::make_shared<nn::Conv2d>(channels, outputs, options.head_kernel,
                                     Conv2dOptions{.padding = (options.head_kernel - 1) / 2});
    return {conv, conv->bias};
  }
  const auto last = std::make_shared<nn::Conv2d>(channels, outputs, 1);
  return {std::make_shared<nn::Sequential>(
              std::make_shared<nn::Conv2d>(
                  channels, channels, 3,
                  Conv2dOptions{.padding = 1, .groups = channels, .bias = false}),
              last),
          last->bias};
}

/// Softmax over L = 1 + K classes gives background 1 - prior when its logit is this and the other
/// logits are 0. (Lin et al., "Focal loss", section 3.3, for sigmoids; this is the softmax form.)
double background_bias(std::int64_t num_classes, double prior) {
  return std::log(static_cast<double>(num_classes) * (1 - prior) / prior);
}

}  // namespace

Ssd::Ssd(std::shared_ptr<Backbone> backbone, SsdOptions options)
    : options_(std::move(options)), generator_(options_.levels) {
  check(backbone != nullptr, "Ssd: the backbone is null");
  check(options_.num_classes >= 1, "Ssd: num_classes must be >= 1, got ", options_.num_classes);
  check(options_.prior >= 0 && options_.prior < 1, "Ssd: prior must be in [0, 1), got ",
        options_.prior);
  check(options_.head_kernel % 2 == 1, "Ssd: head_kernel must be odd, got ", options_.head_kernel);
  const std::vector<std::int64_t> channels = backbone->channels();
  check(channels.size() == options_.levels.size(), "Ssd: the backbone has ", channels.size(),
        " maps, the anchors ", options_.levels.size(), " levels");
  backbone_ = add_module("backbone", std::move(backbone));
  for (std::size_t k = 0; k < channels.size(); ++k) {
    const std::int64_t per_cell = generator_.num_anchors(static_cast<int>(k));
    const std::int64_t classes = 1 + options_.num_classes;
    Head class_head = make_head(channels[k], per_cell * classes, options_);
    if (options_.prior > 0)
      for (std::int64_t a = 0; a < per_cell; ++a)
        class_head.bias.set({a * classes}, static_cast<Scalar>(background_bias(options_.num_classes,
                                                                               options_.prior)));
    class_heads_.push_back(add_module(concat("class_head", k + 1), class_head.module));
    const Head box_head = make_head(channels[k], per_cell * 4, options_);
    box_heads_.push_back(add_module(concat("box_head", k + 1), box_head.module));
  }
}

Ssd::Heads Ssd::heads(const Tensor& images) {
  std::vector<Tensor> maps;
  {
    const ModuleScope scope("backbone");
    maps = backbone_.as<Backbone>().maps(images);
  }
  check(maps.size() == class_heads_.size(), "Ssd: there are heads for ", class_heads_.size(),
        " maps, the backbone gave ", maps.size());
  const std::int64_t n = images.size(0);
  std::vector<Tensor> logits, offsets;
  std::vector<MapSize> sizes;
  for (std::size_t k = 0; k < maps.size(); ++k) {
    // [N, H, W, A * L] is [N, H * W * A, L] in memory: channels last pays off.
    logits.push_back(reshape(class_heads_[k](maps[k]), {n, -1, 1 + options_.num_classes}));
    offsets.push_back(reshape(box_heads_[k](maps[k]), {n, -1, 4}));
    sizes.push_back({maps[k].size(1), maps[k].size(2)});
  }
  if (sizes != maps_) {
    anchors_ = generator_(sizes);
    maps_ = sizes;
  }
  return {cat(logits, 1), cat(offsets, 1), anchors_};
}

AnchorAssignment Ssd::assign(const Target& target, std::span<const Scalar> losses,
                             Random& random) const {
  AnchorAssignment result;
  const Tensor iou = box_iou(target.boxes, anchors_);
  // Crowds are flagged difficult as well.
  const std::vector<bool>& silent = options_.learn_difficult ? target.crowd : target.difficult;
  if (options_.sampling == AnchorSampling::notes) {
    const Matcher matcher({.positive = Scalar(0.6), .negative = Scalar(0.4)});
    result.matches = matcher(iou);
    ignore_flagged(result.matches.truth, silent);
    result.selection = sample_minibatch(result.matches.truth, losses, random, options_.minibatch);
    return result;
  }
  result.matches = ssd_match(iou, options_.match_iou);
  ignore_flagged(result.matches.truth, silent);
  MiningOptions mining = options_.mining;
  if (options_.sampling == AnchorSampling::all || options_.sampling == AnchorSampling::mean)
    mining.min_negatives = anchors_.size(0);  // every negative is among the hardest A
  result.selection = mine_hard_negatives(result.matches.truth, losses, mining);
  return result;
}

DetectorLoss Ssd::loss(const Batch& batch, Random& random) {
  for (const Target& target : batch.targets)
    check_truth_labels("Ssd", target.labels, options_.num_classes);
  const auto [logits, offsets, anchors] = heads(batch.images);
  const std::int64_t n = batch.size(), num_anchors = anchors.size(0);
  const std::int64_t classes = 1 + options_.num_classes;

  // How wrong each anchor is if it is background: what negatives are ranked by.
  const std::vector<std::int64_t> background(static_cast<std::size_t>(n * num_anchors), 0);
  const std::vector<Scalar> losses = cross_entropy_values(logits, background);
  assignment_.resize(static_cast<std::size_t>(n));
  const std::uint64_t seed = random.next_u32();
  parallel_for(n, 1, [&](std::int64_t begin, std::int64_t) {
    // A stream of its own for each image: threads cannot change what is drawn.
    Random image_random(seed, static_cast<std::uint64_t>(begin));
    const auto i = static_cast<std::size_t>(begin);
    const auto a = static_cast<std::size_t>(num_anchors);
    assignment_[i] = assign(batch.targets[i], std::span(losses).subspan(i * a, a), image_random);
  });

  // The chosen rows of [N * A, ...], their labels, and what the positives should predict.
  std::vector<std::int64_t> rows, labels, positive_rows, positive_anchors;
  std::vector<Tensor> truths;
  std::vector<Selection> selections;
  for (std::int64_t image = 0; image < n; ++image) {
    const auto& [matches, selection] = assignment_[static_cast<std::size_t>(image)];
    const Target& target = batch.targets[static_cast<std::size_t>(image)];
    const std::vector<std::int64_t> all_labels = anchor_labels(matches, target.labels);
    for (const std::int64_t anchor : selection.all()) {
      rows.push_back(image * num_anchors + anchor);
      labels.push_back(all_labels[static_cast<std::size_t>(anchor)]);
    }
    for (const std::int64_t anchor : selection.positives) {
      positive_rows.push_back(image * num_anchors + anchor);
      positive_anchors.push_back(anchor);
    }
    if (!selection.positives.empty())
      truths.push_back(matched_boxes(matches, target.boxes, selection.positives));
    selections.push_back(selection);
  }

  const Normalizers normalizers = count_normalizers(selections);
  const bool over_total =
      options_.sampling == AnchorSampling::notes || options_.sampling == AnchorSampling::mean;
  const Scalar class_norm = over_total ? normalizers.total : normalizers.positives;
  const Tensor class_loss =
      cross_entropy(index_select(reshape(logits, {n * num_anchors, classes}), 0, rows), labels,
                    {.reduction = Reduction::sum}) /
      class_norm;
  Tensor box_loss = Tensor({1});
  if (!positive_rows.empty()) {
    const Tensor chosen = index_select(reshape(offsets, {n * num_anchors, 4}), 0, positive_rows);
    const Tensor chosen_anchors = index_select(anchors, 0, positive_anchors);
    const Tensor boxes = cat(truths, 0);
    const Tensor sum =
        options_.box_loss == BoxLoss::smooth_l1
            ? smooth_l1_loss(chosen, encode_boxes(boxes, chosen_anchors, options_.box_weights), 1,
                             {.reduction = Reduction::sum})
            : decoded_l2_loss(chosen, chosen_anchors, boxes,
                              static_cast<Scalar>(batch.images.size(2)),
                              static_cast<Scalar>(batch.images.size(1)), options_.box_weights);
    box_loss = sum * (static_cast<Scalar>(options_.box_weight) / normalizers.positives);
  }

  DetectorLoss result;
  result.total = class_loss + box_loss;
  result.parts = {{"class", static_cast<double>(class_loss.item())},
                  {"box", static_cast<double>(box_loss.item())}};
  result.positives = static_cast<std::int64_t>(positive_rows.size());
  result.negatives = static_cast<std::int64_t>(rows.size()) - result.positives;
  return result;
}

std::vector<Detections> Ssd::detect(const Batch& batch) {
  const NoGradGuard no_grad;
  const auto [logits, offsets, anchors] = heads(batch.images);
  return postprocess_batch(decode_boxes(offsets, anchors, options_.box_weights), softmax(logits),
                           batch.infos, options_.postprocess);
}

}  // namespace boxgrad::detection
