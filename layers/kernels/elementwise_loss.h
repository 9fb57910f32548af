#pragma once

#include <cstdint>

#include "core/autograd.h"
#include "core/check.h"
#include "core/parallel.h"
#include "layers/kernels/ordered_sum.h"
#include "layers/losses.h"

namespace boxgrad::kernels {

/// Any loss that is a sum of w_i value(x_i, t_i): `slope` is dvalue/dx.
template <class Value, class Slope>
Tensor elementwise_loss(const char* op, const Tensor& input, const Tensor& target,
                        const LossOptions& options, Value value, Slope slope) {
  check(input.shape() == target.shape(), op, ": target must have input's shape ", input.shape(),
        ", got ", target.shape());
  const std::int64_t n = input.numel();
  check(n > 0 || options.reduction != Reduction::mean, op, ": the mean of no elements, shape ",
        input.shape(), ", is not defined");
  // One weight stands for `group` consecutive elements.
  const std::int64_t weights_count = static_cast<std::int64_t>(options.weights.size());
  const std::int64_t last = input.size(-1), per_row = last > 0 ? n / last : 0;
  check(weights_count == 0 || weights_count == n || weights_count == per_row, op,
        ": weights must have ", n, " entries (one per element) or ", per_row,
        " (one per row), got ", weights_count);
  const std::size_t group = weights_count == n ? 1 : static_cast<std::size_t>(last);
  const auto weight = [group, weights = options.weights](std::size_t i) {
    return weights.empty() ? Scalar{1} : weights[i / group];
  };

  const Scalar *x = input.data().data(), *t = target.data().data();
  const bool none = options.reduction == Reduction::none;
  const Scalar scale = options.reduction == Reduction::mean ? 1 / static_cast<Scalar>(n) : 1;
  Tensor output = Tensor::empty(none ? input.shape() : Shape{1});
  Scalar* y = output.data().data();
  if (none)
    parallel_for(n, kElementwiseGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        y[i] = weight(static_cast<std::size_t>(i)) * value(x[i], t[i]);
    });
  else
    y[0] = static_cast<Scalar>(static_cast<double>(scale) * ordered_sum(n, [&](std::size_t i) {
                                 return weight(i) * value(x[i], t[i]);
                               }));

  return from_op(op, output, {input},
                 [input = input.detach(), target = target.detach(), dx = input.grad_slot(), weight,
                  scale, none, slope](const Tensor& dloss) {
                   const Scalar* g = dloss.data().data();
                   const Scalar *x = input.data().data(), *t = target.data().data();
                   dx->accumulate([&](std::size_t i) {
                     return scale * g[none ? i : 0] * weight(i) * slope(x[i], t[i]);
                   });
                 });
}

}  // namespace boxgrad::kernels
