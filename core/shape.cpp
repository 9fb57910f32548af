#include "core/shape.h"

#include <ostream>

#include "core/check.h"

namespace boxgrad {

std::int64_t checked_mul(std::int64_t a, std::int64_t b, const char* what) {
  check(a >= 0 && b >= 0, what, ": sizes must be >= 0, got ", a, " x ", b);
  std::int64_t product = 0;
  check(!__builtin_mul_overflow(a, b, &product), what, ": ", a, " x ", b, " is too large");
  return product;
}

int normalize_axis(int axis, int rank, const char* op) {
  check(axis >= -rank && axis < rank, op, ": axis must be in [", -rank, ", ", rank - 1, "], got ",
        axis);
  return axis < 0 ? axis + rank : axis;
}

Shape::Shape(std::initializer_list<std::int64_t> extents)
    : Shape(std::vector<std::int64_t>(extents)) {}

Shape::Shape(std::vector<std::int64_t> extents) : extents_(std::move(extents)) {
  for (const std::int64_t extent : extents_) {
    check(extent >= 0, "Shape: extents must be >= 0, got ", extent);
    numel_ = checked_mul(numel_, extent, "Shape");
  }
}

std::int64_t Shape::operator[](int axis) const {
  return extents_[static_cast<std::size_t>(normalize_axis(axis, rank(), "Shape"))];
}

std::string Shape::to_string() const { return concat(*this); }

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '[';
  for (int axis = 0; axis < shape.rank(); ++axis) out << (axis ? ", " : "") << shape[axis];
  return out << ']';
}

}  // namespace boxgrad
