#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/gradcheck.h"
#include "tests/catch.h"

namespace boxgrad {

/// Fails the test, with the table, unless backward() agrees with finite differences.
inline void check_gradients(const GradcheckFunction& f, const std::vector<Tensor>& inputs,
                            GradcheckOptions options = {}) {
  const GradcheckReport report = gradcheck(f, inputs, options);
  INFO(report.table());
  CHECK(report.ok);
}

/// max |a - b| / max |b|: how far an answer is from its reference.
inline double relative_error(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double difference = 0, scale = 0;
  for (std::size_t i = 0; i < a.data().size(); ++i) {
    const double x = static_cast<double>(a.data()[i]), y = static_cast<double>(b.data()[i]);
    if (std::isnan(x - y)) return HUGE_VAL;  // max() would drop it
    difference = std::max(difference, std::abs(x - y));
    scale = std::max(scale, std::abs(y));
  }
  return scale > 0 ? difference / scale : difference;
}

}  // namespace boxgrad
