#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "core/random.h"
#include "core/scalar.h"

/// Plain numbers for tests of kernels, and how far two lists of them are apart.
namespace boxgrad {

inline std::vector<Scalar> random_numbers(std::int64_t count, std::uint64_t stream) {
  Random random(7, stream);
  std::vector<Scalar> values(static_cast<std::size_t>(count));
  for (Scalar& value : values) value = static_cast<Scalar>(random.normal());
  return values;
}

/// max|a - b| / max|b|, and infinity for a NaN anywhere.
inline double difference(const std::vector<Scalar>& a, const std::vector<Scalar>& b) {
  double worst = 0, largest = 1e-30;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(d <= worst)) worst = std::isnan(d) ? INFINITY : d;
    largest = std::max(largest, std::abs(static_cast<double>(b[i])));
  }
  return worst / largest;
}

/// Of results that only the order of a sum tells apart.
inline constexpr double kTolerance = sizeof(Scalar) == 4 ? 1e-5 : 1e-13;

}  // namespace boxgrad
