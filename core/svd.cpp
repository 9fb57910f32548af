#include "core/svd.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "core/blas.h"

// LAPACK's Fortran entry points, as contained in OpenBLAS.
extern "C" {
void sgesdd_(const char* jobz, const int* m, const int* n, float* a, const int* lda, float* s,
             float* u, const int* ldu, float* vt, const int* ldvt, float* work, const int* lwork,
             int* iwork, int* info, std::size_t jobz_length);
void dgesdd_(const char* jobz, const int* m, const int* n, double* a, const int* lda, double* s,
             double* u, const int* ldu, double* vt, const int* ldvt, double* work, const int* lwork,
             int* iwork, int* info, std::size_t jobz_length);
}

namespace boxgrad {

Svd svd(const Tensor& w) {
  check(w.rank() == 2, "svd: w must be a matrix [m, n], got shape ", w.shape());
  check(w.numel() > 0, "svd: w is empty, shape ", w.shape());
  check(std::max(w.size(0), w.size(1)) <= std::numeric_limits<int>::max(),
        "svd: w is too large for LAPACK, shape ", w.shape());
  for (const Scalar value : w.data())
    check(std::isfinite(value), "svd: w must be finite, got ", value);

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
