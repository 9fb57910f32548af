#include "layers/adamw.h"

#include <cmath>

#include "core/autograd.h"
#include "core/check.h"

namespace boxgrad::nn {

AdamW::AdamW(const StateDict& parameters, const AdamWOptions& options)
    : Optimizer("AdamW", parameters, options.rate, options.accumulate, options.groups,
                {"mean", "square", "step"}),
      options_(options) {
  const auto is_memory = [](double beta) { return beta >= 0 && beta < 1; };
  check(is_memory(options.beta1) && is_memory(options.beta2),
        "AdamW: beta1 and beta2 must be in [0, 1), got ", options.beta1, " and ", options.beta2);
  check(std::isfinite(options.epsilon) && options.epsilon > 0,
        "AdamW: epsilon must be > 0 and finite, got ", options.epsilon);
  check(std::isfinite(options.weight_decay) && options.weight_decay >= 0,
        "AdamW: weight_decay must be >= 0 and finite, got ", options.weight_decay);
}

std::vector<Tensor> AdamW::initial_state(const Tensor& parameter) const {
  return {Tensor(parameter.shape()), Tensor(parameter.shape()), Tensor({1})};
}

void AdamW::update(Slot& slot, const Factors& factors) {
  Tensor& count = slot.state[2];
  count.data()[0] += 1;
  const double t = static_cast<double>(count.item());
  const double beta1 = options_.beta1, beta2 = options_.beta2;

  const Tensor gradient = slot.parameter.grad();
  const Scalar* g = gradient.data().data();
  Scalar* w = slot.parameter.data().data();
  Scalar *m = slot.state[0].data().data(), *v = slot.state[1].data().data();
  const Scalar scale = static_cast<Scalar>(factors.gradient);
  const Scalar keep = static_cast<Scalar>(1 - factors.rate * options_.weight_decay * factors.decay);
  const Scalar b1 = static_cast<Scalar>(beta1), b2 = static_cast<Scalar>(beta2);
  // 1 - beta in double: in float 1 - 0.999f is off by 1e-5 of itself.
  const Scalar c1 = static_cast<Scalar>(1 - beta1), c2 = static_cast<Scalar>(1 - beta2);
  const Scalar rate = static_cast<Scalar>(factors.rate / (1 - std::pow(beta1, t)));
  const Scalar root = static_cast<Scalar>(1 / std::sqrt(1 - std::pow(beta2, t)));
  const Scalar epsilon = static_cast<Scalar>(options_.epsilon);
  parallel_for(slot.parameter.numel(), kElementwiseGrain,
               [=](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   const Scalar d = scale * g[i];
                   m[i] = b1 * m[i] + c1 * d;
                   v[i] = b2 * v[i] + c2 * d * d;
                   w[i] = keep * w[i] - rate * m[i] / (std::sqrt(v[i]) * root + epsilon);
                 }
               });
}

}  // namespace boxgrad::nn
