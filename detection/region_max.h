#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/autograd.h"
#include "core/parallel.h"
#include "core/tensor.h"

/// What poolings of regions have in common. RoI max pooling and spatial pyramid pooling differ in
/// which cells make a bin; the maximum over them and its gradient are the same, and are here.
namespace boxgrad::detection {

/// Cells begin..end - 1 of one axis; none if begin >= end.
struct CellRange {
  std::int64_t begin = 0, end = 0;

  /// What of it lies on a map of `size` cells.
  CellRange clipped(std::int64_t size) const;
};

/// Part i of `extent` cells cut into `parts`: floor(i extent / parts) .. ceil((i + 1) extent /
/// parts) - 1, exactly. Parts overlap by a cell where they do not divide the extent, so none is
/// empty.
CellRange part_of(std::int64_t extent, std::int64_t i, std::int64_t parts);

/// One bin of a region: the cells where its rows and its columns meet.
struct Bin {
  std::int32_t top = 0, bottom = 0;  ///< rows top..bottom - 1
  std::int32_t left = 0, right = 0;  ///< columns left..right - 1

  Bin() = default;
  Bin(const CellRange& rows, const CellRange& columns);
  std::int64_t cells() const {
    return std::int64_t{bottom - top} * (right - left);  // of ranges that are not negative
  }
};

/// Regions of the images of a feature map x [N, H, W, C], cut into bins.
struct RegionBins {
  Shape map;                         ///< of x
  std::vector<std::int64_t> images;  ///< [R], each region's
  std::vector<Bin> bins;             ///< [R * bins of a region]

  std::int64_t regions() const { return static_cast<std::int64_t>(images.size()); }
  std::int64_t bins_per_region() const {
    return images.empty() ? 0 : static_cast<std::int64_t>(bins.size()) / regions();
  }
};

/// Throws, in the name of `op`, unless x is [N, H, W, C] and rois are [R, 5] as [image, x1, y1, x2,
/// y2] with images of the batch, finite corners, and scale is > 0.
void check_regions(const std::string& op, const Tensor& x, const Tensor& rois, double scale);

/// Throws unless out_h and out_w are from 1 to 1024.
void check_bins(const std::string& op, std::int64_t out_h, std::int64_t out_w);

/// The image of each of the regions.
std::vector<std::int64_t> images_of(const Tensor& rois);

/// Calls body(n, rows) for bands of rows that cover each image of a map, on all threads. This is
/// how gradients of overlapping regions are added: a task owns its rows and goes through the
/// regions in order, so no two tasks meet, and sums have one order whatever the number of threads.
/// A band fits into a second-level cache.
template <class Body>
void for_each_band(const Shape& map, Body&& body) {
  constexpr std::int64_t kCache = std::int64_t{1} << 18;
  const std::int64_t row = std::max<std::int64_t>(map[2] * map[3], 1);
  // Several bands even on a small map.
  const std::int64_t rows = std::clamp<std::int64_t>(kCache / row, 1, (map[1] + 3) / 4 + 1);
  const std::int64_t bands = (map[1] + rows - 1) / rows;
  parallel_for(map[0] * bands, 1, [&](std::int64_t task, std::int64_t) {
    const std::int64_t first = task % bands * rows;
    body(task / bands, CellRange{first, std::min(first + rows, map[1])});
  });
}

/// Where each maximum came from: its number among the cells of its bin, in a byte where all bins
/// have fewer than 255 cells.
class Winners {
 public:
  Winners() = default;
  Winners(const RegionBins& regions, std::int64_t count);

  std::uint8_t* bytes() const { return bytes_.get(); }  ///< null unless a byte is enough
  std::uint32_t* words() const { return words_.get(); }

 private:
  std::shared_ptr<std::uint8_t[]> bytes_;
  std::shared_ptr<std::uint32_t[]> words_;
};

/// y[bin, c] = the largest x[n, h, w, c] of the bin's cells, 0 if it has none. The first of equal
/// cells wins, in row-major order; NaN never wins, and a bin of NaNs is the lowest number.
/// `winners` may be null.
void region_max_forward(const RegionBins& regions, const Scalar* x, Scalar* y,
                        const Winners* winners);

/// dx[n, h, w, c] = sum of dy[bin, c] over the bins that (h, w) won in channel c.
void region_max_backward(const RegionBins& regions, const Scalar* dy, const Winners& winners,
                         GradSlot& dx);

}  // namespace boxgrad::detection
