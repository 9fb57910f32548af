// detection/linear_svm.h, detection/ridge.h and core/solve.h.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/gradcheck.h"
#include "core/ops.h"
#include "core/random.h"
#include "core/solve.h"
#include "detection/linear_svm.h"
#include "detection/ridge.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// Two clouds that overlap.
struct Clouds {
  Tensor x;
  std::vector<bool> positive;

  Clouds(std::int64_t n, std::int64_t d, double distance) : x({n, d}) {
    Random random(4);
    for (std::int64_t i = 0; i < n; ++i) {
      positive.push_back(i % 4 == 0);
      for (std::int64_t k = 0; k < d; ++k)
        x.set({i, k}, Scalar(random.normal() + (positive.back() && k < 2 ? distance : 0)));
    }
  }
};

/// 1/2 |w|^2 + sum of C_i hinge.
double primal(const LinearSvm& svm, const Clouds& data, const LinearSvmOptions& options) {
  const double extra = double(svm.bias) / options.bias_multiplier;
  double value = extra * extra / 2;
  for (const Scalar w : svm.weight) value += double(w) * double(w) / 2;
  for (std::size_t i = 0; i < data.positive.size(); ++i) {
    const double margin = (data.positive[i] ? 1 : -1) *
                          double(svm.score(data.x.data().data() + i * svm.weight.size()));
    value +=
        options.c * (data.positive[i] ? options.positive_weight : 1) * std::max(0., 1 - margin);
  }
  return value;
}

/// sum of alpha - 1/2 |w|^2.
double dual(const LinearSvm& svm, const LinearSvmOptions& options) {
  const double extra = double(svm.bias) / options.bias_multiplier;
  double value = -extra * extra / 2;
  for (const Scalar w : svm.weight) value -= double(w) * double(w) / 2;
  for (const Scalar alpha : svm.dual) value += double(alpha);
  return value;
}

}  // namespace

TEST_CASE("train_linear_svm: two points", "[svm]") {
  // x = 1 and -1, no bias to speak of: the margin is 1 at w = 1, whichever alphas make it.
  const LinearSvmOptions options{
      .c = 100, .positive_weight = 1, .bias_multiplier = 1e-3, .tolerance = 1e-5};
  const LinearSvm svm = train_linear_svm(Tensor({2, 1}, {1, -1}), {true, false}, options);
  CHECK(double(svm.weight[0]) == Approx(1).epsilon(1e-3));
  CHECK(double(svm.dual[0] + svm.dual[1]) == Approx(1).epsilon(1e-3));
  CHECK(double(svm.bias) == Approx(0).margin(1e-3));
  // With a small C both alphas are at their ends, C and 2 C: w = 3 C.
  const LinearSvm soft = train_linear_svm(Tensor({2, 1}, {1, -1}), {true, false},
                                          {.c = 0.01, .bias_multiplier = 1e-3});
  CHECK(double(soft.weight[0]) == Approx(0.03).epsilon(1e-3));
  CHECK(soft.dual[0] == Approx(0.02));
  CHECK(soft.dual[1] == Approx(0.01));
}

TEST_CASE("train_linear_svm: primal and dual meet, and nothing near is better", "[svm]") {
  const Clouds data(200, 6, 1.5);
  for (const double c : {1e-3, 0.05, 1.}) {
    const LinearSvmOptions options{.c = c, .tolerance = 1e-4, .max_passes = 20000};
    const LinearSvm svm = train_linear_svm(data.x, data.positive, options);
    CHECK(svm.passes < options.max_passes);
    const double best = primal(svm, data, options);
    CHECK(dual(svm, options) == Approx(best).epsilon(2e-3));
    Random random(1);
    for (int k = 0; k < 20; ++k) {
      LinearSvm moved = svm;
      for (Scalar& w : moved.weight) w += Scalar(0.03 * random.normal());
      moved.bias += Scalar(0.03 * random.normal());
      CHECK(primal(moved, data, options) > best * (1 - 1e-4));
    }
    for (std::size_t i = 0; i < svm.dual.size(); ++i) {
      CHECK(svm.dual[i] >= 0);
      CHECK(double(svm.dual[i]) <= c * (data.positive[i] ? 2 : 1) * (1 + 1e-6));
    }
  }
}

