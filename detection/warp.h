#pragma once

#include <vector>

#include "core/tensor.h"

namespace boxgrad::detection {

/// How R-CNN brings a proposal to the size that its network takes.
enum class WarpMode {
  warp,    ///< both axes each to its scale: what the paper settled on
  square,  ///< the tightest square around the box, in its proportions
};

struct WarpOptions {
  int size = 227;    ///< side of the result, px
  int context = 16;  ///< border of the result that shows what is around the box, px
  WarpMode mode = WarpMode::warp;
  /// Colour of what lies outside of the image, a value per channel: the mean colour of the training
  /// images. Empty: 0, which is that mean for images that were normalised.
  std::vector<Scalar> fill = {};
};

/// Pieces of an image, each in the same size and with some context around it.
///
///   box enlarged about its centre by size / (size - 2 context), corners rounded to pixels;
///   the part of it that lies on the image is resized by the scale of the whole, and stands where
///   it belongs in the result; the rest is options.fill
///
/// Shrinking averages over areas, growing interpolates (core/resize.h). On all threads.
///
/// image    [H, W, C];  boxes  [R, 4] in its pixels
/// returns  [R, size, size, C]; a box that misses the image gives nothing but that colour
/// throws   std::invalid_argument for other shapes, a box whose corners are not finite, not in order
///          or, with the context, a billion pixels away; for a size < 1, a context that leaves no
///          room, or a fill that has not a value per channel
///
/// Girshick et al., "Rich feature hierarchies ...", CVPR 2014, appendix A, and the authors' code
/// for the rounding.
Tensor warp_regions(const Tensor& image, const Tensor& boxes, const WarpOptions& options = {});

}  // namespace boxgrad::detection
