#pragma once

#include <cstdint>

namespace boxgrad {

/// A value for each of the two axes of a map: `2` is both, `{2, 1}` is height, then width.
struct PerAxis {
  std::int64_t h, w;
  constexpr PerAxis(std::int64_t both) : h(both), w(both) {}
  constexpr PerAxis(std::int64_t height, std::int64_t width) : h(height), w(width) {}
};

/// Zeros around a map: `1` on every side, `{1, 2}` 1 above and below and 2 left and right, or each
/// side as {top, bottom, left, right}.
struct Padding {
  std::int64_t top, bottom, left, right;
  constexpr Padding(std::int64_t all) : top(all), bottom(all), left(all), right(all) {}
  constexpr Padding(std::int64_t vertical, std::int64_t horizontal)
      : top(vertical), bottom(vertical), left(horizontal), right(horizontal) {}
  constexpr Padding(std::int64_t t, std::int64_t b, std::int64_t l, std::int64_t r)
      : top(t), bottom(b), left(l), right(r) {}
};

}  // namespace boxgrad
