#pragma once

#include <string>

#include "layers/kernels/conv_shape.h"

namespace boxgrad {

/// The ways to compute a convolution; all give the same numbers up to rounding.
enum class ConvAlgorithm {
  automatic,    ///< choose_conv_algorithm() decides
  direct,       ///< the definition in seven loops; any shape, slow
  im2col,       ///< windows copied into a matrix, blocks of them multiplied; any shape
  pointwise,    ///< one matrix product over all pixels; 1x1, stride 1, no padding, one group
  depthwise,    ///< loops over channels; groups = C_in = C_out
  narrow,       ///< register tiles without a matrix; few input channels, one group
  few_outputs,  ///< all taps' products side by side, then sums; few output channels, stride 1
  winograd2,    ///< F(2x2, 3x3): 2.25 times fewer multiplications; 3x3, stride 1, one group
  winograd4,    ///< F(4x4, 3x3): 4 times fewer, and one to two digits less accurate
};

/// "im2col" and so on, for messages and reports.
const char* to_string(ConvAlgorithm algorithm);

/// Whether an algorithm can compute this shape.
bool conv_algorithm_covers(ConvAlgorithm algorithm, const ConvShape& shape);

/// Whether Winograd's algorithm has yet to transform the filters.
enum class FilterTransform { to_do, done };

/// Which algorithm is best for a shape. Always one that covers it.
ConvAlgorithm choose_conv_algorithm(const ConvShape& shape,
                                    FilterTransform filters = FilterTransform::to_do);

/// The algorithm of a convolution, whoever computes it (conv2d, nn::FrozenConv2d, the ops with batch
/// norm): the one that Conv2dOptions::algorithm names, or choose_conv_algorithm()'s if that is
/// automatic. Throws std::invalid_argument when the named one does not cover the shape: kernels
/// trust their caller, and would read past the filters.
ConvAlgorithm conv_algorithm(const ConvShape& shape, ConvAlgorithm wanted,
                             FilterTransform filters = FilterTransform::to_do);

/// conv_algorithm() and its reason in one line: "narrow: only 3 input channels".
std::string explain_conv_algorithm(const ConvShape& shape,
                                   ConvAlgorithm wanted = ConvAlgorithm::automatic,
                                   FilterTransform filters = FilterTransform::to_do);

/// The largest Winograd tile that choose_conv_algorithm may take: 4, 2 (as accurate as im2col
/// to a factor of two), or 0 for none. Starts as the environment variable
/// BOXGRAD_WINOGRAD, else as 4.
///
/// Greatest error over greatest value in float, for 64 to 512 channels: 5e-7 without, 1e-6 with 2,
/// 6e-6 to 2e-5 with 4.
int winograd_limit();

/// Throws std::invalid_argument unless m is 0, 2 or 4.
void set_winograd_limit(int m);

}  // namespace boxgrad
