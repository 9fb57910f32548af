// core/svd.h: truncated_svd. (svd and low_rank: tests/test_core_base.cpp.)
#include <cmath>

#include "core/ops.h"
#include "core/parallel.h"
#include "core/random.h"
#include "core/svd.h"
#include "tests/catch.h"

using namespace boxgrad;

namespace {

Tensor transposed(const Tensor& x) { return permute(x, {1, 0}); }

/// [m, n] with orthonormal columns (m >= n).
Tensor orthonormal(std::int64_t m, std::int64_t n, Random& random) {
  return svd(Tensor::randn({m, n}, random)).u;
}

/// A matrix [m, n] with these singular values.
Tensor with_spectrum(std::int64_t m, std::int64_t n, const std::vector<Scalar>& s) {
  Random random(7);
  const auto r = static_cast<std::int64_t>(s.size());
  Tensor u = orthonormal(m, r, random);
  for (std::int64_t i = 0; i < u.numel(); ++i) u.data()[std::size_t(i)] *= s[std::size_t(i % r)];
  return matmul(u, transposed(orthonormal(n, r, random)));
}

double frobenius(const Tensor& a, const Tensor& b) {
  double squares = 0;
  for (std::size_t i = 0; i < a.data().size(); ++i)
    squares += std::pow(double(a.data()[i]) - double(b.data()[i]), 2);
  return std::sqrt(squares);
}

/// The greatest difference between the products of v's rows and the unit matrix.
double unlike_identity(const Tensor& v) {
  const Tensor products = matmul(v, transposed(v));
  double worst = 0;
  for (std::int64_t i = 0; i < products.size(0); ++i)
    for (std::int64_t j = 0; j < products.size(1); ++j)
      worst = std::max(worst, std::abs(double(products.at({i, j})) - (i == j ? 1 : 0)));
  return worst;
}

}  // namespace

TEST_CASE("svd: the values and errors of a small matrix, as numpy has them", "[svd]") {
  const Tensor a({3, 4}, {1, 2, 3, 4, 2, 4, 6, Scalar(8.1), 0, 1, 0, 1});
  const Svd whole = svd(a);
  REQUIRE(whole.s.size() == 3);
  CHECK(double(whole.s[0]) == Approx(12.361980).epsilon(1e-6));
  CHECK(double(whole.s[1]) == Approx(.889174).epsilon(1e-5));
  CHECK(double(whole.s[2]) == Approx(.028769).epsilon(1e-3));
  // What is left out: sqrt(s_2^2 + s_3^2), then s_3.
  CHECK(frobenius(low_rank(whole, 1), a) == Approx(.889639).epsilon(1e-5));
  CHECK(frobenius(low_rank(whole, 2), a) == Approx(.028769).epsilon(1e-3));
}

TEST_CASE("truncated_svd finds the first values of known spectra", "[svd]") {
  const auto spectrum = GENERATE(0, 1, 2);
  const std::int64_t r = 120, t = 20;
  std::vector<Scalar> s;
  for (std::int64_t k = 0; k < r; ++k)
    s.push_back(Scalar(spectrum == 0   ? std::pow(0.9, k)       // as a power
                       : spectrum == 1 ? 1. / double(k + 1)     // 1, 1/2, 1/3, ...
                       : k < t         ? 3 - 0.1 * double(k)    // a step of ten, then noise:
                                       : 0.1 - 5e-4 * double(k - t)));  // most of it flat
  double optimum = 0;
  for (std::int64_t k = t; k < r; ++k) optimum += std::pow(double(s[std::size_t(k)]), 2);
  optimum = std::sqrt(optimum);

  for (const auto& [m, n] : {std::pair{300, 150}, {150, 300}, {160, 160}}) {
    const Tensor w = with_spectrum(m, n, s);
    const Svd d = truncated_svd(w, t);
    REQUIRE(d.u.shape() == Shape{m, t});
    REQUIRE(d.s.size() == std::size_t(t));
    REQUIRE(d.vt.shape() == Shape{t, n});
    const Svd exact = svd(w);
    for (std::size_t k = 0; k < std::size_t(t) / 2; ++k) {
      CHECK(double(d.s[k]) == Approx(double(exact.s[k])).epsilon(1e-3));
      CHECK(d.s[k] >= d.s[k + 1]);
    }
    const double error = frobenius(low_rank(d, t), w);
    CHECK(error <= 1.01 * optimum);
    CHECK(error >= 0.999 * optimum);
    // What a projection loses is known.
    double all = 0, kept = 0;
    for (const Scalar value : w.data()) all += std::pow(double(value), 2);
    for (const Scalar value : d.s) kept += std::pow(double(value), 2);
    CHECK(std::sqrt(all - kept) == Approx(error).epsilon(1e-2));
    CHECK(unlike_identity(d.vt) < 1e-4);
    CHECK(unlike_identity(transposed(d.u)) < 1e-4);
  }
}

