#pragma once

#include <vector>

#include "core/tensor.h"

namespace boxgrad {

/// W = U diag(S) V^T with r = min(m, n): the thin singular value decomposition.
struct Svd {
  Tensor u;               ///< [m, r], orthonormal columns
  std::vector<Scalar> s;  ///< [r], descending, >= 0
  Tensor vt;              ///< [r, n], orthonormal rows
};

/// Decomposes a matrix [m, n] by LAPACK's gesdd (divide and conquer). Signs of matching columns
/// of u and rows of vt are not unique: compare products and singular values, not vectors.
/// Throws std::invalid_argument unless w is a non-empty matrix of finite numbers, and
/// std::runtime_error when LAPACK does not converge.
Svd svd(const Tensor& w);

/// U_t diag(S_t) V_t^T, the best approximation of rank t in the Frobenius and spectral norms
/// (Eckart-Young): the discarded singular values are its error.
Tensor low_rank(const Svd& decomposition, std::int64_t t);

}  // namespace boxgrad
