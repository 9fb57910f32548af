#include "detection/models/ssd_inspect.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/draw.h"
#include "core/ops.h"
#include "detection/boxes.h"
#include "detection/draw.h"
#include "layers/activation.h"

namespace boxgrad::detection {

AnchorBeliefs anchor_beliefs(Ssd& model, const Batch& batch) {
  const NoGradGuard no_grad;
  const nn::EvaluationMode evaluation(model);
  Random random;
  model.loss(batch, random);  // matches the anchors
  const Tensor scores = softmax(model.heads(batch.images).logits);

  const auto p = scores.data();
  const auto classes = static_cast<std::size_t>(scores.size(2));
  const auto anchors = static_cast<std::size_t>(scores.size(1));
  double background = 0, object = 0, positives = 0;
  for (std::size_t row = 0; row < p.size(); row += classes)
    background += std::max_element(p.begin() + static_cast<std::ptrdiff_t>(row),
                                   p.begin() + static_cast<std::ptrdiff_t>(row + classes)) ==
                  p.begin() + static_cast<std::ptrdiff_t>(row);
  for (std::size_t i = 0; i < static_cast<std::size_t>(batch.size()); ++i)
    for (const std::int64_t anchor : model.last_assignment()[i].selection.positives) {
      object +=
          1 - static_cast<double>(p[(i * anchors + static_cast<std::size_t>(anchor)) * classes]);
      ++positives;
    }
  return {background * static_cast<double>(classes) / static_cast<double>(p.size()),
          positives > 0 ? object / positives : 0};
}

std::vector<FoundBy> found_by(Ssd& model, const Batch& batch) {
  const NoGradGuard no_grad;
  const nn::EvaluationMode evaluation(model);
  const auto [logits, offsets, anchors] = model.heads(batch.images);
  const Tensor scores = softmax(logits);
  const Tensor boxes = decode_boxes(offsets, anchors, model.options().box_weights);
  // The first anchor behind each level.
  std::vector<std::int64_t> ends;
  for (std::size_t level = 0; level < model.last_maps().size(); ++level)
    ends.push_back((ends.empty() ? 0 : ends.back()) +
                   model.last_maps()[level].height * model.last_maps()[level].width *
                       static_cast<std::int64_t>(model.options().levels[level].sizes.size()));

  std::vector<FoundBy> result;
  for (std::int64_t i = 0; i < batch.size(); ++i) {
    const Target& target = batch.targets[static_cast<std::size_t>(i)];
    const Tensor own = reshape(slice(boxes, 0, i, i + 1), {anchors.size(0), 4});
    const Tensor iou = box_iou(target.boxes, own), area = box_area(target.boxes);
    for (std::size_t g = 0; g < target.labels.size(); ++g) {
      if (g < target.difficult.size() && target.difficult[g]) continue;
      const auto truth = static_cast<std::int64_t>(g);
      FoundBy found{.side_px = std::sqrt(area.at({truth}))};
      for (std::int64_t a = 0; a < anchors.size(0); ++a) {
        const Scalar score = scores.at({i, a, target.labels[g]});
        if (iou.at({truth, a}) <= Scalar(0.5) || score <= found.score) continue;
        found.score = score;
        found.level = static_cast<int>(std::ranges::upper_bound(ends, a) - ends.begin());
      }
      result.push_back(found);
    }
  }
  return result;
}

Image anchors_sheet(Ssd& model, std::span<const Sample> samples, const BatchOptions& options,
                    const std::vector<std::string>& class_names) {
  const NoGradGuard no_grad;
  const nn::EvaluationMode evaluation(model);
  Random random;
  model.loss(collate(samples, options), random);
  std::vector<Image> images;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    auto [canvas, scale] = enlarged(samples[i].image);
    const AnchorAssignment& assigned = model.last_assignment()[i];
    const DrawOptions draw{.scale = static_cast<double>(scale), .text_scale = 0};
    draw_anchors(canvas, model.last_anchors(), assigned.matches, assigned.selection, draw);
    draw_truths(canvas, samples[i].target, class_names, draw);
    images.push_back(std::move(canvas));
  }
  return image_grid(images);
}

}  // namespace boxgrad::detection
