#pragma once

#include <cstdint>
#include <optional>
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

struct TruncatedSvdOptions {
  /// p: columns of the sketch beyond t; unset: the larger of 8 and t / 4
  std::optional<std::int64_t> oversampling = {};
  int power_iterations = 2;  ///< q: how often the sketch is multiplied by W W^T
  std::uint64_t seed = 1;    ///< of the sketch's random numbers
};

/// The first t singular values and vectors, u [m, t], s [t], vt [t, n], by a randomised range
/// finder.
///
///   Y = W Omega, Omega [n, t + p] Gaussian;  Q = orth(Y)    a basis of what W does to vectors
///   q times:  Q = orth(W orth(W^T Q))                       sharper: singular values to the 2q + 1
///   B = Q^T W = U_B S V^T  [t + p, n],  U = Q U_B           a small svd() does the rest
///
/// orth is LAPACK's Householder QR. It takes 2 q + 2 products of W with t + p columns, whatever the
/// rank of W: docs/two_stage.md has times.
///
/// Values come out a little too small, most where the next ones are nearly as large, which is why a
/// wider sketch helps more than the paper's p = 8 where the spectrum is flat. How much was lost is
/// known, as in a projection: ||W - U S V^T||^2 = ||W||^2 - sum of s^2 (Frobenius).
/// The same bits for the same seed and any number of threads.
///
/// Throws what svd() throws, and std::invalid_argument unless 1 <= t <= min(m, n) and oversampling
/// and power_iterations are >= 0.
///
/// Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review 53 (2011), algorithms
/// 4.4 and 5.1. torch.svd_lowrank(w, q=t + p, niter=q) is the same idea.
Svd truncated_svd(const Tensor& w, std::int64_t t, const TruncatedSvdOptions& options = {});

/// U_t diag(S_t) V_t^T, the best approximation of rank t in the Frobenius and spectral norms
/// (Eckart-Young): the discarded singular values are its error.
Tensor low_rank(const Svd& decomposition, std::int64_t t);

}  // namespace boxgrad
