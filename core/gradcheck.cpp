#include "core/gradcheck.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <sstream>

#include "core/autograd.h"
#include "core/ops.h"

namespace boxgrad {

namespace {

#ifdef BOXGRAD_DOUBLE
constexpr double kStep = 1e-6, kTolerance = 1e-6;
#else
constexpr double kStep = 1e-2, kTolerance = 2e-2;
#endif

std::set<std::string>& checked() {
  static std::set<std::string> names;
  return names;
}

/// Remembers which ops ran while it lived.
struct OpNames : OpObserver {
  std::set<std::string> names;
  void after_forward(const Op& op) override { names.insert(op.name); }
};

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.data().size(); ++i)
    sum += static_cast<double>(a.data()[i]) * static_cast<double>(b.data()[i]);
  return sum;
}

}  // namespace

GradcheckReport gradcheck(const GradcheckFunction& f, const std::vector<Tensor>& inputs,
                          GradcheckOptions options) {
  const double h = options.step > 0 ? options.step : kStep;
  const double tolerance = options.tolerance > 0 ? options.tolerance : kTolerance;
  std::vector<Tensor> x;
  for (const Tensor& input : inputs) x.push_back(input.clone().requires_grad_());

  OpNames seen;
  GradcheckReport report;
  const auto fail = [&](const std::string& why) {
    report.ok = false;
    if (report.failure.empty()) report.failure = why;
  };

  Tensor y = f(x);
  Random random(20150430);
  Tensor r = Tensor::empty(y.shape());
  for (Scalar& value : r.data())  // away from 0, so that no output is ignored
    value = static_cast<Scalar>((random.bernoulli(0.5) ? 1 : -1) * random.uniform(0.5, 1.5));
  if (!y.requires_grad()) {
    fail("the output does not depend on any input");
    return report;
  }
  y.backward(r);
  std::vector<Tensor> once;
  for (const Tensor& input : x) once.push_back(input.grad().clone());

  // A second pass must add its gradient to the first one's.
  f(x).backward(r);
  for (std::size_t k = 0; k < x.size(); ++k) {
    const Tensor twice = x[k].grad();
    for (std::size_t i = 0; i < once[k].data().size(); ++i) {
      const double a = 2 * static_cast<double>(once[k].data()[i]), b = twice.data()[i];
      if (!(std::abs(a - b) <= 1e-5 * std::max(1.0, std::abs(a))))
        fail(concat("a second backward pass must add: input ", k, ", element ", i, " has ", b,
                    " instead of ", a));
    }
  }

  const NoGradGuard no_grad;
  for (std::size_t k = 0; k < x.size(); ++k) {
    GradcheckRow row{static_cast<int>(k), x[k].shape(), 0, 0, 0, 0, true};
    for (std::size_t i = 0; i < x[k].data().size(); ++i) {
      Scalar& element = x[k].data()[i];
      const Scalar before = element;
      // The steps that are really taken: x + h is rounded to a Scalar.
      const Scalar up = before + static_cast<Scalar>(h), down = before - static_cast<Scalar>(h);
      element = up;
      const double s_up = dot(r, f(x));
      element = down;
      const double s_down = dot(r, f(x));
      element = before;
      const double numeric =
          (s_up - s_down) / (static_cast<double>(up) - static_cast<double>(down));
      const double analytic = once[k].data()[i];
      const double error =
          std::abs(analytic - numeric) / std::max({1.0, std::abs(analytic), std::abs(numeric)});
      if (i == 0 || error > row.max_error || std::isnan(error)) {
        row.max_error = error;
        row.worst = static_cast<std::int64_t>(i);
        row.analytic = analytic;
        row.numeric = numeric;
        if (std::isnan(error)) break;
      }
    }
    row.ok = row.max_error <= tolerance;  // false for NaN, too
    if (!row.ok)
      fail(concat("input ", k, " of shape ", row.shape, ", element ", row.worst, ": backward says ",
                  row.analytic, ", finite differences say ", row.numeric));
    report.rows.push_back(row);
  }
  if (report.ok) checked().insert(seen.names.begin(), seen.names.end());
  return report;
}

std::string GradcheckReport::table() const {
  std::ostringstream out;
  out << "input  shape               max error   backward()    differences\n";
  for (const GradcheckRow& row : rows) {
    out << std::setw(5) << row.input << "  " << std::left << std::setw(18) << row.shape.to_string()
        << std::right << std::scientific << std::setprecision(1) << std::setw(11) << row.max_error
        << std::defaultfloat << std::setprecision(6) << std::setw(13) << row.analytic
        << std::setw(15) << row.numeric << (row.ok ? "  ok" : "  WRONG") << '\n';
  }
  if (!ok) out << "failed: " << failure << '\n';
#ifndef BOXGRAD_DOUBLE
  out << "(single precision: only gross errors show; the double build checks to 1e-6)\n";
#endif
  return out.str();
}

double relative_error(const Tensor& a, const Tensor& b) {
  check(a.shape() == b.shape(), "relative_error: a must have b's shape ", b.shape(), ", got ",
        a.shape());
  double difference = 0, scale = 0;
  for (std::size_t i = 0; i < a.data().size(); ++i) {
    const double x = static_cast<double>(a.data()[i]), y = static_cast<double>(b.data()[i]);
    if (!std::isfinite(x - y)) return HUGE_VAL;  // max() would drop a NaN
    difference = std::max(difference, std::abs(x - y));
    scale = std::max(scale, std::abs(y));
  }
  return scale > 0 ? difference / scale : difference;
}

const std::set<std::string>& gradchecked_ops() { return checked(); }

}  // namespace boxgrad
