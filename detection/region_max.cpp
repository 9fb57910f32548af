#include "detection/region_max.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/check.h"
#include "core/parallel.h"
#include "layers/kernels/simd.h"

namespace boxgrad::detection {

CellRange CellRange::clipped(std::int64_t size) const {
  return {std::clamp<std::int64_t>(begin, 0, size), std::clamp<std::int64_t>(end, 0, size)};
}

CellRange part_of(std::int64_t extent, std::int64_t i, std::int64_t parts) {
  return {i * extent / parts, ((i + 1) * extent + parts - 1) / parts};
}

Bin::Bin(const CellRange& rows, const CellRange& columns) {
  if (rows.begin >= rows.end || columns.begin >= columns.end) return;
  top = static_cast<std::int32_t>(rows.begin);
  bottom = static_cast<std::int32_t>(rows.end);
  left = static_cast<std::int32_t>(columns.begin);
  right = static_cast<std::int32_t>(columns.end);
}

void check_regions(const std::string& op, const Tensor& x, const Tensor& rois, double scale) {
  check(x.rank() == 4, op, ": x must have shape [N, H, W, C], got ", x.shape());
  constexpr std::int64_t kMostCells = std::numeric_limits<std::int32_t>::max();
  check(x.size(1) <= kMostCells / std::max<std::int64_t>(x.size(2), 1), op,
        ": a map must have at most ", kMostCells, " cells, got ", x.shape());
  check(rois.rank() == 2 && rois.size(1) == 5, op,
        ": rois must have shape [R, 5] as [image, x1, y1, x2, y2], got ", rois.shape());
  check(scale > 0 && std::isfinite(scale), op, ": scale must be > 0, got ", scale);
  const Scalar* roi = rois.data().data();
  for (std::int64_t r = 0; r < rois.size(0); ++r, roi += 5) {
    check(roi[0] >= 0 && roi[0] < static_cast<Scalar>(x.size(0)) && roi[0] == std::floor(roi[0]),
          op, ": region ", r, " must name an image from 0 to ", x.size(0) - 1, ", got ", roi[0]);
    check(std::all_of(roi + 1, roi + 5, [](Scalar v) { return std::isfinite(v); }), op,
          ": the corners of region ", r, " must be finite, got ", roi[1], ", ", roi[2], ", ",
          roi[3], ", ", roi[4]);
  }
}

void check_bins(const std::string& op, std::int64_t out_h, std::int64_t out_w) {
  constexpr std::int64_t kMost = 1024;
  check(out_h >= 1 && out_w >= 1 && out_h <= kMost && out_w <= kMost, op,
        ": out must be from 1 to ", kMost, " bins each way, got ", out_h, " x ", out_w);
}

std::vector<std::int64_t> images_of(const Tensor& rois) {
  std::vector<std::int64_t> images;
  for (std::int64_t r = 0; r < rois.size(0); ++r)
    images.push_back(static_cast<std::int64_t>(rois.at({r, 0})));
  return images;
}

Winners::Winners(const RegionBins& regions, std::int64_t count) {
  const bool small = std::all_of(regions.bins.begin(), regions.bins.end(),
                                 [](const Bin& bin) { return bin.cells() < 255; });
  const auto size = static_cast<std::size_t>(count);
  if (small)
    bytes_.reset(new std::uint8_t[size]);  // not filled: forward writes every one
  else
    words_.reset(new std::uint32_t[size]);
}

namespace {

/// Nothing won: what -1 becomes in an I.
template <class I>
constexpr I kNone = std::numeric_limits<I>::max();

/// The maximum and its place of the channels of one V. x points at them in the map's first cell.
template <class V, class I>
void pool_bin(const Bin& bin, const Scalar* x, std::int64_t row, std::int64_t channels, Scalar* y,
              I* winner) {
  V best = V{} + std::numeric_limits<Scalar>::lowest(), value;
  Index<V> place = Index<V>{} - 1;
  int at = 0;
  for (std::int64_t h = bin.top; h < bin.bottom; ++h) {
    const Scalar* cell = x + h * row + bin.left * channels;
    for (std::int64_t w = bin.left; w < bin.right; ++w, cell += channels, ++at) {
      load(value, cell);
      const auto larger = value > best;
      best = larger ? value : best;
      place = larger ? Index<V>{} + at : place;
    }
  }
  store(y, best);
  if (winner != nullptr) store_index(winner, place);
}

template <class I>
void forward(const RegionBins& regions, const Scalar* x, Scalar* y, I* winners) {
  const std::int64_t channels = regions.map[3], row = regions.map[2] * channels;
  const std::int64_t count = regions.bins_per_region();
  parallel_for(regions.regions(), 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin * count; b < end * count; ++b) {
      const Bin& bin = regions.bins[static_cast<std::size_t>(b)];
      Scalar* to = y + b * channels;
      I* winner = winners == nullptr ? nullptr : winners + b * channels;
      if (bin.cells() == 0) {
        std::fill_n(to, channels, Scalar{0});
        if (winner != nullptr) std::fill_n(winner, channels, kNone<I>);
        continue;
      }
      const std::int64_t n = regions.images[static_cast<std::size_t>(b / count)];
      const Scalar* image = x + n * regions.map[1] * row;
      for_each_vector(channels, [&]<class V>(std::int64_t c) {
        pool_bin<V>(bin, image + c, row, channels, to + c, winner == nullptr ? winner : winner + c);
      });
    }
  });
}

