#include "core/broadcast.h"

#include <algorithm>

#include "core/check.h"
#include "core/ops.h"

namespace boxgrad {

Shape broadcast_shape(const Shape& a, const Shape& b, const char* op) {
  const int rank = std::max(a.rank(), b.rank());
  std::vector<std::int64_t> extents(static_cast<std::size_t>(rank));
  for (int axis = 1; axis <= rank; ++axis) {  // counted from the end
    const std::int64_t ea = axis <= a.rank() ? a[-axis] : 1, eb = axis <= b.rank() ? b[-axis] : 1;
    check(ea == eb || ea == 1 || eb == 1, op, ": shapes ", a, " and ", b,
          " do not broadcast (axis -", axis, ": ", ea, " against ", eb, ")");
    extents[static_cast<std::size_t>(rank - axis)] = ea == 1 ? eb : ea;
  }
  return Shape(std::move(extents));
}

BroadcastRows::BroadcastRows(const Shape& a, const Shape& b, const char* op) {
  const Shape out = broadcast_shape(a, b, op);
  std::array<std::int64_t, 2> step{1, 1};  // elements between neighbours on this axis
  std::vector<Axis> axes;                  // innermost first
  for (int axis = 1; axis <= out.rank(); ++axis) {
    const std::int64_t ea = axis <= a.rank() ? a[-axis] : 1, eb = axis <= b.rank() ? b[-axis] : 1;
    const Axis current{out[-axis], {ea == 1 ? 0 : step[0], eb == 1 ? 0 : step[1]}};
    step = {step[0] * ea, step[1] * eb};
    if (current.extent == 1) continue;
    // Merge with the axis inside when both operands step over it seamlessly.
    if (!axes.empty()) {
      Axis& inner = axes.back();
      const auto seamless = [&](std::size_t k) {
        return current.stride[k] == inner.stride[k] * inner.extent;
      };
      if (seamless(0) && seamless(1)) {
        inner.extent *= current.extent;
        continue;
      }
    }
    axes.push_back(current);
  }
  if (!axes.empty()) {
    length_ = axes.front().extent;
    inner_stride_ = axes.front().stride;
    outer_.assign(axes.begin() + 1, axes.end());
  }
  for (const Axis& axis : outer_) rows_ *= axis.extent;
}

std::int64_t BroadcastRows::offset(int operand, std::int64_t row) const {
  std::int64_t offset = 0;
  for (const Axis& axis : outer_) {
    offset += row % axis.extent * axis.stride[static_cast<std::size_t>(operand)];
    row /= axis.extent;
  }
  return offset;
}

}  // namespace boxgrad
