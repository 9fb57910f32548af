#pragma once

#include <optional>

#include "layers/batch_norm.h"
#include "layers/conv.h"

namespace boxgrad {

/// A convolution without bias and the batch norm behind it.
struct ConvNormArguments {
  Tensor weight;                     ///< [KH, KW, C_in / groups, C_out]
  Tensor gamma, beta;                ///< [C_out]
  Tensor running_mean, running_var;  ///< [C_out], moved as batch_norm does
  Conv2dOptions conv;                ///< its bias and activation are ignored
  BatchNormOptions norm;
};

/// Convolution and batch norm in one op: exactly batch_norm(conv2d(x, weight), ...), in fewer
/// passes over memory. What counts is a block of rows (positions) of z = x * w that is in cache
/// anyway:
///
///   forward    its sums for the statistics are taken right after the matrix product made it, so
///              that z is not read once more for them
///   backward   a block of dz = dloss/dz is computed and multiplied into dx and dw while it is in
///              cache, in scratch memory that all layers share. (Where a 1x1 layer has fewer than
///              16 C_in positions, a partial dw for each block would cost more than that saves:
///              there dz is one scratch map, and dw one product at the end)
///
/// Covers convolutions that are one matrix product (ConvAlgorithm::pointwise), and depthwise ones,
/// where a block is a row of the map: both are half of a MobileNet. Others, and those that are
/// forced to another algorithm, are done as the two ops.
///
/// x        [N, H, W, C_in]
///
/// weight   [1, 1, C_in, C_out], or depthwise, [KH, KW, 1, C]
///
/// returns  [N, out_h, out_w, C_out]
///
/// throws   std::invalid_argument as conv2d and batch_norm do
Tensor conv2d_batch_norm(const Tensor& x, const ConvNormArguments& arguments);

/// The algorithm by which conv2d_batch_norm does more than call the two ops: pointwise or depthwise;
/// nothing for other shapes, and where `options` force another. Throws std::invalid_argument when
/// they force one that does not cover the shape.
std::optional<ConvAlgorithm> fused_algorithm(const ConvShape& shape, const Conv2dOptions& options);

}  // namespace boxgrad