/// Adds a bin's dy to the cells that won it and lie in the rows of `band`. dx is the image's.
template <class I>
void spread_bin(const Bin& bin, const CellRange& band, std::int64_t map_width,
                std::int64_t channels, const Scalar* dy, const I* winner, Scalar* dx) {
  const std::int64_t top = std::max<std::int64_t>(bin.top, band.begin);
  const std::int64_t bottom = std::min<std::int64_t>(bin.bottom, band.end);
  const std::int64_t width = bin.right - bin.left, row = map_width * channels;
  // A small bin asks each of its cells what it won, whole vectors at a time. In a large one it is
  // quicker to look up each channel's cell.
  constexpr std::int64_t kSmall = 32;
  if ((bottom - top) * width <= kSmall) {
    for_each_vector(channels, [&]<class V>(std::int64_t c) {
      V gradient, sum;
      load(gradient, dy + c);
      Index<V> place;
      load_index(place, winner + c);
      int at = static_cast<int>((top - bin.top) * width);
      for (std::int64_t h = top; h < bottom; ++h) {
        Scalar* cell = dx + h * row + bin.left * channels + c;
        for (std::int64_t w = 0; w < width; ++w, cell += channels, ++at) {
          load(sum, cell);
          sum += place == at ? gradient : V{};
          store(cell, sum);
        }
      }
    });
    return;
  }
  for (std::int64_t c = 0; c < channels; ++c) {
    if (winner[c] == kNone<I>) continue;
    const std::int64_t h = bin.top + winner[c] / width, w = bin.left + winner[c] % width;
    if (h >= top && h < bottom) dx[h * row + w * channels + c] += dy[c];
  }
}

template <class I>
void backward(const RegionBins& regions, const Scalar* dy, const I* winners, Scalar* dx) {
  const std::int64_t channels = regions.map[3], row = regions.map[2] * channels;
  const std::int64_t count = regions.bins_per_region();
  for_each_band(regions.map, [&](std::int64_t n, const CellRange& band) {
    for (std::int64_t b = 0; b < regions.regions() * count; ++b) {
      const Bin& bin = regions.bins[static_cast<std::size_t>(b)];
      if (regions.images[static_cast<std::size_t>(b / count)] != n || bin.bottom <= band.begin ||
          bin.top >= band.end)
        continue;
      spread_bin(bin, band, regions.map[2], channels, dy + b * channels, winners + b * channels,
                 dx + n * regions.map[1] * row);
    }
  });
}

}  // namespace

void region_max_forward(const RegionBins& regions, const Scalar* x, Scalar* y,
                        const Winners* winners) {
  if (winners != nullptr && winners->bytes() == nullptr)
    forward(regions, x, y, winners->words());
  else
    forward(regions, x, y, winners == nullptr ? nullptr : winners->bytes());
}

void region_max_backward(const RegionBins& regions, const Scalar* dy, const Winners& winners,
                         GradSlot& dx) {
  if (winners.bytes() != nullptr)
    backward(regions, dy, winners.bytes(), dx.zeroed().data());
  else
    backward(regions, dy, winners.words(), dx.zeroed().data());
}

}  // namespace boxgrad::detection
