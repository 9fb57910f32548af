#pragma once

#include <cstdint>
#include <string>

#include "core/scalar.h"

namespace boxgrad {

/// Whether a matrix enters a product as it is stored or transposed.
enum class Trans { no, yes };

/// C = alpha * op(A) op(B) + beta * C for row-major matrices: op(A) is [m, k], op(B) [k, n],
/// C [m, n]; `ld*` is the distance between the starts of two stored rows. With beta = 0, C is
/// not read and may be uninitialised.
///
/// Runs on all threads: C is cut into tiles by the shape alone, each tile is one single-threaded
/// BLAS call, and a deep product with a small C is cut along k into a fixed number of partial
/// products that are added in order. The bits are the same for any number of threads.
void gemm(Trans trans_a, Trans trans_b, std::int64_t m, std::int64_t n, std::int64_t k,
          Scalar alpha, const Scalar* a, std::int64_t lda, const Scalar* b, std::int64_t ldb,
          Scalar beta, Scalar* c, std::int64_t ldc);

/// The same as one BLAS call on the calling thread, for kernels that are inside a parallel_for.
void gemm_serial(Trans trans_a, Trans trans_b, std::int64_t m, std::int64_t n, std::int64_t k,
                 Scalar alpha, const Scalar* a, std::int64_t lda, const Scalar* b, std::int64_t ldb,
                 Scalar beta, Scalar* c, std::int64_t ldc);

/// What `make doctor` and every report say about the library: version, kernel chosen for this
/// CPU, build ("OpenBLAS 0.3.21 SkylakeX ...").
std::string blas_description();

}  // namespace boxgrad
