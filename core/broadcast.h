#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/shape.h"

namespace boxgrad {

/// How two operands are read while an output of their common shape is written row by row.
///
/// Axes that both operands walk alike are merged first, so that equal shapes become one long row
/// and a bias on the last axis becomes rows of that axis:
///
///   for (row...) for (i < length) out[row * length + i] = f(a[offset(0,row) + i * stride(0)], ...)
class BroadcastRows {
 public:
  /// Throws std::invalid_argument, naming `op`, when the shapes do not broadcast.
  BroadcastRows(const Shape& a, const Shape& b, const char* op);

  std::int64_t rows() const { return rows_; }
  std::int64_t length() const { return length_; }
  /// 1 when operand 0 or 1 moves along a row, 0 when one element serves the whole row.
  std::int64_t stride(int operand) const {
    return inner_stride_[static_cast<std::size_t>(operand)];
  }
  /// Where the row starts in the operand.
  std::int64_t offset(int operand, std::int64_t row) const;

 private:
  struct Axis {
    std::int64_t extent;
    std::array<std::int64_t, 2> stride;
  };
  std::vector<Axis> outer_;  // innermost first
  std::int64_t rows_ = 1, length_ = 1;
  std::array<std::int64_t, 2> inner_stride_{0, 0};
};

}  // namespace boxgrad
