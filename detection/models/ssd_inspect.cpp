#include "detection/models/ssd_inspect.h"

#include <algorithm>

#include "core/autograd.h"
#include "core/draw.h"
#include "detection/draw.h"
#include "layers/activation.h"

namespace boxgrad::detection {

AnchorBeliefs anchor_beliefs(Ssd& model, const Batch& batch) {
  const NoGradGuard no_grad;
  const bool training = model.is_training();
  model.eval();
  Random random;
  model.loss(batch, random);  // matches the anchors
  const Tensor scores = softmax(model.heads(batch.images).logits);
  model.train(training);

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

Image anchors_sheet(Ssd& model, std::span<const Sample> samples, const BatchOptions& options,
                    const std::vector<std::string>& class_names) {
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
