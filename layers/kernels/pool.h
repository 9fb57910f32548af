#pragma once

#include <cstdint>
#include <vector>

#include "core/scalar.h"

/// Pooling on raw numbers. Forward goes through the result cell by cell and, for one register full
/// of channels, through the cells of the window: each number is loaded from where it is and each
/// result stored once. Backward goes through the input, each cell collecting from the windows that
/// it lies in, so that nothing is zeroed first and no two threads write the same number. Bound by
/// memory, hence not specialised for 2x2.
namespace boxgrad {

/// The windows along one axis of a map. Begins and ends ascend, so the windows that contain a cell
/// are a range, too.
struct PoolAxis {
  std::int64_t cells = 0;                 ///< extent of the map
  std::vector<std::int64_t> origin;       ///< first cell of window i, maybe in the padding
  std::vector<std::int64_t> begin, end;   ///< its cells on the map, begin < end
  std::vector<std::int64_t> first, last;  ///< cell h lies in windows first[h] <= i < last[h]

  std::int64_t windows() const { return static_cast<std::int64_t>(begin.size()); }
  /// Adds a window; cells outside the map are cut off.
  void add(std::int64_t from, std::int64_t to);
  /// Fills first and last; to be called when all windows are there.
  void finish();
};

struct PoolShape {
  std::int64_t batch = 0, channels = 0;
  PoolAxis h, w;
};

/// y = max over the windows; argmax, when not null, receives the winner's place in its window,
/// (row - origin) * kernel_w + column - origin.
void max_pool_forward(const PoolShape& shape, std::int64_t kernel_w, const Scalar* x, Scalar* y,
                      std::uint8_t* argmax);
/// dx = beta dx + what max_pool_forward's winners receive.
void max_pool_backward(const PoolShape& shape, std::int64_t kernel_w, const Scalar* dy,
                       const std::uint8_t* argmax, Scalar beta, Scalar* dx);

/// y[i, j] = scale_h[i] scale_w[j] times the sum over window (i, j).
void average_pool_forward(const PoolShape& shape, const std::vector<Scalar>& scale_h,
                          const std::vector<Scalar>& scale_w, const Scalar* x, Scalar* y);
void average_pool_backward(const PoolShape& shape, const std::vector<Scalar>& scale_h,
                           const std::vector<Scalar>& scale_w, const Scalar* dy, Scalar beta,
                           Scalar* dx);

}  // namespace boxgrad
