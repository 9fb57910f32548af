#pragma once

#include <cstdint>

#include "core/tensor.h"
#include "layers/activation.h"
#include "layers/module.h"

namespace boxgrad {

/// Fully connected layer.
///
///   z[r, o] = b[o] + sum over i of x[r, i] w[i, o],   y = activation(z)
///   dz = dy * activation'(z);   dx = dz w^T;   dw = x^T dz;   db[o] = sum over r of dz[r, o]
///
/// x        [..., in]; all axes but the last are rows
/// weight   [in, out]; torch stores [out, in], which is transposed once, at import
/// bias     [out], or an undefined Tensor for none
/// returns  [..., out]
/// throws   std::invalid_argument when the shapes do not fit
///
/// The slope follows from y, so that z is not kept. Equals torch.nn.functional.linear(x, w.T, b),
/// then the activation.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              Activation activation = Activation::none);

namespace nn {

struct LinearOptions {
  bool bias = true;
  Activation activation = Activation::none;
};

/// linear() with parameters "weight" [in, out] and, unless options.bias is false, "bias" [out].
/// Both start uniform in +-1/sqrt(in), torch.nn.Linear's rule; layers/init.h has others.
class Linear : public Module {
 public:
  Linear(std::int64_t in_features, std::int64_t out_features, const LinearOptions& options = {});

  Tensor forward(const Tensor& x) override { return linear(x, weight, bias, options.activation); }

  LinearOptions options;
  Tensor weight, bias;  ///< bias is undefined without one
};

}  // namespace nn

}  // namespace boxgrad
