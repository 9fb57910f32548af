#pragma once

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

}  // namespace boxgrad
