#include "layers/linear.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/blas.h"
#include "core/check.h"
#include "layers/init.h"
#include "layers/kernels/bias_activation.h"

namespace boxgrad {

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Activation activation) {
  check(weight.rank() == 2 && weight.size(1) > 0 && x.size(-1) == weight.size(0),
        "linear: needs x [..., in] and weight [in, out], got ", x.shape(), " and ", weight.shape());
  const std::int64_t in = weight.size(0), out = weight.size(1);
  check(!bias.defined() || bias.shape() == Shape{out}, "linear: bias must have shape [", out,
        "], got ", bias.defined() ? bias.shape() : Shape());
  std::vector<std::int64_t> extents = x.shape().extents();
  extents.back() = out;
  Tensor y = Tensor::empty(Shape(extents));
  const std::int64_t rows = y.numel() / out;
  Scalar* output = y.data().data();
  gemm(Trans::no, Trans::no, rows, out, in, 1, x.data().data(), in, weight.data().data(), out, 0,
       output, out);
  const BiasActivation finish{bias.defined() ? bias.data().data() : nullptr, activation};
  if (!finish.empty())
    parallel_for(rows, std::max<std::int64_t>(1, kElementwiseGrain / out),
                 [&](std::int64_t begin, std::int64_t end) {
                   finish.apply(output + begin * out, end - begin, out);
                 });

  std::vector<Tensor> inputs = {x, weight};
  if (bias.defined()) inputs.push_back(bias);
  const auto dx = x.grad_slot(), dw = weight.grad_slot();
  // Only what backward will read is kept.
  const Tensor x_kept = dw ? x.detach() : Tensor(), w_kept = dx ? weight.detach() : Tensor(),
               y_kept = activation != Activation::none ? y.detach() : Tensor();
  return from_op(
      "linear", y, std::move(inputs),
      [x = x_kept, w = w_kept, y = y_kept, dx, dw, db = bias.defined() ? bias.grad_slot() : nullptr,
       activation, rows, in, out](const Tensor& dy) {
        const bool linear_only = activation == Activation::none;
        Tensor masked;  // dz, unless it equals dy
        if (!linear_only) masked = Tensor::empty(dy.shape());
        if (db || !linear_only) {
          const auto [db_data, beta] = db ? db->target() : GradSlot::Target{nullptr, 0};
          bias_activation_gradient(activation, dy.data().data(),
                                   linear_only ? nullptr : y.data().data(), rows, out,
                                   linear_only ? nullptr : masked.data().data(), beta, db_data);
        }
        const Scalar* dz = linear_only ? dy.data().data() : masked.data().data();
        if (dx) {  // dx = dz w^T
          const auto [dx_data, beta] = dx->target();
          gemm(Trans::no, Trans::yes, rows, in, out, 1, dz, out, w.data().data(), out, beta,
               dx_data, in);
        }
        if (dw) {  // dw = x^T dz
          const auto [dw_data, beta] = dw->target();
          gemm(Trans::yes, Trans::no, in, out, rows, 1, x.data().data(), in, dz, out, beta, dw_data,
               out);
        }
      });
}

nn::Linear::Linear(std::int64_t in_features, std::int64_t out_features, const LinearOptions& o)
    : options(o) {
  check(in_features >= 1 && out_features >= 1, "Linear: sizes must be >= 1, got ", in_features,
        " in and ", out_features, " out");
  const double bound = 1 / std::sqrt(static_cast<double>(in_features));
  Tensor w({in_features, out_features});
  init::uniform(w, -bound, bound);
  weight = add_parameter("weight", w);
  if (!o.bias) return;
  Tensor b({out_features});
  init::uniform(b, -bound, bound);
  bias = add_parameter("bias", b);
}

}  // namespace boxgrad
