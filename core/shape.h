#pragma once

#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <string>
#include <vector>

namespace boxgrad {

/// The extents of a tensor, outermost axis first; prints as [2, 224, 224, 3].
///
/// A class of its own rather than an alias of std::vector, so that it can print itself in error
/// messages and test reports, and so that an impossible shape cannot be made: every extent is
/// >= 0 and their product fits into std::int64_t.
class Shape {
 public:
  Shape() = default;  ///< zero axes; a tensor never has this shape, a scalar's is [1]
  Shape(std::initializer_list<std::int64_t> extents);
  explicit Shape(std::vector<std::int64_t> extents);

  /// Number of axes.
  int rank() const { return static_cast<int>(extents_.size()); }

  /// Number of elements: the product of the extents, 1 for rank 0.
  std::int64_t numel() const { return numel_; }

  /// Extent of an axis; negative axes count from the end, so [-1] is the innermost.
  /// Throws std::invalid_argument when there is no such axis.
  std::int64_t operator[](int axis) const;

  const std::vector<std::int64_t>& extents() const { return extents_; }
  auto begin() const { return extents_.begin(); }
  auto end() const { return extents_.end(); }

  /// "[2, 224, 224, 3]"
  std::string to_string() const;

  friend bool operator==(const Shape& a, const Shape& b) { return a.extents_ == b.extents_; }

 private:
  std::vector<std::int64_t> extents_;
  std::int64_t numel_ = 1;
};

std::ostream& operator<<(std::ostream& out, const Shape& shape);

/// a * b, or std::invalid_argument naming `what` when the product leaves std::int64_t or a factor
/// is negative. Sizes that come from files go through this before anything is allocated.
std::int64_t checked_mul(std::int64_t a, std::int64_t b, const char* what);

/// Turns a possibly negative axis into 0..rank-1; `op` names the caller in the error.
int normalize_axis(int axis, int rank, const char* op);

}  // namespace boxgrad