TEST_CASE("truncated_svd: a wider sketch and more iterations come closer", "[svd]") {
  std::vector<Scalar> s;
  for (int k = 0; k < 120; ++k) s.push_back(Scalar(1 / std::sqrt(k + 1.)));  // a flat spectrum
  const Tensor w = with_spectrum(140, 130, s);
  const auto error = [&](std::int64_t oversampling, int power_iterations) {
    return frobenius(
        low_rank(truncated_svd(
                     w, 24, {.oversampling = oversampling, .power_iterations = power_iterations}),
                 24),
        w);
  };
  const double least = frobenius(low_rank(svd(w), 24), w);
  CHECK(error(0, 0) > error(0, 1));
  CHECK(error(0, 1) > error(0, 3));
  CHECK(error(0, 1) > error(24, 1));
  CHECK(error(200, 0) == Approx(least).epsilon(1e-4));  // more than there is: nothing is left out
}

TEST_CASE("truncated_svd of matrices without full rank", "[svd]") {
  const Tensor zero({5, 4});
  const Svd nothing = truncated_svd(zero, 2);
  CHECK(nothing.s == std::vector<Scalar>{0, 0});
  CHECK(unlike_identity(nothing.vt) < 1e-4);
  const Tensor rank_two = with_spectrum(40, 30, {2, 1});
  const Svd d = truncated_svd(rank_two, 5);
  CHECK(double(d.s[1]) == Approx(1).epsilon(1e-4));
  CHECK(double(d.s[2]) == Approx(0).margin(1e-5));
  CHECK(frobenius(low_rank(d, 5), rank_two) < 1e-4);
  CHECK(double(truncated_svd(Tensor({1, 1}, {-3}), 1).s[0]) == Approx(3));
}

TEST_CASE("truncated_svd: the same bits whatever the number of threads", "[svd]") {
  const int threads = num_threads();
  Random random(8);
  const Tensor w = Tensor::randn({500, 400}, random);
  set_num_threads(1);
  const Svd one = truncated_svd(w, 40);
  for (const int count : {2, 3}) {
    set_num_threads(count);
    const Svd again = truncated_svd(w, 40);
    CHECK(again.s == one.s);
    CHECK(again.u.to_vector() == one.u.to_vector());
    CHECK(again.vt.to_vector() == one.vt.to_vector());
  }
  set_num_threads(threads);
  CHECK(truncated_svd(w, 40, {.seed = 2}).s != one.s);
}

TEST_CASE("truncated_svd explains what does not fit", "[svd][errors]") {
  const Tensor w = Tensor::ones({4, 3});
  CHECK_THROWS_WITH(truncated_svd(Tensor({2}), 1),
                    "truncated_svd: w must be a matrix [m, n], got shape [2]");
  CHECK_THROWS_WITH(truncated_svd(Tensor({0, 2}), 1), "truncated_svd: w is empty, shape [0, 2]");
  CHECK_THROWS_WITH(truncated_svd(w, 0), "truncated_svd: t must be from 1 to 3, got 0");
  CHECK_THROWS_WITH(truncated_svd(w, 4), "truncated_svd: t must be from 1 to 3, got 4");
  CHECK_THROWS_WITH(truncated_svd(w, 1, {.oversampling = -1}),
                    "truncated_svd: oversampling must be >= 0, got -1");
  CHECK_THROWS_WITH(truncated_svd(w, 1, {.power_iterations = -1}),
                    "truncated_svd: power_iterations must be >= 0, got -1");
  CHECK_THROWS_WITH(truncated_svd(Tensor({1, 1}, {Scalar(NAN)}), 1),
                    "truncated_svd: w must be finite, got nan");
}