TEST_CASE("train_linear_svm: the positives' weight moves the plane", "[svm]") {
  const Clouds data(400, 3, 1);
  const auto recall = [&](double weight) {
    const LinearSvm svm =
        train_linear_svm(data.x, data.positive, {.c = 0.1, .positive_weight = weight});
    int found = 0, all = 0;
    for (std::size_t i = 0; i < data.positive.size(); ++i)
      if (data.positive[i]) ++all, found += svm.score(data.x.data().data() + 3 * i) > 0;
    return double(found) / all;
  };
  CHECK(recall(4) > recall(1) + 0.1);
}

TEST_CASE("train_linear_svm says whether it got there", "[svm]") {
  const Clouds data(200, 6, 1.5);
  const LinearSvm there = train_linear_svm(data.x, data.positive, {.c = 1e-3});
  CHECK(there.converged);
  REQUIRE(there.passes > 1);
  CHECK(there.passes < 300);
  const LinearSvm cut =
      train_linear_svm(data.x, data.positive, {.c = 1e-3, .max_passes = there.passes - 1});
  CHECK_FALSE(cut.converged);
  CHECK(cut.passes == there.passes - 1);
  // Done in the very last pass that was allowed is done.
  const LinearSvm just =
      train_linear_svm(data.x, data.positive, {.c = 1e-3, .max_passes = there.passes});
  CHECK(just.converged);
  CHECK(just.weight == there.weight);
}

TEST_CASE("train_linear_svm explains what does not fit", "[svm][errors]") {
  for (const Scalar bad :
       {std::numeric_limits<Scalar>::quiet_NaN(), std::numeric_limits<Scalar>::infinity(),
        std::numeric_limits<Scalar>::max()})
    CHECK_THROWS_WITH(train_linear_svm(Tensor({2, 1}, {1, bad}), {true, false}),
                      "train_linear_svm: features must be finite, with a finite sum of squares; "
                      "those of example 1 are not");
  CHECK_THROWS_WITH(train_linear_svm(Tensor({2, 1}), {true}),
                    "train_linear_svm: features must be [1, D], got [2, 1]");
  CHECK_THROWS_WITH(train_linear_svm(Tensor({2, 1}), {true, true}),
                    "train_linear_svm: needs examples of both kinds, got 2 positives of 2");
  CHECK_THROWS(train_linear_svm(Tensor({2, 1}), {true, false}, {.c = 0}));
}

TEST_CASE("solve_positive_definite", "[solve]") {
  const Tensor a({2, 2}, {4, 99, 2, 3}), b({2, 1}, {2, 5});  // 99 is not read
  const Tensor x = solve_positive_definite(a, b);
  CHECK(double(x.at({0, 0})) == Approx(-0.5));
  CHECK(double(x.at({1, 0})) == Approx(2));
  Random random(3);
  const Tensor m = Tensor::randn({30, 12}, random), rhs = Tensor::randn({12, 5}, random);
  const Tensor normal = matmul(permute(m, {1, 0}), m);
  const Tensor solved = matmul(normal, solve_positive_definite(normal, rhs));
  for (std::size_t i = 0; i < rhs.data().size(); ++i)
    CHECK(double(solved.data()[i]) == Approx(double(rhs.data()[i])).margin(1e-3));
  CHECK(solve_positive_definite(a, Tensor({2, 0})).shape() == Shape{2, 0});

  CHECK_THROWS_WITH(solve_positive_definite(Tensor({2, 3}), b),
                    "solve_positive_definite: a must be [n, n], got [2, 3]");
  CHECK_THROWS_WITH(solve_positive_definite(a, Tensor({3, 1})),
                    "solve_positive_definite: b must be [2, m], got [3, 1]");
  CHECK_THROWS_WITH(solve_positive_definite(Tensor({2, 2}, {1, 2, 2, 1}), b),
                    "solve_positive_definite: a is not positive definite, which shows in row 1");
  CHECK_THROWS_WITH(solve_positive_definite(Tensor({1, 1}, {Scalar(NAN)}), Tensor({1, 1})),
                    "solve_positive_definite: values must be finite, got nan");
}

