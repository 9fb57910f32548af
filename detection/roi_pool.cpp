#include "detection/roi_pool.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "core/autograd.h"
#include "core/check.h"
#include "core/parallel.h"
#include "layers/kernels/simd.h"

namespace boxgrad::detection {
namespace {

constexpr std::int64_t kMostBins = 1024;

/// Cells begin..end-1 of one axis.
struct Cells {
  std::int64_t begin, end;
};

/// One axis of a region: its first cell and how many it spans, before it meets the map.
struct Span {
  std::int64_t start, extent;

  Span(Scalar low, Scalar high, double scale) {
    // Far outside every map, and far from overflow.
    const auto cell = [&](Scalar corner) {
      return static_cast<std::int64_t>(std::round(std::clamp(
          static_cast<Scalar>(corner * static_cast<Scalar>(scale)), Scalar(-1e8), Scalar(1e8))));
    };
    start = cell(low);
    extent = std::max<std::int64_t>(cell(high) - start + 1, 1);
  }

  Cells bin(std::int64_t i, std::int64_t bins, std::int64_t size) const {
    const auto clipped = [&](std::int64_t cell) {
      return std::clamp<std::int64_t>(start + cell, 0, size);
    };
    return {clipped(i * extent / bins), clipped(((i + 1) * extent + bins - 1) / bins)};
  }
};

/// What one pooling is about.
struct Pooling {
  std::int64_t height, width, channels, regions, out_h, out_w;
  double scale;
  Tensor rois;

  std::int64_t image(std::int64_t r) const {
    return static_cast<std::int64_t>(rois.data()[static_cast<std::size_t>(5 * r)]);
  }
};

/// The largest of each channel over a bin's cells, and which cell of the map that was (-1: none).
/// `row_cells` cells of the map are a row; x points at the image's first cell.
template <class V>
void pool_bin(const Scalar* x, std::int64_t row_cells, std::int64_t channels, const Cells& rows,
              const Cells& cols, Scalar* y, std::int32_t* winner) {
  V best = V{} + std::numeric_limits<Scalar>::lowest(), cell_of_best = V{} - Scalar{1};
  for (std::int64_t h = rows.begin; h < rows.end; ++h)
    for (std::int64_t w = cols.begin; w < cols.end; ++w) {
      const std::int64_t cell = h * row_cells + w;
      V value;
      load(value, x + cell * channels);
      const auto larger = value > best;
      best = larger ? value : best;
      cell_of_best = larger ? V{} + static_cast<Scalar>(cell) : cell_of_best;
    }
  store(y, best);
  Scalar cells[kWidth<V>];
  store(cells, cell_of_best);
  for (std::int64_t c = 0; c < kWidth<V>; ++c) winner[c] = static_cast<std::int32_t>(cells[c]);
}

void forward(const Pooling& p, const Scalar* x, Scalar* y, std::int32_t* winners) {
  const std::int64_t bins = p.out_h * p.out_w * p.channels;
  parallel_for(p.regions, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const Scalar* roi = p.rois.data().data() + 5 * r;
      const Span vertical(roi[2], roi[4], p.scale), horizontal(roi[1], roi[3], p.scale);
      const Scalar* image = x + p.image(r) * p.height * p.width * p.channels;
      std::int64_t at = r * bins;
      for (std::int64_t i = 0; i < p.out_h; ++i)
        for (std::int64_t j = 0; j < p.out_w; ++j, at += p.channels) {
          const Cells rows = vertical.bin(i, p.out_h, p.height);
          const Cells cols = horizontal.bin(j, p.out_w, p.width);
          if (rows.begin >= rows.end || cols.begin >= cols.end) {
            std::fill_n(y + at, p.channels, Scalar{0});
            std::fill_n(winners + at, p.channels, -1);
            continue;
          }
          for_each_vector(p.channels, [&]<class V>(std::int64_t c) {
            pool_bin<V>(image + c, p.width, p.channels, rows, cols, y + at + c, winners + at + c);
          });
        }
    }
  });
}

