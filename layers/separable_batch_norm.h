#pragma once

#include "layers/conv_batch_norm.h"

namespace boxgrad {

/// A depthwise convolution and a 1x1 convolution, each with batch norm, in one op: exactly
///
///   u = conv2d_batch_norm(x, depthwise),   y = conv2d_batch_norm(u, pointwise)
///
/// but u is never a map in memory. What is kept is z = x * w, as it was before batch norm:
///
///   forward    a block of u is computed from z when the product is about to read it
///   backward   the same again for dw; and the sums that batch norm's gradient needs of a block of
///              du and z are taken right after the product made it
///
/// x        [N, H, W, C_in]
///
/// returns  [N, out_h, out_w, C_out]
///
/// throws   std::invalid_argument as conv2d_batch_norm does, and unless separable_batch_norm_fuses
///
/// Howard et al., "MobileNets", 2017, section 3.1 and figure 3.
Tensor separable_batch_norm(const Tensor& x, const ConvNormArguments& depthwise,
                            const ConvNormArguments& pointwise);

/// Whether the convolutions are of those kinds and neither is forced to another algorithm.
bool separable_batch_norm_fuses(const Shape& x, const ConvNormArguments& depthwise,
                                const ConvNormArguments& pointwise);

}  // namespace boxgrad
