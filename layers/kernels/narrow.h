#pragma once

#include "core/scalar.h"
#include "layers/kernels/bias_activation.h"
#include "layers/kernels/conv_shape.h"

/// Convolution of a map with few channels: the first layer of a network, 3 colours to 16 or more.
///
/// As a matrix product it is thin (27 by 32), and building, packing and clearing its matrices takes
/// longer than the product. Here a tile of 4 outputs by 32 channels stays in registers while the
/// taps go by, read where they lie: a filter row over neighbouring pixels is one run of memory.
/// Groups must be 1 and dilation 1 along the width.
///
/// The same bits for any number of threads. `beta` as in conv2d_direct.h.
namespace boxgrad {

/// y = activation(x * w + bias), the row's bias and activation applied while the row is in cache.
void narrow_forward(const ConvShape& shape, const Scalar* x, const Scalar* w,
                    const BiasActivation& epilogue, Scalar* y);

/// dx = beta dx + what each output sends to each of its taps: a matrix product dy w^T of a row of
/// outputs, then sums.
void narrow_input_gradient(const ConvShape& shape, const Scalar* dy, const Scalar* w, Scalar beta,
                           Scalar* dx);

/// dw = beta dw + sum over pixels of x times dy, in at most 8 partial sums over rows of y.
void narrow_weight_gradient(const ConvShape& shape, const Scalar* x, const Scalar* dy, Scalar beta,
                            Scalar* dw);

}  // namespace boxgrad
