#pragma once

#include "core/scalar.h"
#include "layers/kernels/bias_activation.h"
#include "layers/kernels/conv_shape.h"

/// Convolution as a matrix product (Chellapilla, Puri, Simard, "High performance convolutional
/// neural networks for document processing", 2006): the window of every output pixel is copied
/// into one row of a matrix of columns, and
///
///   y [pixels, C_out] = columns [pixels, KH * KW * C_in] x w [KH * KW * C_in, C_out]
///
/// The whole matrix would be KH * KW times the input (925 MB for the second layer of VGG16 on 8
/// images), so it is built and used a block of output pixels at a time, small enough to stay in
/// cache; threads take blocks. Any kernel size, stride, dilation, padding and groups. A 1x1 kernel
/// with a stride is the special case in which the columns are the visited pixels.
///
/// The same bits for any number of threads. `beta` as in conv2d_direct.h.
namespace boxgrad {

/// y = activation(x * w + bias).
void im2col_forward(const ConvShape& shape, const Scalar* x, const Scalar* w,
                    const BiasActivation& epilogue, Scalar* y);

/// dx = beta dx + the convolutions of dy that conv_shape.h describes, one per phase of the stride.
void im2col_input_gradient(const ConvShape& shape, const Scalar* dy, const Scalar* w, Scalar beta,
                           Scalar* dx);

/// dw = beta dw + columns^T dy. Small filters: at most 8 partial sums over blocks of pixels.
/// Large ones: each task owns some rows of dw and goes through all pixels.
void im2col_weight_gradient(const ConvShape& shape, const Scalar* x, const Scalar* dy, Scalar beta,
                            Scalar* dw);

}  // namespace boxgrad
