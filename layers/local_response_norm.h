#pragma once

#include <cstdint>

#include "core/tensor.h"
#include "layers/module.h"

namespace boxgrad {

struct LocalResponseNormOptions {
  std::int64_t size = 5;        ///< how many neighbouring channels; the channel itself included
  Scalar alpha = Scalar(1e-4);  ///< of the mean of size squares, not of their sum
  Scalar beta = Scalar(0.75);
  Scalar k = 1;
};

/// Each number divided by the strength of its neighbours in other channels at the same position:
///
///   d[p, c] = k + alpha / size * sum of x[p, e]^2 over e = c - size / 2 .. c + (size - 1) / 2
///   y[p, c] = x[p, c] d[p, c]^-beta
///   dx[p, c] = dy[p, c] d[p, c]^-beta
///            - 2 alpha beta / size x[p, c] sum of dy[p, e] x[p, e] d[p, e]^(-beta - 1) over the e
///              whose sum has c in it
///
/// Channels that do not exist count as 0, and size stays the divisor.
///
/// x        [..., C], e.g. a feature map [N, H, W, C]
/// returns  the shape of x
/// throws   std::invalid_argument unless x has an axis of channels, size >= 1, alpha >= 0, beta is
///          finite and k > 0
///
/// Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural
/// Networks", NIPS 2012, section 3.3, with k = 2, size 5, beta = 0.75 and an alpha of 1e-4 that
/// multiplies the sum itself: that is 5e-4 here. Caffe divides by size as we do; its AlexNet has k
/// = 1 and alpha = 1e-4. Equals torch.nn.functional.local_response_norm on permuted axes.
Tensor local_response_norm(const Tensor& x, const LocalResponseNormOptions& options = {});

namespace nn {

/// local_response_norm as a module, to stand in a Sequential.
struct LocalResponseNorm : Module {
  explicit LocalResponseNorm(const LocalResponseNormOptions& options = {}) : options(options) {}
  Tensor forward(const Tensor& x) override { return local_response_norm(x, options); }

  LocalResponseNormOptions options;
};

}  // namespace nn
}  // namespace boxgrad
