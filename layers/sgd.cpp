#include "layers/sgd.h"

#include <cmath>

#include "core/autograd.h"
#include "core/check.h"

namespace boxgrad::nn {

SGD::SGD(const StateDict& parameters, const SGDOptions& options)
    : Optimizer(
          "SGD", parameters, options.rate, options.accumulate, options.groups,
          options.momentum > 0 ? std::vector<std::string>{"velocity"} : std::vector<std::string>{}),
      options_(options) {
  check(options.momentum >= 0 && options.momentum < 1, "SGD: momentum must be in [0, 1), got ",
        options.momentum);
  check(std::isfinite(options.weight_decay) && options.weight_decay >= 0,
        "SGD: weight_decay must be >= 0 and finite, got ", options.weight_decay);
  check(!options.nesterov || options.momentum > 0, "SGD: nesterov needs a momentum > 0");
}

std::vector<Tensor> SGD::initial_state(const Tensor& parameter) const {
  if (options_.momentum == 0) return {};
  return {Tensor(parameter.shape())};
}

void SGD::update(Slot& slot, const Factors& factors) {
  const Tensor gradient = slot.parameter.grad();
  const Scalar* g = gradient.data().data();
  Scalar* w = slot.parameter.data().data();
  const std::int64_t n = slot.parameter.numel();
  const Scalar scale = static_cast<Scalar>(factors.gradient);
  const Scalar decay = static_cast<Scalar>(options_.weight_decay * factors.decay);
  const Scalar momentum = static_cast<Scalar>(options_.momentum);
  if (momentum == 0) {
    const Scalar rate = static_cast<Scalar>(factors.rate);
    parallel_for(n, kElementwiseGrain, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) w[i] -= rate * (scale * g[i] + decay * w[i]);
    });
    return;
  }
  // One of the two is 1: the rate multiplies on the way into the velocity or on the way out.
  const bool caffe = options_.velocity == Velocity::caffe;
  const Scalar rate_in = static_cast<Scalar>(caffe ? factors.rate : 1);
  const Scalar rate_out = static_cast<Scalar>(caffe ? 1 : factors.rate);
  Scalar* v = slot.state[0].data().data();
  // The step is a v + b d: v alone, or Nesterov's d + m v.
  const Scalar a = options_.nesterov ? momentum : 1, b = options_.nesterov ? 1 : 0;
  parallel_for(n, kElementwiseGrain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Scalar d = rate_in * (scale * g[i] + decay * w[i]);
      v[i] = momentum * v[i] + d;
      w[i] -= rate_out * (a * v[i] + b * d);
    }
  });
}

}  // namespace boxgrad::nn
