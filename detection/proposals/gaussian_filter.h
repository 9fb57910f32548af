#pragma once

#include <span>
#include <vector>

#include "core/tensor.h"

namespace boxgrad::detection {

/// g[i] = exp(-i^2 / (2 sigma^2)) / sum, i = -r..r with r = ceil(4 sigma): 2 r + 1 numbers that add
/// up to 1. sigma = 0 is [1], no smoothing. Throws std::invalid_argument unless 0 <= sigma <= 100.
std::vector<Scalar> gaussian_kernel(double sigma);

/// The derivative of a Gaussian, as a correlation: d[i] = i g[i] / sum(j^2 g[j]), so that a ramp
/// that rises by 1 a pixel answers exactly 1. Throws unless 0 < sigma <= 100.
std::vector<Scalar> gaussian_derivative_kernel(double sigma);

/// out[y, x] = sum over (j, i) of ky[j] kx[i] planes[y + j - r, x + i - r], channel by channel;
/// beyond the border the border's pixels are repeated.
///
/// planes   [H, W, C]; a constant, no gradient
/// kernels  an odd number of values, the middle one on the pixel
/// returns  [H, W, C]
/// throws   std::invalid_argument for other shapes, an empty axis or an even kernel
Tensor filter_separable(const Tensor& planes, std::span<const Scalar> kernel_x,
                        std::span<const Scalar> kernel_y);

}  // namespace boxgrad::detection
