#include "detection/proposals/region_features.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/check.h"
#include "detection/proposals/gaussian_filter.h"

namespace boxgrad::detection {
namespace {

constexpr std::size_t kHistogramLanes = 8;

std::size_t padded_to_lanes(int n) {
  return (static_cast<std::size_t>(n) + kHistogramLanes - 1) / kHistogramLanes * kHistogramLanes;
}

/// sum of min(a[i], b[i]). Eight sums that do not wait for each other fill a vector register.
double intersection(const Scalar* a, const Scalar* b, std::size_t n) {
  std::array<Scalar, kHistogramLanes> sums{};
  for (std::size_t i = 0; i < n; i += kHistogramLanes)
    for (std::size_t l = 0; l < kHistogramLanes; ++l) sums[l] += std::min(a[i + l], b[i + l]);
  double sum = 0;
  for (const Scalar s : sums) sum += static_cast<double>(s);
  return sum;
}

/// The bins of a pixel's eight directional responses in one channel.
void texture_bins(Scalar dx, Scalar dy, std::uint8_t* out) {
  // The Gaussian with sigma 1 turns a step of 255 into a slope of at most 255 / sqrt(2 pi).
  constexpr Scalar kSteepest = static_cast<Scalar>(255 * 0.39894228);
  constexpr Scalar kHalf = static_cast<Scalar>(0.70710678);  // cos and sin of 45 degrees
  const Scalar along[4] = {dx, kHalf * (dx + dy), dy, kHalf * (dy - dx)};
  for (int d = 0; d < 4; ++d) {
    const Scalar share = std::abs(along[d]) / kSteepest;
    const int bin = std::min(static_cast<int>(share * kTextureBins), kTextureBins - 1);
    out[d] = static_cast<std::uint8_t>(along[d] > 0 ? bin : 0);
    out[d + 4] = static_cast<std::uint8_t>(along[d] > 0 ? 0 : bin);
  }
}

/// Counts become shares.
void divide_by_sum(Scalar* histogram, std::size_t n, std::int64_t sum) {
  const Scalar factor = Scalar{1} / static_cast<Scalar>(sum);
  for (std::size_t i = 0; i < n; ++i) histogram[i] *= factor;
}

std::vector<std::pair<std::int32_t, std::int32_t>> touching_pairs(const Segmentation& s) {
  std::vector<std::pair<std::int32_t, std::int32_t>> pairs;
  const std::int32_t* row = s.labels.data();
  const auto add = [&](std::int32_t a, std::int32_t b) {
    if (a == b) return;
    const std::pair<std::int32_t, std::int32_t> pair = std::minmax(a, b);
    if (pairs.empty() || pairs.back() != pair) pairs.push_back(pair);
  };
  for (int y = 0; y < s.height; ++y, row += s.width)
    for (int x = 0; x < s.width; ++x) {
      if (x + 1 < s.width) add(row[x], row[x + 1]);
      if (y + 1 == s.height) continue;
      const std::int32_t* below = row + s.width;
      add(row[x], below[x]);
      if (x + 1 < s.width) add(row[x], below[x + 1]);
      if (x > 0) add(row[x], below[x - 1]);
    }
  std::ranges::sort(pairs);
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  return pairs;
}

}  // namespace

PixelBins pixel_bins(const Tensor& planes) {
  check(planes.rank() == 3 && planes.numel() > 0,
        "pixel_bins: planes must be [H, W, C] without an empty axis, got ", planes.shape());
  PixelBins bins;
  bins.height = static_cast<int>(planes.size(0));
  bins.width = static_cast<int>(planes.size(1));
  bins.channels = static_cast<int>(planes.size(2));
  const auto values = planes.data();
  bins.color.resize(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    check(values[i] >= 0 && values[i] <= 255, "pixel_bins: values must be from 0 to 255, got ",
          values[i]);
    bins.color[i] = static_cast<std::uint8_t>(values[i] * kColorBins / 256);
  }
  const std::vector<Scalar> smooth = gaussian_kernel(1), slope = gaussian_derivative_kernel(1);
  const Tensor gradient_x = filter_separable(planes, slope, smooth);
  const Tensor gradient_y = filter_separable(planes, smooth, slope);
  const auto dx = gradient_x.data(), dy = gradient_y.data();
  bins.texture.resize(values.size() * kTextureDirections);
  for (std::size_t i = 0; i < values.size(); ++i)
    texture_bins(dx[i], dy[i], &bins.texture[i * kTextureDirections]);
  return bins;
}

RegionFeatures region_features(const Segmentation& segmentation, const PixelBins& bins) {
  check(segmentation.width == bins.width && segmentation.height == bins.height,
        "region_features: bins must be of a picture of ", segmentation.width, " x ",
        segmentation.height, ", got ", bins.width, " x ", bins.height);
  const std::size_t regions = static_cast<std::size_t>(segmentation.count);
  const int colors = bins.channels, textures = bins.channels * kTextureDirections;
  RegionFeatures f;
  f.color_size = padded_to_lanes(colors * kColorBins);
  f.texture_size = padded_to_lanes(textures * kTextureBins);
  f.places.assign(regions, {bins.width, bins.height, 0, 0, 0});
  f.histograms.assign(regions * f.row_size(), 0);

  const std::uint8_t* color = bins.color.data();
  const std::uint8_t* texture = bins.texture.data();
  const std::int32_t* label = segmentation.labels.data();
  for (int y = 0; y < bins.height; ++y)
    for (int x = 0; x < bins.width; ++x, ++label, color += colors, texture += textures) {
      const std::size_t region = static_cast<std::size_t>(*label);
      RegionFeatures::Place& place = f.places[region];
      place.x1 = std::min(place.x1, x), place.x2 = std::max(place.x2, x + 1);
      place.y1 = std::min(place.y1, y), place.y2 = std::max(place.y2, y + 1);
      ++place.pixels;
      Scalar* histogram = &f.histograms[region * f.row_size()];
      for (int c = 0; c < colors; ++c) histogram[c * kColorBins + color[c]] += 1;
      histogram += f.color_size;
      for (int c = 0; c < textures; ++c) histogram[c * kTextureBins + texture[c]] += 1;
    }
  for (std::size_t r = 0; r < regions; ++r) {
    Scalar* histogram = &f.histograms[r * f.row_size()];
    divide_by_sum(histogram, f.color_size, f.places[r].pixels * colors);
    divide_by_sum(histogram + f.color_size, f.texture_size, f.places[r].pixels * textures);
  }
  f.neighbors = touching_pairs(segmentation);
  return f;
}

double similarity(const RegionFeatures& features, std::size_t a, std::size_t b,
                  const SimilarityTerms& terms, double pixels) {
  const Scalar* row_a = &features.histograms[a * features.row_size()];
  const Scalar* row_b = &features.histograms[b * features.row_size()];
  const RegionFeatures::Place &p = features.places[a], &q = features.places[b];
  const double both = static_cast<double>(p.pixels + q.pixels);
  double s = 0;
  if (terms.color) s += intersection(row_a, row_b, features.color_size);
  if (terms.texture)
    s += intersection(row_a + features.color_size, row_b + features.color_size,
                      features.texture_size);
  if (terms.size) s += 1 - both / pixels;
  if (terms.fill) {
    const double box = static_cast<double>(std::max(p.x2, q.x2) - std::min(p.x1, q.x1)) *
                       static_cast<double>(std::max(p.y2, q.y2) - std::min(p.y1, q.y1));
    s += 1 - (box - both) / pixels;
  }
  return s;
}

void merge_regions(RegionFeatures& features, std::size_t a, std::size_t b) {
  RegionFeatures::Place& p = features.places[a];
  const RegionFeatures::Place& q = features.places[b];
  Scalar* row_a = &features.histograms[a * features.row_size()];
  const Scalar* row_b = &features.histograms[b * features.row_size()];
  const Scalar share_b = static_cast<Scalar>(q.pixels) / static_cast<Scalar>(p.pixels + q.pixels);
  for (std::size_t i = 0; i < features.row_size(); ++i) row_a[i] += share_b * (row_b[i] - row_a[i]);
  p = {std::min(p.x1, q.x1), std::min(p.y1, q.y1), std::max(p.x2, q.x2), std::max(p.y2, q.y2),
       p.pixels + q.pixels};
}

}  // namespace boxgrad::detection
