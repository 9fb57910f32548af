#include "detection/linear_svm.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/check.h"
#include "core/random.h"

namespace boxgrad::detection {

namespace {

/// Four sums at a time, so that an addition need not wait for the one before.
Scalar dot(const Scalar* a, const Scalar* b, std::size_t n) {
  Scalar sum[4] = {};
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (std::size_t k = 0; k < 4; ++k) sum[k] += a[i + k] * b[i + k];
  for (; i < n; ++i) sum[0] += a[i] * b[i];
  return sum[0] + sum[1] + sum[2] + sum[3];
}

}  // namespace

Scalar LinearSvm::score(const Scalar* x) const {
  return dot(weight.data(), x, weight.size()) + bias;
}

LinearSvm train_linear_svm(const Tensor& features, const std::vector<bool>& positive,
                           const LinearSvmOptions& options) {
  check(features.rank() == 2 && features.size(0) == static_cast<std::int64_t>(positive.size()),
        "train_linear_svm: features must be [", positive.size(), ", D], got ", features.shape());
  const auto positives = std::count(positive.begin(), positive.end(), true);
  check(positives > 0 && positives < std::ssize(positive),
        "train_linear_svm: needs examples of both kinds, got ", positives, " positives of ",
        positive.size());
  check(options.c > 0 && options.positive_weight > 0 && options.bias_multiplier > 0 &&
            options.tolerance > 0 && options.max_passes > 0,
        "train_linear_svm: c, positive_weight, bias_multiplier, tolerance and max_passes must be > "
        "0");
  const auto n = positive.size(), d = static_cast<std::size_t>(features.size(1));
  const Scalar* x = features.data().data();
  const auto extra = static_cast<Scalar>(options.bias_multiplier);

  LinearSvm svm;
  svm.weight.assign(d, 0);
  svm.dual.assign(n, 0);
  Scalar extra_weight = 0;
  std::vector<Scalar> squares(n);
  for (std::size_t i = 0; i < n; ++i) {
    squares[i] = dot(x + i * d, x + i * d, d) + extra * extra;
    // One NaN would be in the weights for good, and in every score.
    check(std::isfinite(squares[i]),
          "train_linear_svm: features must be finite, with a finite "
          "sum of squares; those of example ",
          i, " are not");
  }

  Random random(options.seed);
  for (svm.passes = 1; svm.passes <= options.max_passes; ++svm.passes) {
    Scalar greatest = -std::numeric_limits<Scalar>::infinity(), least = -greatest;
    for (const std::int64_t chosen : random.permutation(static_cast<std::int64_t>(n))) {
      const auto i = static_cast<std::size_t>(chosen);
      const Scalar y = positive[i] ? 1 : -1;
      const auto limit =
          static_cast<Scalar>(positive[i] ? options.c * options.positive_weight : options.c);
      const Scalar* row = x + i * d;
      const Scalar gradient = y * (dot(svm.weight.data(), row, d) + extra_weight * extra) - 1;
      // Where alpha is at its end, a gradient that points outwards asks for nothing.
      Scalar& alpha = svm.dual[i];
      const Scalar projected = alpha <= 0       ? std::min<Scalar>(gradient, 0)
                               : alpha >= limit ? std::max<Scalar>(gradient, 0)
                                                : gradient;
      greatest = std::max(greatest, projected);
      least = std::min(least, projected);
      if (projected == 0) continue;
      const Scalar before = alpha;
      alpha = std::clamp<Scalar>(alpha - gradient / squares[i], 0, limit);
      const Scalar step = (alpha - before) * y;
      for (std::size_t k = 0; k < d; ++k) svm.weight[k] += step * row[k];
      extra_weight += step * extra;
    }
    svm.converged = greatest - least < static_cast<Scalar>(options.tolerance);
    if (svm.converged) break;
  }
  svm.passes = std::min(svm.passes, options.max_passes);
  svm.bias = extra_weight * extra;
  return svm;
}

}  // namespace boxgrad::detection
