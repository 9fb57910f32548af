#include "layers/focal_loss.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/ops.h"
#include "layers/activation.h"
#include "layers/kernels/elementwise_loss.h"
#include "layers/kernels/fast_exp.h"

namespace boxgrad {

namespace {

void check_focal_options(const char* op, const FocalLossOptions& options) {
  check(options.gamma >= 0, op, ": gamma must be >= 0, got ", options.gamma);
  check(options.alpha <= 1, op, ": alpha must be <= 1, got ", options.alpha);
}

/// What the truth's side of a yes-or-no question costs, from z (large: sure and right).
struct FocalTerms {
  Scalar ln_p, q, modulation;  ///< ln p_t, 1 - p_t and (1 - p_t)^gamma

  FocalTerms(Scalar z, Scalar gamma) {
    const Scalar e = kernels::fast_exp(-std::abs(z)), tail = std::log1p(e);
    ln_p = (z < 0 ? z : 0) - tail;                // -softplus(-z)
    const Scalar ln_q = (z > 0 ? -z : 0) - tail;  // ln(1 - p_t) = -softplus(z)
    q = (z >= 0 ? e : 1) / (1 + e);
    modulation = gamma == 0 ? 1 : kernels::fast_exp(gamma * ln_q);
  }
};

}  // namespace

Tensor sigmoid_focal_loss(const Tensor& logits, const Tensor& target,
                          const FocalLossOptions& options) {
  check_focal_options("sigmoid_focal_loss", options);
  for (const Scalar t : target.data())
    check(t == 0 || t == 1, "sigmoid_focal_loss: targets must be 0 or 1, got ", t);
  const auto gamma = static_cast<Scalar>(options.gamma);
  const bool weighted = options.alpha >= 0;
  const Scalar positive = weighted ? static_cast<Scalar>(options.alpha) : 1;
  const Scalar negative = weighted ? static_cast<Scalar>(1 - options.alpha) : 1;
  return kernels::elementwise_loss(
      "sigmoid_focal_loss", logits, target, {.reduction = options.reduction},
      [=](Scalar x, Scalar t) {
        const FocalTerms f(t > 0 ? x : -x, gamma);
        return -(t > 0 ? positive : negative) * f.modulation * f.ln_p;
      },
      [=](Scalar x, Scalar t) {
        const FocalTerms f(t > 0 ? x : -x, gamma);
        const Scalar slope = f.modulation * (gamma * (1 - f.q) * f.ln_p - f.q);
        return t > 0 ? positive * slope : -negative * slope;
      });
}

Tensor softmax_focal_loss(const Tensor& logits, const std::vector<std::int64_t>& labels,
                          const FocalLossOptions& options) {
  check_focal_options("softmax_focal_loss", options);
  const bool none = options.reduction == Reduction::none;
  const std::vector<Scalar> cross_entropy = cross_entropy_values(logits, labels);  // -ln p_u
  const std::int64_t classes = logits.size(-1), rows = static_cast<std::int64_t>(labels.size());
  const auto gamma = static_cast<Scalar>(options.gamma);

  // Of every row its loss and the factor of (p_l - [l = u]) in its gradient.
  std::int64_t counted = 0;
  std::vector<Scalar> losses(labels.size(), 0), factors(labels.size(), 0);
  for (std::size_t r = 0; r < labels.size(); ++r) {
    if (labels[r] < 0) continue;
    ++counted;
    const Scalar alpha = static_cast<Scalar>(options.alpha < 0 ? 1
                                             : labels[r] > 0   ? options.alpha
                                                               : 1 - options.alpha);
    const Scalar ln_p = -cross_entropy[r], p = std::exp(ln_p);
    const Scalar q = -std::expm1(ln_p);  // 1 - p, also where p is nearly 1
    const Scalar modulation = gamma == 0 ? 1 : std::pow(q, gamma);
    losses[r] = -alpha * modulation * ln_p;
    // As q goes to 0, ln p is about -q, and q^gamma / q * ln p about -q^gamma: 0 for every gamma > 0.
    const Scalar mixed = q > 0 ? modulation / q * p * ln_p : Scalar(0);
    factors[r] = alpha * (modulation - gamma * mixed);
  }
  const Scalar scale = options.reduction == Reduction::mean
                           ? 1 / static_cast<Scalar>(std::max<std::int64_t>(1, counted))
                           : 1;
  std::vector<std::int64_t> extents{1};
  if (none && logits.rank() > 1) extents.assign(logits.shape().begin(), logits.shape().end() - 1);
  Tensor output = Tensor::empty(Shape(extents));
  if (none)
    std::ranges::copy(losses, output.data().begin());
  else
    output.data()[0] =
        static_cast<Scalar>(static_cast<double>(scale) *
                            kernels::ordered_sum(rows, [&](std::size_t r) { return losses[r]; }));
  return from_op("softmax_focal_loss", output, {logits},
                 [logits = logits.detach(), dx = logits.grad_slot(), labels,
                  factors = std::move(factors), classes, scale, none](const Tensor& dloss) {
                   const NoGradGuard guard;
                   const Tensor probabilities = softmax(logits);
                   const Scalar *p = probabilities.data().data(), *g = dloss.data().data();
                   dx->accumulate([&](std::size_t i) {
                     const std::size_t r = i / static_cast<std::size_t>(classes);
                     // Not 0 times p: where a logit is infinite, p is NaN.
                     if (labels[r] < 0) return Scalar{0};
                     const auto l =
                         static_cast<std::int64_t>(i % static_cast<std::size_t>(classes));
                     return scale * g[none ? r : 0] * factors[r] *
                            (p[i] - (l == labels[r] ? Scalar{1} : Scalar{0}));
                   });
                 });
}

}  // namespace boxgrad
