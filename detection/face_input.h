#pragma once

#include "core/image.h"
#include "core/tensor.h"

namespace boxgrad::detection {

inline constexpr int kFaceSide = 512;  ///< the face detector sees squares of so many pixels

/// A photo as the face detector sees it (models/face_ssd.h).
struct FaceInput {
  Tensor image;  ///< [1, 512, 512, 3], from -1 to 1
  /// Pixels of the photo for the whole width and height of the square: about its longer side.
  /// face-api's rule, W 512 / round(512 W / max(W, H)), off by up to 0.1 % of the side.
  double width_px = 0, height_px = 0;
};

/// Zeros at the bottom or on the right until the photo is a square, bilinear interpolation to 512 x
/// 512 by PixelGrid::top_left (resize.h; nothing is rounded), then value / 127.5 - 1. The padding
/// is never laid out in memory. Throws std::invalid_argument for an image without pixels.
FaceInput face_input(const Image& photo);

}  // namespace boxgrad::detection
