#include "detection/ridge.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/blas.h"
#include "core/check.h"
#include "core/solve.h"
#include "core/svd.h"

namespace boxgrad::detection {

namespace {

/// a^T b for a [R, m] and b [R, n].
Tensor gram(const Tensor& a, const Tensor& b) {
  Tensor result = Tensor::empty({a.size(1), b.size(1)});
  gemm(Trans::yes, Trans::no, a.size(1), b.size(1), a.size(0), 1, a.data().data(), a.size(1),
       b.data().data(), b.size(1), 0, result.data().data(), b.size(1));
  return result;
}

/// a a^T.
Tensor outer(const Tensor& a) {
  Tensor result = Tensor::empty({a.size(0), a.size(0)});
  gemm(Trans::no, Trans::yes, a.size(0), a.size(0), a.size(1), 1, a.data().data(), a.size(1),
       a.data().data(), a.size(1), 0, result.data().data(), a.size(0));
  return result;
}

Tensor multiply(const Tensor& a, const Tensor& b) {
  Tensor result = Tensor::empty({a.size(0), b.size(1)});
  gemm(Trans::no, Trans::no, a.size(0), b.size(1), a.size(1), 1, a.data().data(), a.size(1),
       b.data().data(), b.size(1), 0, result.data().data(), b.size(1));
  return result;
}

/// V diag(f(lambda)) V^T of a symmetric matrix without negative eigenvalues, whose singular values
/// are its eigenvalues.
template <class F>
Tensor spectral(const Svd& d, F f) {
  Tensor scaled = d.u.clone();
  const std::size_t n = d.s.size();
  for (std::size_t i = 0; i < scaled.data().size(); ++i) scaled.data()[i] *= f(d.s[i % n]);
  Tensor transposed = Tensor::empty(d.u.shape());
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) transposed.data()[j * n + i] = d.u.data()[i * n + j];
  return multiply(scaled, transposed);
}

}  // namespace

LinearMap fit_ridge(const Tensor& features, const Tensor& targets, double lambda) {
  check(features.rank() == 2 && targets.rank() == 2 && features.size(0) == targets.size(0),
        "fit_ridge: features [R, D] and targets [R, T] must have as many rows, got ",
        features.shape(), " and ", targets.shape());
  check(features.size(0) > 0, "fit_ridge: there are no examples");
  check(lambda > 0, "fit_ridge: lambda must be > 0, got ", lambda);
  const std::int64_t rows = features.size(0), d = features.size(1), t = targets.size(1);

  std::vector<double> mean(static_cast<std::size_t>(t), 0);
  for (std::size_t i = 0; i < targets.data().size(); ++i)
    mean[i % mean.size()] += static_cast<double>(targets.data()[i]) / static_cast<double>(rows);
  Tensor centred = targets.clone();
  for (std::size_t i = 0; i < centred.data().size(); ++i)
    centred.data()[i] -= static_cast<Scalar>(mean[i % mean.size()]);
  Tensor covariance = gram(centred, centred);
  for (Scalar& value : covariance.data()) value /= static_cast<Scalar>(rows);
  const Svd spectrum = svd(covariance);
  const auto root = [](Scalar v) { return std::sqrt(v + Scalar(0.001)); };
  const Tensor whiten = spectral(spectrum, [&](Scalar v) { return 1 / root(v); });
  const Tensor colour = spectral(spectrum, root);

  Tensor x = Tensor::empty({rows, d + 1});
  for (std::int64_t r = 0; r < rows; ++r) {
    std::copy_n(features.data().begin() + r * d, d, x.data().begin() + r * (d + 1));
    x.data()[static_cast<std::size_t>(r * (d + 1) + d)] = 1;
  }
  const Tensor y = multiply(centred, whiten);
  const auto plus_lambda = [&](Tensor matrix) {
    const std::int64_t n = matrix.size(0);
    for (std::int64_t k = 0; k < n; ++k)
      matrix.data()[static_cast<std::size_t>(k * (n + 1))] += static_cast<Scalar>(lambda);
    return matrix;
  };
  // (X^T X + lambda I)^-1 X^T = X^T (X X^T + lambda I)^-1: whichever system is smaller.
  const Tensor white = rows <= d ? gram(x, solve_positive_definite(plus_lambda(outer(x)), y))
                                 : solve_positive_definite(plus_lambda(gram(x, x)), gram(x, y));
  const Tensor b = multiply(white, colour);

  LinearMap map{Tensor::empty({d, t}), Tensor::empty({t})};
  std::copy_n(b.data().begin(), d * t, map.weight.data().begin());
  for (std::int64_t k = 0; k < t; ++k)
    map.bias.data()[static_cast<std::size_t>(k)] =
        b.data()[static_cast<std::size_t>(d * t + k)] +
        static_cast<Scalar>(mean[static_cast<std::size_t>(k)]);
  return map;
}

}  // namespace boxgrad::detection