TEST_CASE("fit_ridge: exact maps, and what lambda does", "[ridge]") {
  Random random(5);
  const Tensor x = Tensor::randn({200, 4}, random), w = Tensor::randn({4, 3}, random);
  Tensor y = matmul(x, w);
  for (std::size_t i = 0; i < y.data().size(); ++i) y.data()[i] += Scalar(i % 3);  // bias 0 1 2
  const LinearMap map = fit_ridge(x, y, 1e-4);
  for (std::size_t i = 0; i < w.data().size(); ++i)
    CHECK(double(map.weight.data()[i]) == Approx(double(w.data()[i])).margin(1e-3));
  for (std::size_t t = 0; t < 3; ++t)
    CHECK(double(map.bias.data()[t]) == Approx(double(t)).margin(1e-3));
  // An infinite lambda leaves the mean of the targets.
  const LinearMap flat = fit_ridge(x, y, 1e9);
  for (const Scalar v : flat.weight.data()) CHECK(std::abs(double(v)) < 1e-3);
  double mean = 0;
  for (std::int64_t r = 0; r < 200; ++r) mean += double(y.at({r, 2})) / 200;
  CHECK(double(flat.bias.data()[2]) == Approx(mean).epsilon(1e-3));
}

TEST_CASE("fit_ridge: one target is plain ridge regression of the whitened one", "[ridge]") {
  // x = 1, 2, 3; y = 2, 3, 7: mean 4, variance 14/3; T = 1 / sqrt(14/3 + .001).
  const Tensor x({3, 1}, {1, 2, 3}), y({3, 1}, {2, 3, 7});
  const double lambda = 2, t = 1 / std::sqrt(14. / 3 + 0.001);
  // (X^T X + 2) b = X^T z with X = (x, 1), z = (y - 4) t: sums by hand.
  const double a11 = 14 + lambda, a12 = 6, a22 = 3 + lambda;
  const double r1 = (1 * -2 + 2 * -1 + 3 * 3) * t, r2 = 0;
  const double det = a11 * a22 - a12 * a12;
  const double b1 = (a22 * r1 - a12 * r2) / det, b2 = (a11 * r2 - a12 * r1) / det;
  const LinearMap map = fit_ridge(x, y, lambda);
  CHECK(double(map.weight.data()[0]) == Approx(b1 / t).epsilon(1e-4));
  CHECK(double(map.bias.data()[0]) == Approx(b2 / t + 4).epsilon(1e-4));
}

TEST_CASE("fit_ridge: fewer examples than features, or more, are one formula", "[ridge]") {
  // Examples that stand twice weigh like one with half of lambda: 6 rows of 8 features, then 12.
  manual_seed(3);
  const Tensor x = Tensor::randn({6, 8}), y = Tensor::randn({6, 4});
  const LinearMap few = fit_ridge(x, y, 0.5), many = fit_ridge(cat({x, x}, 0), cat({y, y}, 0), 1);
  CHECK(relative_error(few.weight, many.weight) < 1e-4);
  CHECK(relative_error(few.bias, many.bias) < 1e-4);
}

TEST_CASE("fit_ridge explains what does not fit", "[ridge][errors]") {
  CHECK_THROWS_WITH(fit_ridge(Tensor({2, 3}), Tensor({3, 4})),
                    "fit_ridge: features [R, D] and targets [R, T] must have as many rows, got "
                    "[2, 3] and [3, 4]");
  CHECK_THROWS_WITH(fit_ridge(Tensor({0, 3}), Tensor({0, 4})), "fit_ridge: there are no examples");
  CHECK_THROWS_WITH(fit_ridge(Tensor({2, 3}), Tensor({2, 4}), 0),
                    "fit_ridge: lambda must be > 0, got 0");
}
