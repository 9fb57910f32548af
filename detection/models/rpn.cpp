#include "detection/models/rpn.h"

#include <cmath>
#include <memory>
#include <utility>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "detection/boxes.h"
#include "detection/nms.h"
#include "layers/conv.h"
#include "layers/init.h"
#include "layers/losses.h"

namespace boxgrad::detection {

RegionProposalNetwork::RegionProposalNetwork(std::int64_t in_channels, RpnOptions options)
    : options_(std::move(options)), generator_({options_.anchors}) {
  const std::int64_t per_cell = generator_.num_anchors(0);
  const auto layer = [&](const char* name, std::int64_t in, std::int64_t out, std::int64_t kernel,
                         Activation activation) {
    const auto conv = std::make_shared<nn::Conv2d>(
        in, out, kernel, Conv2dOptions{.padding = kernel / 2, .activation = activation});
    nn::init::gaussian(conv->weight, 0.01);
    nn::init::constant(conv->bias, 0);
    return add_module(name, conv);
  };
  conv_ = layer("conv", in_channels, options_.channels, 3, Activation::relu);
  cls_logits_ = layer("cls_logits", options_.channels, per_cell, 1, Activation::none);
  bbox_pred_ = layer("bbox_pred", options_.channels, 4 * per_cell, 1, Activation::none);
}

RegionProposalNetwork::Output RegionProposalNetwork::operator()(const Tensor& map) {
  const Tensor x = conv_(map);
  const std::int64_t n = map.size(0);
  // [N, H, W, A] is [N, H W A] in memory.
  return {reshape(cls_logits_(x), {n, -1}), reshape(bbox_pred_(x), {n, -1, 4}),
          generator_({{map.size(1), map.size(2)}})};
}

RegionProposalNetwork::Loss RegionProposalNetwork::loss(const Output& output,
                                                        const std::vector<Target>& targets,
                                                        const std::vector<BatchImage>& infos,
                                                        Random& random) {
  const std::int64_t n = output.logits.size(0), num_anchors = output.anchors.size(0);
  check(static_cast<std::int64_t>(targets.size()) == n && infos.size() == targets.size(),
        "RegionProposalNetwork: expected ", n, " targets and infos, got ", targets.size(), " and ",
        infos.size());
  const auto anchor = output.anchors.data();
  const Matcher matcher(options_.matcher);
  const std::uint64_t seed = random.next_u32();
  assignment_.assign(targets.size(), {});
  parallel_for(n, 1, [&](std::int64_t image, std::int64_t) {
    const auto i = static_cast<std::size_t>(image);
    // Of the anchors that may learn; the others stay ignored.
    std::vector<std::int64_t> inside;
    for (std::int64_t a = 0; a < num_anchors; ++a) {
      const Scalar* box = anchor.data() + 4 * a;
      if (!options_.ignore_crossing ||
          (box[0] >= 0 && box[1] >= 0 && box[2] <= static_cast<Scalar>(infos[i].width) &&
           box[3] <= static_cast<Scalar>(infos[i].height)))
        inside.push_back(a);
      else
        assignment_[i].crossing.push_back(a);
    }
    Matches found = matcher(box_iou(targets[i].boxes, index_select(output.anchors, 0, inside)));
    ignore_flagged(found.truth, targets[i].difficult);
    Matches& matches = assignment_[i].matches;
    matches.truth.assign(static_cast<std::size_t>(num_anchors), kIgnored);
    matches.iou.assign(static_cast<std::size_t>(num_anchors), 0);
    matches.unmatched_truths = found.unmatched_truths;
    for (std::size_t k = 0; k < inside.size(); ++k) {
      matches.truth[static_cast<std::size_t>(inside[k])] = found.truth[k];
      matches.iou[static_cast<std::size_t>(inside[k])] = found.iou[k];
    }
    Random image_random(seed, static_cast<std::uint64_t>(image));
    assignment_[i].selection = sample_balanced(matches.truth, image_random, options_.sampling);
  });

  Loss result{Tensor({1}), Tensor({1})};
  std::vector<std::int64_t> rows, positive_rows, positive_anchors;
  std::vector<Scalar> is_object;
  std::vector<Tensor> truths;
  for (std::int64_t image = 0; image < n; ++image) {
    const auto& [matches, selection, crossing] = assignment_[static_cast<std::size_t>(image)];
    for (const std::int64_t a : selection.all()) {
      rows.push_back(image * num_anchors + a);
      is_object.push_back(matches.truth[static_cast<std::size_t>(a)] >= 0 ? Scalar{1} : Scalar{0});
    }
    if (selection.positives.empty()) continue;
    for (const std::int64_t a : selection.positives) {
      positive_rows.push_back(image * num_anchors + a);
      positive_anchors.push_back(a);
    }
    truths.push_back(matched_boxes(matches, targets[static_cast<std::size_t>(image)].boxes,
                                   selection.positives));
  }
  result.positives = static_cast<std::int64_t>(positive_rows.size());
  result.negatives = static_cast<std::int64_t>(rows.size()) - result.positives;
  if (rows.empty()) {
    result.objectness = sum(output.logits) * Scalar{0};
    return result;
  }
  const auto sampled = static_cast<std::int64_t>(rows.size());
  result.objectness = binary_cross_entropy_with_logits(
      index_select(reshape(output.logits, {n * num_anchors, 1}), 0, rows),
      Tensor({sampled, 1}, is_object));
  if (positive_rows.empty()) return result;
  const Tensor wanted = encode_boxes(
      cat(truths, 0), index_select(output.anchors, 0, positive_anchors), kUnitBoxWeights);
  result.boxes =
      smooth_l1_loss(index_select(reshape(output.offsets, {n * num_anchors, 4}), 0, positive_rows),
                     wanted, Scalar(1. / 9), {.reduction = Reduction::sum}) *
      static_cast<Scalar>(options_.box_weight / static_cast<double>(sampled));
  return result;
}

std::vector<Tensor> RegionProposalNetwork::proposals(const Output& output,
                                                     const std::vector<BatchImage>& infos) const {
  return is_training()
             ? proposals(output, infos, options_.train_before_nms, options_.train_proposals)
             : proposals(output, infos, options_.test_before_nms, options_.test_proposals);
}

std::vector<Tensor> RegionProposalNetwork::proposals(const Output& output,
                                                     const std::vector<BatchImage>& infos,
                                                     std::int64_t before_nms,
                                                     std::int64_t count) const {
  const NoGradGuard guard;
  const std::int64_t n = output.logits.size(0), num_anchors = output.anchors.size(0);
  check(static_cast<std::int64_t>(infos.size()) == n, "RegionProposalNetwork: expected ", n,
        " infos, got ", infos.size());
  check(before_nms >= 1 && count >= 1,
        "RegionProposalNetwork: before_nms and count must be >= 1, got ", before_nms, " and ",
        count);
  std::vector<Tensor> result(infos.size());
  parallel_for(static_cast<std::int64_t>(infos.size()), 1, [&](std::int64_t image, std::int64_t) {
    const NoGradGuard here_too;
    const auto i = static_cast<std::size_t>(image);
    const auto logits = output.logits.data().subspan(i * static_cast<std::size_t>(num_anchors),
                                                     static_cast<std::size_t>(num_anchors));
    const std::vector<std::int64_t> best = topk(logits, before_nms);
    const Tensor offsets = index_select(
        reshape(slice(output.offsets, 0, image, image + 1), {num_anchors, 4}), 0, best);
    const Tensor boxes = clip_boxes_to_image(
        decode_boxes(offsets, index_select(output.anchors, 0, best), kUnitBoxWeights),
        static_cast<Scalar>(infos[i].width), static_cast<Scalar>(infos[i].height));
    std::vector<std::int64_t> large;
    std::vector<Scalar> scores;
    for (std::size_t k = 0; k < best.size(); ++k) {
      const Scalar* box = boxes.data().data() + 4 * k;
      if (box[2] - box[0] < options_.min_side_px || box[3] - box[1] < options_.min_side_px)
        continue;
      large.push_back(static_cast<std::int64_t>(k));
      scores.push_back(logits[static_cast<std::size_t>(best[k])]);
    }
    const Tensor candidates = index_select(boxes, 0, large);
    std::vector<std::int64_t> kept = nms(candidates, scores, options_.nms_iou);
    if (static_cast<std::int64_t>(kept.size()) > count)
      kept.resize(static_cast<std::size_t>(count));
    result[i] = index_select(candidates, 0, kept);
  });
  return result;
}

}  // namespace boxgrad::detection
