#include "core/solve.h"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "core/blas.h"
#include "core/check.h"

// LAPACK's Fortran entry points, as contained in OpenBLAS.
extern "C" {
void sposv_(const char* uplo, const int* n, const int* nrhs, float* a, const int* lda, float* b,
            const int* ldb, int* info, std::size_t uplo_length);
void dposv_(const char* uplo, const int* n, const int* nrhs, double* a, const int* lda, double* b,
            const int* ldb, int* info, std::size_t uplo_length);
}

namespace boxgrad {

Tensor solve_positive_definite(const Tensor& a, const Tensor& b) {
  check(a.rank() == 2 && a.size(0) == a.size(1) && a.size(0) > 0,
        "solve_positive_definite: a must be [n, n], got ", a.shape());
  check(b.rank() == 2 && b.size(0) == a.size(0), "solve_positive_definite: b must be [", a.size(0),
        ", m], got ", b.shape());
  check(
      a.size(0) <= std::numeric_limits<int>::max() && b.size(1) <= std::numeric_limits<int>::max(),
      "solve_positive_definite: too large for LAPACK, a ", a.shape(), ", b ", b.shape());
  for (const Tensor* t : {&a, &b})
    for (const Scalar value : t->data())
      check(std::isfinite(value), "solve_positive_definite: values must be finite, got ", value);
  const int n = static_cast<int>(a.size(0)), m = static_cast<int>(b.size(1));
  // LAPACK counts columns first: our lower triangle is its upper one, and b goes in transposed.
  std::vector<Scalar> factor(a.data().begin(), a.data().end());
  std::vector<Scalar> x(static_cast<std::size_t>(n) * static_cast<std::size_t>(m));
  const auto at = [](int i, int j, int columns) {
    return static_cast<std::size_t>(i) * static_cast<std::size_t>(columns) +
           static_cast<std::size_t>(j);
  };
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < m; ++j) x[at(j, i, n)] = b.data()[at(i, j, m)];
  int info = 0;
  if (m > 0)
#ifdef BOXGRAD_DOUBLE
    dposv_
#else
    sposv_
#endif
        ("U", &n, &m, factor.data(), &n, x.data(), &n, &info, 1);
  if (info > 0)
    throw std::runtime_error(concat(
        "solve_positive_definite: a is not positive definite, which shows in row ", info - 1));
  Tensor result = Tensor::empty(b.shape());
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < m; ++j) result.data()[at(i, j, m)] = x[at(j, i, n)];
  return result;
}

}  // namespace boxgrad
