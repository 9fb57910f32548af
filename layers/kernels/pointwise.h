#pragma once

#include <optional>

#include "core/scalar.h"
#include "layers/kernels/bias_activation.h"
#include "layers/kernels/conv_shape.h"
#include "layers/kernels/packed_gemm.h"

/// 1x1 convolution with stride 1 and no padding: the map is already the matrix of columns, so one
/// matrix product over all pixels does it, without a copy.
///
///   y [pixels, C_out] = x [pixels, C_in] w [C_in, C_out],   dx = dy w^T,   dw = x^T dy
///
/// The filter is packed once and multiplied by a kernel of our own; BLAS sums large filter
/// gradients, and does everything on CPUs that the kernel is not written for. The same bits for any
/// number of threads. `beta` as in conv2d_direct.h.
namespace boxgrad {

void pointwise_forward(const ConvShape& shape, const Scalar* x, const Scalar* w,
                       const BiasActivation& epilogue, Scalar* y);
void pointwise_input_gradient(const ConvShape& shape, const Scalar* dy, const Scalar* w,
                              Scalar beta, Scalar* dx);
void pointwise_weight_gradient(const ConvShape& shape, const Scalar* x, const Scalar* dy,
                               Scalar beta, Scalar* dw);

/// Rows multiplied by the filter w [in, out], or by its transpose, a block at a time.
class RowProduct {
 public:
  RowProduct(std::int64_t in, std::int64_t out, const Scalar* w, bool transposed);

  /// c (+)= a w, a [rows, in] and c [rows, out]; with w^T a [rows, out] and c [rows, in].
  void operator()(std::int64_t rows, const Scalar* a, Scalar* c, bool add) const;

  /// Rows per block for `rows` rows in all: a block's operands fit into a cache, and eight threads
  /// have work.
  std::int64_t block(std::int64_t rows) const;

 private:
  std::int64_t in_, out_;
  const Scalar* w_;
  bool transposed_;
  std::optional<PackedMatrix> packed_;
};

/// dw (+)= x^T dy for a block of rows, on the calling thread.
void add_weight_gradient(const ConvShape& shape, std::int64_t rows, const Scalar* x,
                         const Scalar* dy, Scalar* dw, bool add);

}  // namespace boxgrad
