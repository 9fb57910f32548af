#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/tensor.h"
#include "detection/data/transforms.h"

namespace boxgrad::detection {

/// An image at several sizes, so that every region can be looked at where it is about as large as
/// the objects that the network learned from. The published sizes are {480, 576, 688, 864, 1200}
/// with the longer side up to 2000, or a single 600 with 1000.
struct ScalePyramid {
  std::vector<double> sides_px = {600};  ///< of the image's shorter side
  double longest_px = 1000;              ///< a longer side than this lowers the scale
  double region_px = 224;  ///< a region is looked at where its area is nearest to region_px^2

  /// Each size over the image's. Throws std::invalid_argument for sizes that are not > 0.
  std::vector<double> factors(double width, double height) const;
};

/// For each box the number of the scale s that makes |area s^2 - region_px^2| least, the first of
/// equals: SPPnet section 4.1 and Fast R-CNN's code.
///
/// boxes   [R, 4] in pixels of the image
/// throws  std::invalid_argument when there is no scale
std::vector<std::size_t> nearest_scales(const Tensor& boxes, const std::vector<double>& factors,
                                        double region_px);

/// Features of regions, each from the map of the scale that suits it.
///
///   features(image, boxes)   of regions [r, 4] in pixels of that image [1, H, W, C]: [r, D]
///
/// The image is resized once for each scale that some region chose (bilinear; by area if it
/// shrinks), and regions come back in their own order. A gradient flows through. With one scale
/// that leaves the image as it is the result is features(image, boxes).
///
/// image    [1, H, W, C];  boxes  [R, 4]
/// returns  [R, D]
/// throws   std::invalid_argument for other shapes, and what `features` throws
Tensor pyramid_features(
    const Tensor& image, const Tensor& boxes, const ScalePyramid& pyramid,
    const std::function<Tensor(const Tensor& image, const Tensor& boxes)>& features);

/// Training at several scales: each time an image is seen it has one of the pyramid's sizes, drawn
/// at random (Fast R-CNN section 2.4).
Transform random_scale(const ScalePyramid& pyramid);

}  // namespace boxgrad::detection
