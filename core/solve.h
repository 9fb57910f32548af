#pragma once

#include "core/tensor.h"

namespace boxgrad {

/// X of A X = B for a symmetric, positive definite A, by Cholesky's decomposition A = L L^T
/// (LAPACK's posv): what ridge regression ends in. Only A's lower triangle is read.
///
/// a        [n, n];  b  [n, m]
/// returns  [n, m]
/// throws   std::invalid_argument for other shapes, or values that are not finite;
///          std::runtime_error when A is not positive definite, naming the row where that shows
///
/// Equals torch.linalg.solve for such matrices. Not differentiable.
Tensor solve_positive_definite(const Tensor& a, const Tensor& b);

}  // namespace boxgrad
