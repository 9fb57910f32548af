#include "detection/roi_align.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/autograd.h"
#include "core/check.h"
#include "detection/region_max.h"
#include "layers/kernels/simd.h"

namespace boxgrad::detection {

namespace {

constexpr Scalar kMostPoints = 65536;

/// How much each cell of one axis counts in one bin.
struct Weights {
  CellRange cells;
  std::vector<Scalar> of_cell;  ///< [cells.end - cells.begin]

  Scalar operator[](std::int64_t cell) const {
    return of_cell[static_cast<std::size_t>(cell - cells.begin)];
  }
};

/// One axis of a region before it meets the map, in cells. In Scalars, as torchvision does it: a
/// rounding error decides how many points ceil() gives.
struct Extent {
  Scalar start = 0, length = 0;
  std::int64_t points = 0;  ///< of a bin

  Extent(Scalar low, Scalar high, double scale, std::int64_t bins, const RoiAlignOptions& options) {
    const auto factor = static_cast<Scalar>(scale), half = Scalar(options.aligned ? 0.5 : 0);
    start = low * factor - half;
    length = high * factor - half - start;
    if (!options.aligned) length = std::max(length, Scalar{1});
    const Scalar wanted = options.sampling_ratio > 0
                              ? static_cast<Scalar>(options.sampling_ratio)
                              : std::ceil(length / static_cast<Scalar>(bins));
    check(wanted <= kMostPoints, "roi_align: a bin must have at most ", kMostPoints,
          " points each way, got ", wanted, " for a region from ", low, " to ", high);
    points = static_cast<std::int64_t>(std::max(wanted, Scalar{0}));
  }