/// dx[winner] += dy. A task owns some channels of one image, whose part of dx fits into a cache,
/// and goes through that image's regions in order: no two tasks meet, and sums have one order.
void backward(const Pooling& p, const Scalar* dy, const std::int32_t* winners, std::int64_t images,
              Scalar* dx) {
  std::vector<std::vector<std::int64_t>> regions(static_cast<std::size_t>(images));
  for (std::int64_t r = 0; r < p.regions; ++r)
    regions[static_cast<std::size_t>(p.image(r))].push_back(r);
  constexpr std::int64_t kChannels = 64;
  const std::int64_t blocks = (p.channels + kChannels - 1) / kChannels, bins = p.out_h * p.out_w;
  parallel_for(images * blocks, 1, [&](std::int64_t task, std::int64_t) {
    const std::int64_t n = task / blocks, first = task % blocks * kChannels;
    const std::int64_t count = std::min(kChannels, p.channels - first);
    Scalar* image = dx + n * p.height * p.width * p.channels + first;
    for (const std::int64_t r : regions[static_cast<std::size_t>(n)])
      for (std::int64_t bin = 0; bin < bins; ++bin) {
        const std::int64_t at = (r * bins + bin) * p.channels + first;
        for (std::int64_t c = 0; c < count; ++c)
          if (winners[at + c] >= 0) image[winners[at + c] * p.channels + c] += dy[at + c];
      }
  });
}

void check_arguments(const Tensor& x, const Tensor& rois, std::int64_t out_h, std::int64_t out_w,
                     double scale) {
  check(x.rank() == 4, "roi_max_pool: x must have shape [N, H, W, C], got ", x.shape());
  check(rois.rank() == 2 && rois.size(1) == 5,
        "roi_max_pool: rois must have shape [R, 5] as [image, x1, y1, x2, y2], got ", rois.shape());
  check(out_h >= 1 && out_w >= 1 && out_h <= kMostBins && out_w <= kMostBins,
        "roi_max_pool: out must be from 1 to ", kMostBins, " bins each way, got ", out_h, " x ",
        out_w);
  check(scale > 0 && std::isfinite(scale), "roi_max_pool: scale must be > 0, got ", scale);
  // Cells are counted in Scalars on the way, exactly up to here.
  check(x.size(1) * x.size(2) <= (std::int64_t{1} << 24),
        "roi_max_pool: the map must have at most 2^24 cells, got ", x.shape());
  const auto values = rois.data();
  for (std::int64_t r = 0; r < rois.size(0); ++r) {
    const Scalar* roi = values.data() + 5 * r;
    check(roi[0] >= 0 && roi[0] < static_cast<Scalar>(x.size(0)) && roi[0] == std::floor(roi[0]),
          "roi_max_pool: region ", r, " must name an image from 0 to ", x.size(0) - 1, ", got ",
          roi[0]);
    check(std::all_of(roi + 1, roi + 5, [](Scalar v) { return std::isfinite(v); }),
          "roi_max_pool: the corners of region ", r, " must be finite, got ", roi[1], ", ", roi[2],
          ", ", roi[3], ", ", roi[4]);
  }
}

}  // namespace

Tensor roi_max_pool(const Tensor& x, const Tensor& rois, std::int64_t out_h, std::int64_t out_w,
                    double scale) {
  check_arguments(x, rois, out_h, out_w, scale);
  const Pooling p{x.size(1), x.size(2), x.size(3), rois.size(0),
                  out_h,     out_w,     scale,     rois.detach()};
  Tensor y = Tensor::empty({p.regions, out_h, out_w, p.channels});
  const auto winners =
      std::make_shared<std::vector<std::int32_t>>(static_cast<std::size_t>(y.numel()));
  forward(p, x.data().data(), y.data().data(), winners->data());
  return from_op("roi_max_pool", y, {x, rois},
                 [p, winners, images = x.size(0), dx = x.grad_slot()](const Tensor& dy) {
                   if (dx)
                     backward(p, dy.data().data(), winners->data(), images, dx->zeroed().data());
                 });
}

}  // namespace boxgrad::detection
