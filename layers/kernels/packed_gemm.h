#pragma once

#include <cstdint>

#include "core/scalar.h"
#include "layers/kernels/panel_gemm.h"
#include "layers/kernels/scratch.h"

namespace boxgrad {

/// Whether products with a packed matrix beat BLAS here. Measured with AVX-512 and AVX2; with 16-byte
/// registers BLAS has kernels for more than this code is compiled for.
#ifdef __AVX2__
inline constexpr bool kPackedIsFast = true;
#else
inline constexpr bool kPackedIsFast = false;
#endif

/// The right-hand side of a product, copied once into panels: columns 0..kPanel-1 row after row,
/// then the next kPanel columns; columns beyond the last are 0. A filter is packed once per pass
/// and multiplied with thousands of rows, a block of them at a time. BLAS would copy it into a
/// layout of its own for every block.
class PackedMatrix {
 public:
  /// From element (i, j) = b.data[i * b.row + j * b.col] of a [depth, columns] matrix.
  PackedMatrix(std::int64_t depth, std::int64_t columns, const Strided& b);

  std::int64_t depth() const { return depth_; }
  std::int64_t columns() const { return columns_; }
  std::int64_t panels() const { return (columns_ + kPanel - 1) / kPanel; }
  const Scalar* panel(std::int64_t p) const { return data_ + p * depth_ * kPanel; }

 private:
  std::int64_t depth_, columns_;
  Scratch memory_;
  const Scalar* data_;
};

/// c = a b, or c = c + a b, for `rows` rows: c[i * c_row + j], j < b.columns(). On the calling
/// thread; each element is summed in the order of the depth, however the rows are divided.
void packed_gemm(std::int64_t rows, const Strided& a, const PackedMatrix& b, Scalar* c,
                 std::int64_t c_row, bool add);

/// c (+)= a^T b: c[i * columns + j] = sum over t < depth of a[t * rows + i] * b[t * columns + j],
/// as the gradient of a filter is made. On the calling thread, in the order of t.
void transposed_gemm(std::int64_t rows, std::int64_t columns, std::int64_t depth, const Scalar* a,
                     const Scalar* b, Scalar* c, bool add);

}  // namespace boxgrad
