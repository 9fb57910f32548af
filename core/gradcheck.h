#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace boxgrad {

/// A function under test: maps the inputs to a tensor of any shape.
using GradcheckFunction = std::function<Tensor(const std::vector<Tensor>&)>;

struct GradcheckOptions {
  double step = 0;       ///< h of (f(x + h) - f(x - h)) / 2h; 0: 1e-6 in double, 1e-2 in float
  double tolerance = 0;  ///< on |a - n| / max(1, |a|, |n|); 0: 1e-6 in double, 2e-2 in float
};

/// One line per input of the checked function.
struct GradcheckRow {
  int input = 0;
  Shape shape;
  double max_error = 0;              ///< largest relative error over the elements
  std::int64_t worst = 0;            ///< its element, row-major
  double analytic = 0, numeric = 0;  ///< the two values there
  bool ok = true;
};

struct GradcheckReport {
  bool ok = true;
  std::vector<GradcheckRow> rows;
  std::string failure;        ///< what else went wrong, e.g. "a second backward pass must add"
  std::string table() const;  ///< for people
};

/// Compares backward() with central differences, for every element of every input.
///
/// The scalar is s = sum_j r_j f(x)_j with fixed random r (a plain sum is constant for softmax
/// and blind to permuted outputs). Analytic: ds/dx by backward(). Numeric: (s(x + h e_i) -
/// s(x - h e_i)) / 2h. A second backward pass must give exactly twice the gradient, which proves
/// that the op adds into gradients instead of overwriting them.
///
/// f must be smooth near the inputs: stay away from kinks (relu at 0) and ties (max).
/// Build with -DBOXGRAD_DOUBLE for the strict tolerance; in float only gross errors show.
GradcheckReport gradcheck(const GradcheckFunction& f, const std::vector<Tensor>& inputs,
                          GradcheckOptions options = {});

/// max |a - b| / max |b|: how far an answer is from its reference b (max |a - b| when b is 0
/// everywhere). Infinite when either holds a NaN or an infinity.
/// Throws std::invalid_argument when the shapes differ.
double relative_error(const Tensor& a, const Tensor& b);

/// The names of all ops that ran inside a passing gradcheck of this process.
const std::set<std::string>& gradchecked_ops();

}  // namespace boxgrad
