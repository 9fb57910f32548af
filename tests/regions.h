#pragma once

#include <cstdint>
#include <utility>

#include "core/ops.h"
#include "core/random.h"
#include "core/tensor.h"

/// Maps and regions for the tests of what pools them.
namespace boxgrad {

/// How many regions and what map the scripts of tests/golden make.
inline constexpr std::int64_t kRegions = 100;
inline const Shape kMap{3, 9, 11, 2};

/// The formulas of tests/golden/roi_pool.py.
inline std::uint32_t hashed(std::uint64_t i) {
  auto v = static_cast<std::uint32_t>(i * 2654435761 + 12345);
  v ^= v >> 15;
  v *= 2246822519u;
  return v ^ v >> 13;
}

inline Scalar corner(std::uint64_t i, double size, double scale) {
  const auto span = static_cast<std::uint32_t>(size / scale * 3.2);
  return static_cast<Scalar>(hashed(i) % span / 2.0 - size / scale * 0.3);
}

/// Integers from -range / 2 on, as the script makes them: element i is of hashed(step * i + s).
inline Tensor integers(Shape shape, std::uint64_t step, std::uint64_t s, std::int64_t range) {
  Tensor t(std::move(shape));
  const auto numbers = t.data();
  for (std::size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = static_cast<Scalar>(hashed(step * i + s) % range - range / 2);
  return t;
}

inline Tensor golden_regions(std::uint64_t s, double scale) {
  Tensor rois({kRegions, 5});
  Scalar* roi = rois.data().data();
  for (std::uint64_t r = 0; r < kRegions; ++r, roi += 5) {
    roi[0] = static_cast<Scalar>(hashed(1000 * s + r) % 3);
    for (std::uint64_t k = 0; k < 4; ++k)
      roi[k + 1] = corner(10000 * (s + 1) + 4 * r + k, k % 2 == 0 ? 11 : 9, scale);
    for (const int k : {1, 2})  // a third as most regions are: the corners in order
      if (r % 3 == 0 && roi[k] > roi[k + 2]) std::swap(roi[k], roi[k + 2]);
  }
  return rois;
}

/// One image and one channel, 0, 1, 2, ... in row-major order.
inline Tensor counting_map(std::int64_t height, std::int64_t width) {
  return reshape(Tensor::arange(height * width), {1, height, width, 1});
}

/// A single region of image 0.
inline Tensor region(Scalar x1, Scalar y1, Scalar x2, Scalar y2) {
  return Tensor({1, 5}, {0, x1, y1, x2, y2});
}

/// Regions of every size about a map, some partly or wholly outside; `images` of them in turn.
inline Tensor random_regions(std::int64_t count, std::int64_t images, std::int64_t height,
                             std::int64_t width, Random& random) {
  Tensor rois({count, 5});
  for (std::int64_t r = 0; r < count; ++r) {
    rois.set({r, 0}, static_cast<Scalar>(r % images));
    for (int k = 0; k < 4; ++k) {
      const auto size = static_cast<double>(k % 2 == 0 ? width : height);
      rois.set({r, k + 1}, static_cast<Scalar>(random.uniform(-0.3 * size, 1.4 * size)));
    }
  }
  return rois;
}

}  // namespace boxgrad
