#include "detection/models/retinanet_inspect.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"
#include "core/random.h"
#include "layers/focal_loss.h"

namespace boxgrad::detection {

LossMass loss_mass(RetinaNet& model, const Batch& batch, double gamma) {
  const NoGradGuard guard;
  const nn::EvaluationMode evaluation(model);
  Random random;
  model.loss(batch, random);  // which matches the anchors
  const Tensor logits = model.heads(batch.images).logits;
  const std::int64_t anchors = logits.size(1), width = logits.size(2);
  const FocalLossOptions focal{.gamma = gamma, .alpha = -1, .reduction = Reduction::none};
  LossMass mass;
  for (std::int64_t image = 0; image < batch.size(); ++image) {
    const auto i = static_cast<std::size_t>(image);
    const std::vector<std::int64_t> labels =
        anchor_labels(model.last_assignment()[i].matches, batch.targets[i].labels);
    const Tensor rows = reshape(slice(logits, 0, image, image + 1), {anchors, width});
    std::vector<Scalar> losses;
    if (model.options().softmax) {
      losses = softmax_focal_loss(rows, labels, focal).to_vector();
    } else {
      Tensor target({anchors, width});
      for (std::size_t a = 0; a < labels.size(); ++a)
        if (labels[a] > 0)
          target.data()[a * static_cast<std::size_t>(width) +
                        static_cast<std::size_t>(labels[a] - 1)] = 1;
      losses = sum(sigmoid_focal_loss(rows, target, focal), {1}).to_vector();
    }
    for (std::size_t a = 0; a < labels.size(); ++a) {
      if (labels[a] > 0) mass.positives.push_back(losses[a]);
      if (labels[a] == 0) mass.negatives.push_back(losses[a]);
    }
  }
  std::ranges::sort(mass.positives);
  std::ranges::sort(mass.negatives);
  return mass;
}

std::vector<double> cumulative_loss(const std::vector<Scalar>& losses, int points) {
  check(!losses.empty(), "cumulative_loss: there are no losses");
  check(points >= 1, "cumulative_loss: points must be >= 1, got ", points);
  const double total = std::accumulate(losses.begin(), losses.end(), 0.);
  check(total > 0, "cumulative_loss: all losses are 0");
  std::vector<double> shares;
  double sum = 0;
  std::size_t next = 0;
  for (int i = 0; i <= points; ++i) {
    const auto end = static_cast<std::size_t>(std::llround(
        static_cast<double>(losses.size()) * static_cast<double>(i) / static_cast<double>(points)));
    for (; next < end; ++next) sum += static_cast<double>(losses[next]);
    shares.push_back(sum / total);
  }
  return shares;
}

double hardest_share(const std::vector<Scalar>& losses, double fraction) {
  check(fraction >= 0 && fraction <= 1, "hardest_share: fraction must be 0 to 1, got ", fraction);
  check(!losses.empty(), "hardest_share: there are no losses");
  const auto count =
      static_cast<std::ptrdiff_t>(std::llround(fraction * static_cast<double>(losses.size())));
  const double total = std::accumulate(losses.begin(), losses.end(), 0.);
  check(total > 0, "hardest_share: all losses are 0");
  return std::accumulate(losses.end() - count, losses.end(), 0.) / total;
}

}  // namespace boxgrad::detection
