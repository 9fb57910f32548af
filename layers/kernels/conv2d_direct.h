#pragma once

#include "core/scalar.h"
#include "layers/kernels/conv_shape.h"

/// Convolution as its definition: seven nested loops, the formula of conv_shape.h word for word.
/// Slow and on one thread. Every other kernel is tested against it; read this one first.
///
/// All conv kernels share a convention: `beta` is 0 (the result is uninitialised: overwrite it) or
/// 1 (add to what is there), as in BLAS.
namespace boxgrad {

/// y = x * w. Bias and activation are not its business.
void conv2d_direct(const ConvShape& shape, const Scalar* x, const Scalar* w, Scalar* y);

/// dx[n, ih, iw, ci] = beta dx + sum over (oh, ow, co) that read it of dy[n, oh, ow, co] * w[...]
void conv2d_direct_input_gradient(const ConvShape& shape, const Scalar* dy, const Scalar* w,
                                  Scalar beta, Scalar* dx);

/// dw[kh, kw, ci, co] = beta dw + sum over n, oh, ow of x[n, ih, iw, ci] * dy[n, oh, ow, co]
void conv2d_direct_weight_gradient(const ConvShape& shape, const Scalar* x, const Scalar* dy,
                                   Scalar beta, Scalar* dw);

/// db[co] = beta db + sum over n, oh, ow of dy[n, oh, ow, co]
void conv2d_direct_bias_gradient(const ConvShape& shape, const Scalar* dy, Scalar beta, Scalar* db);

}  // namespace boxgrad
