#pragma once

#include "detection/data/color_jitter.h"
#include "detection/data/transforms.h"
#include "detection/data/zoom.h"

namespace boxgrad::detection {

struct SsdAugmentationOptions {
  ColorJitterOptions colors = {};
  ZoomOutOptions zoom_out = {};
  ZoomInOptions zoom_in = {};
  /// Size of what comes back; both 0: that of the image which went in, for recipes with a
  /// preparation that keeps proportions.
  int width = 300, height = 300;
  double flip_chance = 0.5;
  bool vertical_flips = false;  ///< beside the horizontal, with the same chance
};

/// All that SSD does to an image in training, in the published order:
///
///   jitter_colors   photometric distortion, before the canvas: its colour stays the mean
///   zoom_out        "expand", in half of the images
///   zoom_in         a patch with a minimum IoU, of the canvas if there is one
///   resize          to one size, stretching
///   flip            mirrored in half of the images
///
/// The authors draw one of OpenCV's five interpolations for each image. Here it is one of two
/// (Shrinking), with equal chances; images that grow are bilinear either way.
///
/// Throws std::invalid_argument for a size that is neither > 0 nor 0 x 0, for flip_chance outside
/// of 0..1, and, when applied, what its parts throw.
/// Liu et al., "SSD", ECCV 2016, sections 2.2 and 3.6, and the authors' ssd_pascal.py.
Transform ssd_augmentation(const SsdAugmentationOptions& options = {});

}  // namespace boxgrad::detection