  /// The mean of the interpolation's weights over the points of bin i, on a map of `size` cells.
  Weights bin(std::int64_t i, std::int64_t bins, std::int64_t size) const {
    const Scalar part = length / static_cast<Scalar>(bins);
    const auto point = [&](std::int64_t k) {
      return start + static_cast<Scalar>(i) * part +
             (static_cast<Scalar>(k) + Scalar(0.5)) * part / static_cast<Scalar>(points);
    };
    const auto on_map = [&](Scalar p) {  // of a map without cells, too, no point is
      return size > 0 && p >= -1 && p <= static_cast<Scalar>(size);
    };
    const auto last = static_cast<Scalar>(size - 1);

    Weights weights;  // first which cells, then how much each
    for (const bool measure : {true, false}) {
      for (std::int64_t k = 0; k < points; ++k) {
        if (!on_map(point(k))) continue;
        const double p = std::clamp(point(k), Scalar{0}, last);
        const auto low = static_cast<std::int64_t>(p);
        const std::int64_t high = std::min(low + 1, size - 1);
        if (measure) {
          const bool first = weights.cells.end == 0;
          weights.cells.begin = first ? low : std::min(weights.cells.begin, low);
          weights.cells.end = std::max(weights.cells.end, high + 1);
          continue;
        }
        const Scalar to_high = p - static_cast<Scalar>(low);
        const auto add = [&](std::int64_t cell, Scalar weight) {
          weights.of_cell[static_cast<std::size_t>(cell - weights.cells.begin)] +=
              weight / static_cast<Scalar>(points);
        };
        add(low, 1 - to_high);
        add(high, to_high);
      }
      if (measure)
        weights.of_cell.resize(static_cast<std::size_t>(weights.cells.end - weights.cells.begin));
    }
    return weights;
  }
};

/// A region's weights, [out_h] and [out_w].
struct RegionWeights {
  std::int64_t image = 0;
  std::vector<Weights> rows, columns;
};

RegionWeights weigh_region(const Shape& map, const Scalar* roi, std::int64_t out_h,
                           std::int64_t out_w, double scale, const RoiAlignOptions& options) {
  RegionWeights region{static_cast<std::int64_t>(roi[0]), {}, {}};
  const Extent vertical(roi[2], roi[4], scale, out_h, options);
  const Extent horizontal(roi[1], roi[3], scale, out_w, options);
  for (std::int64_t i = 0; i < out_h; ++i) region.rows.push_back(vertical.bin(i, out_h, map[1]));
  for (std::int64_t j = 0; j < out_w; ++j)
    region.columns.push_back(horizontal.bin(j, out_w, map[2]));
  return region;
}

/// y = sum of weight * x over the bin's cells; x is the image's.
void mean_of_bin(const Weights& rows, const Weights& columns, const Shape& map, const Scalar* x,
                 Scalar* y) {
  const std::int64_t channels = map[3];
  for_each_vector(channels, [&]<class V>(std::int64_t c) {
    V sum{}, row_sum, value;
    for (std::int64_t h = rows.cells.begin; h < rows.cells.end; ++h) {
      row_sum = V{};
      for (std::int64_t w = columns.cells.begin; w < columns.cells.end; ++w) {
        load(value, x + (h * map[2] + w) * channels + c);
        row_sum += columns[w] * value;
      }
      sum += rows[h] * row_sum;
    }
    store(y + c, sum);
  });
}

/// dx += weight * dy for the bin's cells in the rows of `band`; dx is the image's.
void spread_over_bin(const Weights& rows, const Weights& columns, const CellRange& band,
                     const Shape& map, const Scalar* __restrict dy, Scalar* dx) {
  const std::int64_t channels = map[3], end = std::min(rows.cells.end, band.end);
  for (std::int64_t h = std::max(rows.cells.begin, band.begin); h < end; ++h)
    for (std::int64_t w = columns.cells.begin; w < columns.cells.end; ++w) {
      const Scalar weight = rows[h] * columns[w];
      Scalar* __restrict cell = dx + (h * map[2] + w) * channels;
      for (std::int64_t c = 0; c < channels; ++c) cell[c] += weight * dy[c];
    }
}

}  // namespace

Tensor roi_align(const Tensor& x, const Tensor& rois, std::int64_t out_h, std::int64_t out_w,
                 double scale, const RoiAlignOptions& options) {
  check_regions("roi_align", x, rois, scale);
  check_bins("roi_align", out_h, out_w);
  std::vector<RegionWeights> regions;
  for (std::int64_t r = 0; r < rois.size(0); ++r)
    regions.push_back(
        weigh_region(x.shape(), rois.data().data() + 5 * r, out_h, out_w, scale, options));

  const Shape map = x.shape();
  const std::int64_t image = map[1] * map[2] * map[3], channels = map[3];
  Tensor y = Tensor::empty({rois.size(0), out_h, out_w, channels});
  parallel_for(rois.size(0), 4, [&](std::int64_t begin, std::int64_t end) {
    Scalar* to = y.data().data() + begin * out_h * out_w * channels;
    for (std::int64_t r = begin; r < end; ++r) {
      const RegionWeights& region = regions[static_cast<std::size_t>(r)];
      for (const Weights& rows : region.rows)
        for (const Weights& columns : region.columns) {
          mean_of_bin(rows, columns, map, x.data().data() + region.image * image, to);
          to += channels;
        }
    }
  });

  return from_op("roi_align", y, {x, rois},
                 [regions = std::move(regions), map, image, dx = x.grad_slot()](const Tensor& dy) {
                   if (!dx) return;
                   Scalar* to = dx->zeroed().data();
                   for_each_band(map, [&](std::int64_t n, const CellRange& band) {
                     const Scalar* from = dy.data().data();
                     for (const RegionWeights& region : regions)
                       for (const Weights& rows : region.rows)
                         for (const Weights& columns : region.columns) {
                           if (region.image == n)
                             spread_over_bin(rows, columns, band, map, from, to + n * image);
                           from += map[3];
                         }
                   });
                 });
}

}  // namespace boxgrad::detection
