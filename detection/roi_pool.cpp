#include "detection/roi_pool.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/check.h"
#include "detection/region_max.h"

namespace boxgrad::detection {

namespace {

/// Bins of the cells from round(low * scale) to round(high * scale), both included, on a map of
/// `size` cells.
std::vector<CellRange> cut(Scalar low, Scalar high, double scale, std::int64_t bins,
                           std::int64_t size) {
  const auto cell = [&](Scalar corner) {
    const Scalar place = corner * static_cast<Scalar>(scale);
    // Far outside every map, and far from overflow.
    return static_cast<std::int64_t>(std::round(std::clamp(place, Scalar(-1e10), Scalar(1e10))));
  };
  const std::int64_t start = cell(low), extent = std::max<std::int64_t>(cell(high) - start + 1, 1);
  std::vector<CellRange> ranges;
  for (std::int64_t i = 0; i < bins; ++i) {
    const CellRange part = part_of(extent, i, bins);
    ranges.push_back(CellRange{start + part.begin, start + part.end}.clipped(size));
  }
  return ranges;
}

RegionBins cut_regions(const Tensor& x, const Tensor& rois, std::int64_t out_h, std::int64_t out_w,
                       double scale) {
  RegionBins regions{x.shape(), images_of(rois), {}};
  const Scalar* roi = rois.data().data();
  for (std::int64_t r = 0; r < rois.size(0); ++r, roi += 5) {
    const auto columns = cut(roi[1], roi[3], scale, out_w, x.size(2));
    for (const CellRange& rows : cut(roi[2], roi[4], scale, out_h, x.size(1)))
      for (const CellRange& range : columns) regions.bins.emplace_back(rows, range);
  }
  return regions;
}

}  // namespace

Tensor roi_max_pool(const Tensor& x, const Tensor& rois, std::int64_t out_h, std::int64_t out_w,
                    double scale) {
  check_regions("roi_max_pool", x, rois, scale);
  check_bins("roi_max_pool", out_h, out_w);
  RegionBins regions = cut_regions(x, rois, out_h, out_w, scale);
  Tensor y = Tensor::empty({rois.size(0), out_h, out_w, x.size(3)});
  const auto dx = grad_enabled() ? x.grad_slot() : nullptr;
  const Winners winners = dx ? Winners(regions, y.numel()) : Winners();
  region_max_forward(regions, x.data().data(), y.data().data(), dx ? &winners : nullptr);
  return from_op("roi_max_pool", y, {x, rois},
                 [regions = std::move(regions), winners, dx](const Tensor& dy) {
                   if (dx) region_max_backward(regions, dy.data().data(), winners, *dx);
                 });
}

}  // namespace boxgrad::detection
