#include "core/svd.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "core/blas.h"
#include "core/check.h"
#include "core/random.h"

// LAPACK's Fortran entry points, as contained in OpenBLAS.
extern "C" {
void sgesdd_(const char* jobz, const int* m, const int* n, float* a, const int* lda, float* s,
             float* u, const int* ldu, float* vt, const int* ldvt, float* work, const int* lwork,
             int* iwork, int* info, std::size_t jobz_length);
void dgesdd_(const char* jobz, const int* m, const int* n, double* a, const int* lda, double* s,
             double* u, const int* ldu, double* vt, const int* ldvt, double* work, const int* lwork,
             int* iwork, int* info, std::size_t jobz_length);
void sgeqrf_(const int* m, const int* n, float* a, const int* lda, float* tau, float* work,
             const int* lwork, int* info);
void dgeqrf_(const int* m, const int* n, double* a, const int* lda, double* tau, double* work,
             const int* lwork, int* info);
void sorgqr_(const int* m, const int* n, const int* k, float* a, const int* lda, const float* tau,
             float* work, const int* lwork, int* info);
void dorgqr_(const int* m, const int* n, const int* k, double* a, const int* lda, const double* tau,
             double* work, const int* lwork, int* info);
}

namespace boxgrad {

namespace {

void check_matrix(const char* op, const Tensor& w) {
  check(w.rank() == 2, op, ": w must be a matrix [m, n], got shape ", w.shape());
  check(w.numel() > 0, op, ": w is empty, shape ", w.shape());
  check(std::max(w.size(0), w.size(1)) <= std::numeric_limits<int>::max(), op,
        ": w is too large for LAPACK, shape ", w.shape());
  for (const Scalar value : w.data())
    check(std::isfinite(value), op, ": w must be finite, got ", value);
}

/// Turns the rows of y [k, n], k <= n, into orthonormal rows that span the same: QR by Householder
/// reflections, which yields k such rows even where y has a lower rank. Row-major rows are what
/// LAPACK calls columns.
void orthonormalize_rows(Tensor& y) {
  const int n = static_cast<int>(y.size(1)), k = static_cast<int>(y.size(0));
  std::vector<Scalar> tau(static_cast<std::size_t>(k)), work(1);
  Scalar* a = y.data().data();
  int info = 0;
  const auto factor = [&](int lwork) {
#ifdef BOXGRAD_DOUBLE
    dgeqrf_
#else
    sgeqrf_
#endif
        (&n, &k, a, &n, tau.data(), work.data(), &lwork, &info);
  };
  const auto form_q = [&](int lwork) {
#ifdef BOXGRAD_DOUBLE
    dorgqr_
#else
    sorgqr_
#endif
        (&n, &k, &k, a, &n, tau.data(), work.data(), &lwork, &info);
  };
  const auto work_space = [&](const auto& call) {  // -1 asks how much it would like
    call(-1);
    return static_cast<std::size_t>(work[0] * Scalar(1.01)) + 64;
  };
  const std::size_t size = std::max(work_space(factor), work_space(form_q));
  work.resize(size);
  factor(static_cast<int>(size));
  form_q(static_cast<int>(size));
}

}  // namespace

Svd svd(const Tensor& w) {
  check_matrix("svd", w);

  // LAPACK counts columns first: our row-major w [m, n] is its matrix w^T = V diag(S) U^T with n
  // rows and m columns. Its "U" is therefore our V, and both come out row-major for us.
  const int rows = static_cast<int>(w.size(1)), cols = static_cast<int>(w.size(0));
  const int r = std::min(rows, cols);
  Tensor a = w.clone();  // gesdd destroys its input
  Svd result{Tensor::empty({cols, r}), std::vector<Scalar>(static_cast<std::size_t>(r)),
             Tensor::empty({r, rows})};
  std::vector<int> iwork(8 * static_cast<std::size_t>(r));
  int info = 0;
  const auto gesdd = [&](Scalar* work, int lwork) {
#ifdef BOXGRAD_DOUBLE
    dgesdd_
#else
    sgesdd_
#endif
        ("S", &rows, &cols, a.data().data(), &rows, result.s.data(), result.vt.data().data(), &rows,
         result.u.data().data(), &r, work, &lwork, iwork.data(), &info, 1);
  };
  Scalar best_size = 0;
  gesdd(&best_size, -1);  // asks how much work space it would like
  std::vector<Scalar> work(static_cast<std::size_t>(best_size * Scalar(1.01)) + 64);
  gesdd(work.data(), static_cast<int>(work.size()));
  if (info != 0)
    throw std::runtime_error(concat("svd: LAPACK's gesdd did not converge on shape ", w.shape()));
  return result;
}

Svd truncated_svd(const Tensor& w, std::int64_t t, const TruncatedSvdOptions& options) {
  check_matrix("truncated_svd", w);
  const std::int64_t m = w.size(0), n = w.size(1), r = std::min(m, n);
  check(t >= 1 && t <= r, "truncated_svd: t must be from 1 to ", r, ", got ", t);
  const std::int64_t oversampling = options.oversampling.value_or(std::max<std::int64_t>(8, t / 4));
  check(oversampling >= 0, "truncated_svd: oversampling must be >= 0, got ", oversampling);
  check(options.power_iterations >= 0, "truncated_svd: power_iterations must be >= 0, got ",
        options.power_iterations);
  const std::int64_t k = t + std::min(oversampling, r - t);

  // Bases are kept as rows: q is Q^T [k, m], z is [k, n].
  Random random(options.seed);
  Tensor z = Tensor::randn({k, n}, random), q = Tensor::empty({k, m});
  const auto multiply_by_w = [&] {  // Q = orth(W Z)
    gemm(Trans::no, Trans::yes, k, m, n, 1, z.data().data(), n, w.data().data(), n, 0,
         q.data().data(), m);
    orthonormalize_rows(q);
  };
  const auto multiply_by_transpose = [&] {  // Z = W^T Q
    gemm(Trans::no, Trans::no, k, n, m, 1, q.data().data(), m, w.data().data(), n, 0,
         z.data().data(), n);
  };
  multiply_by_w();
  for (int i = 0; i < options.power_iterations; ++i) {
    multiply_by_transpose();
    orthonormalize_rows(z);
    multiply_by_w();
  }
  multiply_by_transpose();  // z is B = Q^T W now
  const Svd small = svd(z);

  Svd result{Tensor::empty({m, t}), small.s, Tensor::empty({t, n})};
  result.s.resize(static_cast<std::size_t>(t));
  gemm(Trans::yes, Trans::no, m, t, k, 1, q.data().data(), m, small.u.data().data(), k, 0,
       result.u.data().data(), t);
  std::copy_n(small.vt.data().begin(), t * n, result.vt.data().begin());
  return result;
}

Tensor low_rank(const Svd& decomposition, std::int64_t t) {
  const auto& [u, s, vt] = decomposition;
  const std::int64_t m = u.size(0), r = u.size(1), n = vt.size(1);
  check(t >= 1 && t <= r, "low_rank: t must be from 1 to ", r, ", got ", t);
  Tensor scaled = Tensor::empty({t, n});  // diag(S_t) V_t^T
  for (std::int64_t row = 0; row < t; ++row)
    for (std::int64_t col = 0; col < n; ++col)
      scaled.data()[static_cast<std::size_t>(row * n + col)] =
          s[static_cast<std::size_t>(row)] * vt.data()[static_cast<std::size_t>(row * n + col)];
  Tensor w = Tensor::empty({m, n});
  gemm(Trans::no, Trans::no, m, n, t, 1, u.data().data(), r, scaled.data().data(), n, 0,
       w.data().data(), n);
  return w;
}

}  // namespace boxgrad
