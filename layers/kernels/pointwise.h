#pragma once

#include "core/scalar.h"
#include "layers/kernels/bias_activation.h"
#include "layers/kernels/conv_shape.h"

/// 1x1 convolution with stride 1, no padding and one group: in NHWC the map is a matrix whose rows
/// are the pixels of all images, so that all three products are one matrix product each, on the
/// tensors as they lie in memory. (A 1x1 convolution with a stride visits every second pixel or
/// so; im2col copies those and does the rest the same way.)
///
/// The same bits for any number of threads. `beta` as in conv2d_direct.h.
namespace boxgrad {

/// y [P, C_out] = activation(x [P, C_in] w [C_in, C_out] + bias)
void pointwise_forward(const ConvShape& shape, const Scalar* x, const Scalar* w,
                       const BiasActivation& epilogue, Scalar* y);

/// dx [P, C_in] = beta dx + dy [P, C_out] w^T
void pointwise_input_gradient(const ConvShape& shape, const Scalar* dy, const Scalar* w,
                              Scalar beta, Scalar* dx);

/// dw [C_in, C_out] = beta dw + x^T dy
void pointwise_weight_gradient(const ConvShape& shape, const Scalar* x, const Scalar* dy,
                               Scalar beta, Scalar* dw);

}  // namespace boxgrad
