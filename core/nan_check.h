#pragma once

#include <stdexcept>
#include <string>

#include "core/autograd.h"

namespace boxgrad {

/// An op that made a number which is not finite.
class NonFiniteError : public std::runtime_error {
 public:
  NonFiniteError(const std::string& what, std::string op_name, std::string path, bool in_backward)
      : std::runtime_error(what),
        op(std::move(op_name)),
        module_path(std::move(path)),
        backward(in_backward) {}
  std::string op, module_path;
  bool backward;
};

/// While it lives, looks at every value and gradient that ops of this thread make, and throws a
/// NonFiniteError at the first NaN or infinity: which op, in which module, forward or backward,
/// which element. Costs a pass over memory per op, so the trainer sets it only to repeat a step
/// that went wrong.
class NonFiniteCheck : public OpObserver {
 public:
  void after_forward(const Op& op) override;
  void after_backward(const Op& op, const Tensor& dy) override;
};

/// Position of the first number that is NaN or infinite, or -1.
std::int64_t find_non_finite(std::span<const Scalar> numbers);

}  // namespace boxgrad
