#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/tensor.h"
#include "detection/data/transforms.h"

namespace boxgrad::detection {

/// An image at several sizes, so that every region can be looked at where it is about as large as
/// the objects that the network learned from. As it stands: the single size of Fast R-CNN.
struct ScalePyramid {
  std::vector<double> sides_px = {600};  ///< of the image's shorter side
  double longest_px = 1000;              ///< a longer side than this lowers the scale
  double region_px = 224;  ///< a region is looked at where its area is nearest to region_px^2

  /// The published five: shorter sides {480, 576, 688, 864, 1200}, longer sides up to 2000.
  static ScalePyramid five();
  /// Everything times a factor: the same pyramid for images of another size than photos have.
  /// five().resized(128. / 600) suits scenes of 128 px.
  ScalePyramid resized(double factor) const;

  /// The scale of each size, pixels per pixel of the image: min(side / shorter, longest / longer).
  /// Throws std::invalid_argument for sizes that are not > 0.
  std::vector<double> factors(double width, double height) const;
};

/// For each box the number of the scale s that makes |area s^2 - region_px^2| least, the first of
/// equals.
///
/// boxes   [R, 4] in pixels of the image
/// throws  std::invalid_argument when there is no scale
///
/// He et al., "Spatial pyramid pooling ...", ECCV 2014, section 4.1 ("the area closest to 224 x
/// 224"), computed as in Fast R-CNN's code; SPPnet's code compares sides instead of areas, which
/// differs between two scales a little.
std::vector<std::size_t> nearest_scales(const Tensor& boxes, const std::vector<double>& factors,
                                        double region_px);

/// An image [1, H, W, C] at a scale, sides rounded to whole pixels and at least 1: bilinear, or by
/// area if it shrinks. The image itself if its size stays. A constant.
Tensor image_at_scale(const Tensor& image, double factor);
/// Boxes [R, 4] of an image of width x height, in pixels of image_at_scale().
Tensor boxes_at_scale(const Tensor& boxes, double width, double height, double factor);

/// Features of regions that are looked at on several maps: `features` is called once for each scale
/// that some region chose, with the regions that did, and the answers come back in the regions' own
/// order. A gradient flows through. Without regions it is called once, for scale 0.
///
/// boxes   [R, 4];  scales  [R]
/// returns [R, ...] for `features` that gives [r, ...]
Tensor features_by_scale(
    const Tensor& boxes, const std::vector<std::size_t>& scales,
    const std::function<Tensor(std::size_t scale, const Tensor& boxes)>& features);

/// Features of regions, each from the map of the scale that suits it.
///
///   features(image, boxes)   of regions [r, 4] in pixels of that image [1, H, W, C]: [r, ...]
///
/// The image is resized once for each scale that some region chose, and regions come back in their
/// own order. A gradient flows to what `features` reads, not to the image. With one scale that
/// leaves the image as it is the result is features(image, boxes), bit for bit.
///
/// image    [1, H, W, C];  boxes  [R, 4] in its pixels
/// returns  [R, ...]
/// throws   std::invalid_argument for other shapes, and what `features` throws
Tensor pyramid_features(
    const Tensor& image, const Tensor& boxes, const ScalePyramid& pyramid,
    const std::function<Tensor(const Tensor& image, const Tensor& boxes)>& features);

/// An augmentation for training at several scales: each time an image is seen it has one of the
/// pyramid's sizes, drawn at random (SPPnet section 2.3; Fast R-CNN section 2.4). A preparation that
/// resizes comes behind it and undoes that size.
Transform random_scale(const ScalePyramid& pyramid);

}  // namespace boxgrad::detection
