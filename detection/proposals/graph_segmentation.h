#pragma once

#include <cstdint>
#include <vector>

#include "core/image.h"
#include "core/tensor.h"

namespace boxgrad::detection {

/// A picture cut into connected pieces. Numbers count from 0 in the order in which the pieces'
/// first pixels appear, from left to right and from top to bottom.
struct Segmentation {
  int width = 0, height = 0;
  std::vector<std::int32_t> labels;  ///< [H * W], 0..count-1
  std::int32_t count = 0;
};

struct GraphSegmentationOptions {
  double sigma = 0.8;          ///< Gaussian smoothing before anything else, pixels; 0: none
  double k = 100;              ///< the larger, the larger the segments
  std::int64_t min_size = -1;  ///< smaller segments are merged away; -1: as many pixels as k
};

/// The pixels of a picture as a graph: every pixel is joined to its eight neighbours, and an edge
/// weighs as much as the two colours differ (Euclidean, after smoothing). Edges are kept sorted, so
/// that segmenting with another k costs little.
class PixelGraph {
 public:
  /// planes   [H, W, C], values on the scale 0 to 255 that k is meant for (to_color_space)
  /// throws   std::invalid_argument for another shape, an empty axis, a value that is not finite,
  ///          more than 2^28 pixels, or a sigma that gaussian_kernel refuses
  PixelGraph(const Tensor& planes, double sigma);

  /// Felzenszwalb and Huttenlocher's segmentation. Each pixel starts alone. Edges are visited from
  /// the lightest to the heaviest; one of weight w between segments a and b joins them when it is
  /// not heavier than what holds each of them together:
  ///
  ///   w <= min(Int(a) + k / |a|,  Int(b) + k / |b|)
  ///
  /// Int is the heaviest edge that built the segment (of its minimum spanning tree), |a| its number
  /// of pixels: small segments forgive more, and k / |a| says how much. Then segments of fewer than
  /// min_size pixels are joined to a neighbour, again from the lightest edge on.
  ///
  /// Edges of equal weight are visited in the order of their pixels, so that the result is the
  /// same with every compiler; the authors' code sorts unstably.
  ///
  /// throws   std::invalid_argument unless k >= 0 and min_size >= -1
  ///
  /// "Efficient graph-based image segmentation", IJCV 2004, section 4 and algorithm 1.
  Segmentation segment(double k, std::int64_t min_size = -1) const;

 private:
  int width_, height_;
  // Weight (the bits of a float >= 0, whose order is the numbers') above 4 pixel + direction.
  std::vector<std::uint64_t> edges_;
};

/// Both steps in one, on RGB.
Segmentation graph_segmentation(const Image& image, const GraphSegmentationOptions& options = {});
Segmentation graph_segmentation(const Tensor& planes, const GraphSegmentationOptions& options = {});

}  // namespace boxgrad::detection
