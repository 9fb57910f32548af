#pragma once

#include "core/scalar.h"
#include "layers/kernels/bias_activation.h"
#include "layers/kernels/conv_shape.h"

/// Convolution of a deep map into few channels: the heads of a detector, 3x3 from 512 channels to
/// a dozen. im2col copies every input KH * KW times for a product that is over at once. Here the
/// input stays where it is, and its products with all taps stand side by side,
///
///   z [pixels, KH * KW * C_out] = x [pixels, C_in] x w [C_in, KH * KW * C_out]
///
/// from which each output takes its KH * KW terms, C_out numbers each, and adds them up. The
/// weight gradient is the transposed product, with dy copied KH * KW times in the place of z; the
/// input gradient is im2col's, whose columns come from dy and are as thin. Stride and groups 1.
///
/// The same bits for any number of threads. `beta` as in conv2d_direct.h.
namespace boxgrad {

/// y = activation(x * w + bias).
void few_outputs_forward(const ConvShape& shape, const Scalar* x, const Scalar* w,
                         const BiasActivation& epilogue, Scalar* y);

/// dw = beta dw + x^T z', with z'[p, tap] = the dy that pixel p and that tap lead to; in at most 8
/// partial sums over the rows of x.
void few_outputs_weight_gradient(const ConvShape& shape, const Scalar* x, const Scalar* dy,
                                 Scalar beta, Scalar* dw);

}  // namespace boxgrad
