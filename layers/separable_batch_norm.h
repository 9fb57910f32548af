#pragma once

#include "layers/conv_batch_norm.h"

namespace boxgrad {

/// A depthwise convolution and a 1x1 convolution, each with batch norm and activation, in one op:
/// exactly
///
///   u = conv2d_batch_norm(x, depthwise),   y = conv2d_batch_norm(u, pointwise)
///
/// with all gradients, in fewer passes over memory. What is kept of a convolution is z = x * w, as
/// it was before batch norm; u = activation(scale z + shift) is made of it again where it is read:
///
///   forward    a block of u is computed when the product is about to read it, and forgotten
///   backward   the same again for dw. (Where the layer has fewer than 16 C_in positions, u and dz
///              are scratch maps for one product at the end, as in conv2d_batch_norm.) The sums
///              that the first batch norm's gradient needs are taken of a block of du right after
///              the product made it; du itself is a map, as it is read again when they are known
///
/// x          [N, H, W, C_in]
///
/// depthwise  weight [KH, KW, 1, C_in], conv.groups = C_in;  gamma, beta and the running
///            statistics, which move, [C_in]
///
/// pointwise  weight [1, 1, C_in, C_out], stride 1, no padding;  the others [C_out]
///
/// returns    [N, out_h, out_w, C_out]
///
/// throws     std::invalid_argument when a shape does not fit, or where
///            separable_batch_norm_fuses() is false. Nothing has moved then
///
/// Howard et al., "MobileNets", 2017, section 3.1 and figure 3.
Tensor separable_batch_norm(const Tensor& x, const ConvNormArguments& depthwise,
                            const ConvNormArguments& pointwise);

/// Whether the convolutions are of those kinds and neither is forced to another algorithm. Throws
/// std::invalid_argument, as conv2d does, when the weights do not fit x or each other, or when an
/// algorithm is forced that does not cover its shape.
bool separable_batch_norm_fuses(const Shape& x, const ConvNormArguments& depthwise,
                                const ConvNormArguments& pointwise);

}  // namespace boxgrad
