#pragma once

#include "core/tensor.h"
#include "layers/module.h"

namespace boxgrad {

/// Sets each element to 0 with probability p and divides the others by 1 - p, which keeps the
/// expected value.
///
///   y_i = k_i x_i / (1 - p),  dx_i = k_i dy_i / (1 - p),  k_i = 1 with probability 1 - p, else 0
///
/// Draws one 64-bit key from default_random(); k_i is a pure function of key and i. So threads do
/// not change it, and the backward draws it again instead of keeping it. Throws
/// std::invalid_argument unless 0 <= p < 1.
///
/// Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR
/// 2014. Equals torch.nn.functional.dropout in distribution.
Tensor dropout(const Tensor& x, double p = 0.5);

namespace nn {

/// dropout() in training, the identity in evaluation.
class Dropout : public Module {
 public:
  explicit Dropout(double probability = 0.5);
  Tensor forward(const Tensor& x) override { return is_training() ? dropout(x, p) : x; }
  double p;
};

}  // namespace nn

}  // namespace boxgrad
