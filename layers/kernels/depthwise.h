#pragma once

#include <vector>

#include "core/scalar.h"
#include "layers/kernels/bias_activation.h"
#include "layers/kernels/conv_shape.h"
#include "layers/kernels/row_walker.h"
#include "layers/kernels/scratch.h"

/// Depthwise convolution: groups = C_in = C_out, one filter per channel (Howard et al.,
/// "MobileNets", 2017, section 3.1). Filters are [KH, KW, 1, C].
///
/// There is no sum over channels, so no matrix product: 2 * KH * KW operations per number read,
/// bound by memory. In NHWC the channels of a pixel lie side by side and the loops below run over
/// them, a few registers of channels or of neighbouring outputs at a time.
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

// The same a row at a time, for those who have something else to do with a row while it is in
// cache. A row is numbered over the whole batch: n * H + h.

/// Rows of a map per chunk of a parallel_for: about as many numbers as an elementwise chunk.
std::int64_t depthwise_rows_per_chunk(std::int64_t numbers_per_row);

/// Row `row` of y = x * w. `y` is the whole map, as everywhere here.
void depthwise_forward_row(const ConvShape& shape, const RowWalker& walk, std::int64_t row,
                           const Scalar* x, const Scalar* w, Scalar* y);

/// dw += what row `row` of dy contributes.
void depthwise_weight_gradient_row(const ConvShape& shape, const RowWalker& walk, std::int64_t row,
                                   const Scalar* x, const Scalar* dy, Scalar* dw);

/// Rows of dx = beta dx + dy * w turned round.
class DepthwiseInputGradient {
 public:
  DepthwiseInputGradient(const ConvShape& shape, const Scalar* w);

  /// Row `row` of dx.
  void operator()(std::int64_t row, const Scalar* dy, Scalar beta, Scalar* dx) const;
  /// The rows of dy that rows begin..end-1 of dx, of one image, are made of.
  Range reads(std::int64_t begin, std::int64_t end) const;

 private:
  /// A phase of rows with a phase of columns, and its taps turned round; together they are the
  /// whole filter.
  struct Pair {
    RowWalker walk;
    const Scalar* w;
  };

  ConvShape s_;
  std::int64_t col_phases_ = 0;
  Scratch turned_;
  std::vector<Pair> pairs_;
};

}  // namespace boxgrad
