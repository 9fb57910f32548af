#pragma once

#include <cstdint>

#include "core/tensor.h"
#include "layers/conv_batch_norm.h"
#include "layers/kernels/batch_moments.h"
#include "layers/kernels/conv_shape.h"

/// A convolution and its batch norm as one stage of an op (conv_batch_norm.h,
/// separable_batch_norm.h): what is done with a block of rows (positions) while it is in cache.
///
///   z = x * w,   y = activation(scale z + shift),   dz = a g + b z + d  (batch_moments.h)
///
/// x is [rows of the input, C_in]; z, y, dy, dz are [rows, C_out].
namespace boxgrad::conv_norm_stage {

using kernels::Affine, kernels::BlockSums, kernels::ChannelSums, kernels::InputGradient;

/// The rows that a matrix product reads: those of a map, or of one whose batch norm and activation
/// are still to be applied. That is done to the block that is asked for, each time it is asked for:
/// in forward, and where a block suffices in backward, cheaper than to write the result to memory
/// and to read it again.
struct RowSource {
  const Scalar* map = nullptr;  ///< [rows, channels]
  std::int64_t channels = 0;
  const Affine* pending = nullptr;
  Activation activation = Activation::none;  ///< of `pending`

  /// Rows begin..end-1, computed into `room` if they are pending.
  const Scalar* read(std::int64_t begin, std::int64_t end, Scalar* room) const;
};

/// What backward needs of forward.
struct ConvNormStage {
  ConvShape shape;
  ConvAlgorithm algorithm;  ///< pointwise or depthwise
  Activation activation;
  Tensor weight, z;
  Affine affine;
};

/// Throws std::invalid_argument, naming `op` and `part` ("pointwise.", or nothing), when gamma,
/// beta or a running statistic has not one number for each channel, or z fewer than 2 positions.
void check_norm(const char* op, const char* part, const ConvShape& shape,
                const ConvNormArguments& arguments);

/// z = x * w by one of the two algorithms (depthwise reads no pending x), and its statistics, from
/// sums that are taken while z is in cache; moves the running ones. Call check_norm() before.
ConvNormStage convolve_and_measure(ConvAlgorithm algorithm, const ConvShape& shape,
                                   const RowSource& x, const ConvNormArguments& arguments);

/// y = activation(scale z + shift), the whole map.
void apply_norm(const ConvNormStage& stage, Scalar* y);

/// sum g and sum g (z - mean) over all rows.
ChannelSums norm_gradient_sums(const ConvNormStage& stage, const Scalar* dy);

/// dx (none if dx.data is null) and dw (may be null) of a 1x1 convolution, a block of dz at a time
/// where there are at least 16 rows for each input channel, else with dz as one scratch map (and x,
/// if it is pending).
///
/// `input_sums`, if there is one, gets what norm_gradient_sums() makes of dx for the batch norm that
/// is pending in `x`; its blocks are rows_per_block(C_out). It takes a pending x, and a dx that is
/// there and written (beta 0), not added to.
void pointwise_stage_gradients(const ConvNormStage& stage, const InputGradient& terms,
                               const Scalar* dy, const RowSource& x, GradSlot::Target dx,
                               GradSlot* dw, BlockSums* input_sums = nullptr);

/// dx and dw (either may be null) of a depthwise convolution. dz is made a row at a time, into a
/// scratch map of one image for each thread: a row goes into dw, and into the rows of dx that then
/// have all they need, while it is in cache.
void depthwise_stage_gradients(const ConvNormStage& stage, const InputGradient& terms,
                               const Scalar* dy, const Scalar* x, GradSlot* dx, GradSlot* dw);

}  // namespace boxgrad::conv_norm_stage
