#include "core/nan_check.h"

#include <cmath>

namespace boxgrad {

std::int64_t find_non_finite(std::span<const Scalar> numbers) {
  for (std::size_t i = 0; i < numbers.size(); ++i)
    if (!std::isfinite(numbers[i])) return static_cast<std::int64_t>(i);
  return -1;
}

namespace {

void inspect(const OpObserver::Op& op, std::span<const Scalar> numbers, const Shape& shape,
             bool backward) {
  const std::int64_t i = find_non_finite(numbers);
  if (i < 0) return;
  const std::string where = op.module_path.empty() ? "outside of any module"
                                                   : concat("in module \"", op.module_path, "\"");
  // An op is not to blame for what it was given: images, weights, or an earlier op unwatched.
  std::string given;
  for (std::size_t k = 0; k < op.inputs.size() && given.empty(); ++k)
    if (find_non_finite(op.inputs[k].data()) >= 0)
      given = concat("; its input ", k, " was not finite already");
  throw NonFiniteError(
      concat(backward ? "the backward of op \"" : "op \"", op.name, "\" ", where,
             backward ? " gave a gradient of shape " : " gave a value of shape ", shape,
             " whose element ", i, " is ", numbers[static_cast<std::size_t>(i)], given),
      op.name, op.module_path, backward);
}

}  // namespace

void NonFiniteCheck::after_forward(const Op& op) {
  inspect(op, op.output.data(), op.output.shape(), false);
}

void NonFiniteCheck::after_backward(const Op& op, const Tensor&) {
  for (const auto& slot : op.input_slots)
    if (slot && slot->written()) inspect(op, slot->data(), slot->shape(), true);
}

}  // namespace boxgrad
