#include "detection/spatial_pyramid_pool.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/check.h"

namespace boxgrad::detection {

namespace {

CellRange bin_of(const CellRange& cells, std::int64_t i, std::int64_t n) {
  const CellRange part = part_of(cells.end - cells.begin, i, n);
  return {cells.begin + part.begin, cells.begin + part.end};
}

}  // namespace

CellRange spatial_pyramid_cells(Scalar low, Scalar high, double scale, std::int64_t size) {
  const double from = static_cast<double>(low) * scale, to = static_cast<double>(high) * scale;
  const auto on_map = [&](double cell) {
    return static_cast<std::int64_t>(std::clamp(cell, 0.0, static_cast<double>(size - 1)));
  };
  const double first = std::floor(from - 0.5) + 1, last = std::ceil(to - 0.5) - 1;
  const double middle = std::floor(from / 2 + to / 2);
  return first <= last ? CellRange{on_map(first), on_map(last) + 1}
                       : CellRange{on_map(middle), on_map(middle) + 1};
}

Tensor spatial_pyramid_pool(const Tensor& x, const Tensor& rois, double scale,
                            const std::vector<std::int64_t>& levels) {
  check_regions("spatial_pyramid_pool", x, rois, scale);
  check(x.size(1) > 0 && x.size(2) > 0, "spatial_pyramid_pool: the map has no cells, shape ",
        x.shape());
  check(!levels.empty(), "spatial_pyramid_pool: levels must not be empty");
  std::int64_t bins = 0;
  for (const std::int64_t n : levels) {
    check(n >= 1 && n <= 64, "spatial_pyramid_pool: levels must be from 1 to 64, got ", n);
    bins += n * n;
  }

  RegionBins regions{x.shape(), images_of(rois), {}};
  const Scalar* roi = rois.data().data();
  for (std::int64_t r = 0; r < rois.size(0); ++r, roi += 5) {
    check(roi[1] <= roi[3] && roi[2] <= roi[4], "spatial_pyramid_pool: the corners of region ", r,
          " must be in order, got ", roi[1], ", ", roi[2], ", ", roi[3], ", ", roi[4]);
    const CellRange columns = spatial_pyramid_cells(roi[1], roi[3], scale, x.size(2));
    const CellRange rows = spatial_pyramid_cells(roi[2], roi[4], scale, x.size(1));
    for (const std::int64_t n : levels)
      for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < n; ++j)
          regions.bins.emplace_back(bin_of(rows, i, n), bin_of(columns, j, n));
  }

  Tensor y = Tensor::empty({rois.size(0), bins * x.size(3)});
  const auto dx = grad_enabled() ? x.grad_slot() : nullptr;
  const Winners winners = dx ? Winners(regions, y.numel()) : Winners();
  region_max_forward(regions, x.data().data(), y.data().data(), dx ? &winners : nullptr);
  return from_op("spatial_pyramid_pool", y, {x, rois},
                 [regions = std::move(regions), winners, dx](const Tensor& dy) {
                   if (dx) region_max_backward(regions, dy.data().data(), winners, *dx);
                 });
}

}  // namespace boxgrad::detection
