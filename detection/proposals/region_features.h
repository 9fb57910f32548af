#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "detection/proposals/graph_segmentation.h"

namespace boxgrad::detection {

inline constexpr int kColorBins = 25, kTextureBins = 10, kTextureDirections = 8;

/// Which bin of a histogram each pixel falls into; the same for every segmentation of a picture.
struct PixelBins {
  int width = 0, height = 0, channels = 0;
  std::vector<std::uint8_t> color;    ///< [H * W, C], 0..24
  std::vector<std::uint8_t> texture;  ///< [H * W, C * 8], 0..9
};

/// color    25 equal bins of a channel's values, 0 to 255
/// texture  8 directions t = 0, 45, ..., 315 degrees: max(0, cos t dx + sin t dy), where (dx, dy)
///          is the channel's gradient by derivatives of a Gaussian with sigma = 1. The filter is
///          steerable: two of them give the response in any direction, and its sign says which of
///          two opposite directions has it. 10 equal bins from 0 to the steepest slope there is.
///
/// planes   [H, W, C], values 0 to 255
/// throws   std::invalid_argument for another shape, an empty axis or a value outside
///
/// Uijlings et al. 2013, section 3.2. The paper leaves open how its 10 bins are cut; bins
/// that are equal in the response's square root found fewer objects on photographs of cells.
PixelBins pixel_bins(const Tensor& planes);

/// What a region is known by: where it is, how large it is, what it looks like.
struct RegionFeatures {
  struct Place {
    std::int32_t x1 = 0, y1 = 0, x2 = 0, y2 = 0;  ///< box in whole pixels, half-open
    std::int64_t pixels = 0;
  };
  std::vector<Place> places;  ///< [R]
  /// Histograms that add up to 1 each, one after the other: 25 C numbers of colour and 80 C of
  /// texture, each part padded with zeros to a multiple of 8.
  std::vector<Scalar> histograms;
  std::size_t color_size = 0, texture_size = 0;  ///< padded
  /// Pairs (a, b), a < b, of regions with pixels side by side or corner to corner; sorted.
  std::vector<std::pair<std::int32_t, std::int32_t>> neighbors;

  std::size_t row_size() const { return color_size + texture_size; }
};

/// Throws std::invalid_argument when the two are not of the same picture size.
RegionFeatures region_features(const Segmentation& segmentation, const PixelBins& bins);

/// Terms of the similarity of two regions; each has the weight 0 or 1.
struct SimilarityTerms {
  bool color = true, texture = true, size = true, fill = true;
};

/// s(a, b) = the sum of the chosen terms, each from 0 to 1:
///
///   color    sum over i of min(c_i(a), c_i(b))       intersection of the histograms
///   texture  sum over i of min(t_i(a), t_i(b))
///   size     1 - (|a| + |b|) / |im|                  small regions go first
///   fill     1 - (|box(a, b)| - |a| - |b|) / |im|    regions that fit into each other go first
///
/// a, b     row numbers in `features`
/// pixels   |im|, of the whole picture
///
/// Uijlings et al. 2013, eq. (1) and (3) to (6). The paper prints r_i twice in fill, a slip: |a| and |b|
/// are meant.
double similarity(const RegionFeatures& features, std::size_t a, std::size_t b,
                  const SimilarityTerms& terms, double pixels);

/// Row a becomes the union of a and b: histograms are means weighted by |a| and |b| (eq. (2)).
void merge_regions(RegionFeatures& features, std::size_t a, std::size_t b);

}  // namespace boxgrad::detection
