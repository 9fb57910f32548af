#pragma once

#include "core/scalar.h"
#include "layers/kernels/bias_activation.h"
#include "layers/kernels/conv_shape.h"

/// Depthwise convolution: groups = C_in = C_out, one filter per channel (Howard et al.,
/// "MobileNets", 2017, section 3.1). Filters are [KH, KW, 1, C].
///
/// There is no sum over channels, so no matrix product: 2 * KH * KW operations per number read,
/// bound by memory. In NHWC the channels of a pixel lie side by side and the loops below run over
/// them, a register of channels at a time, with a few neighbouring outputs sharing the loads.
/// Any kernel size, stride, dilation and padding; 3 columns with stride 1 or 2 have their loops
/// unrolled. The same bits for any number of threads. `beta` as in conv2d_direct.h.
namespace boxgrad {

/// y = activation(x * w + bias), the row's bias and activation applied while the row is in L1.
void depthwise_forward(const ConvShape& shape, const Scalar* x, const Scalar* w,
                       const BiasActivation& epilogue, Scalar* y);

/// dx = beta dx + dy * w turned round: one stride-1 correlation per phase (conv_shape.h).
void depthwise_input_gradient(const ConvShape& shape, const Scalar* dy, const Scalar* w,
                              Scalar beta, Scalar* dx);

/// dw = beta dw + sum over pixels of dy times x, in at most 8 partial sums over rows of y.
void depthwise_weight_gradient(const ConvShape& shape, const Scalar* x, const Scalar* dy,
                               Scalar beta, Scalar* dw);

}  // namespace boxgrad
