#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "detection/target.h"

/// Boxes that may have been written in another frame than the truths: what explain_zero.h tries.
namespace boxgrad::detection {

/// What four numbers a, b, c, d may stand for, apart from x1, y1, x2, y2.
enum class BoxForm {
  corners,        ///< nothing to do
  reversed,       ///< a corner first that is not the upper left one
  transposed,     ///< y1, x1, y2, x2
  corner_size,    ///< x1, y1, width, height
  centre_size,    ///< x and y of the centre, width, height
  added_corners,  ///< x1, y1, x1 + x2, y1 + y2: corners that were read as x1, y1, width, height
  mirrored,       ///< of the picture with left and right exchanged
};

/// What multiplies x and y, before the factors.
enum class BoxUnit {
  pixels,        ///< nothing
  sides,         ///< each photo's width and height. Factor 1: numbers from 0 to 1; factor 1/300:
                 ///< pixels of a network's input of 300 x 300
  shorter_side,  ///< each photo's shorter side. Factor 1/600: photos were resized to 600
};

struct BoxFrame {
  BoxForm form = BoxForm::corners;
  BoxUnit unit = BoxUnit::pixels;
  double factor_x = 1, factor_y = 1;
  double shift_x = 0, shift_y = 0;  ///< in the photo's pixels, added last

  /// What undoes it: "read as (x, y, width, height) and multiplied by 0.5 along x and 0.5 along y".
  std::string text() const;
};

/// Width and height of each photo.
using PhotoSizes = std::vector<std::array<double, 2>>;

/// Boxes of photo `image` as corners in its pixels. `sizes` may be empty for unit pixels, and must
/// not be for the others and for mirrored.
Tensor from_frame(const Tensor& boxes, const BoxFrame& frame, const PhotoSizes& sizes,
                  std::size_t image);

/// The frame of this form and unit whose factors most pairs of an answer and a truth of the same
/// photo agree on; empty when no pair fits. A Hough transform: each pair says by how much the
/// answer's sides must grow, and is heard when its place fits as well.
std::optional<BoxFrame> with_factors(BoxFrame frame, const std::vector<Detections>& detections,
                                     const std::vector<Target>& targets, const PhotoSizes& sizes);

/// The shift of whole boxes that most pairs of an answer and a truth of the same photo agree on,
/// whose sides differ by less than a fifth; empty when no pair does.
std::optional<BoxFrame> with_shift(const std::vector<Detections>& detections,
                                   const std::vector<Target>& targets);

/// All frames of the answers worth trying, from simple to involved: rearranged, then moved, then
/// scaled, then rearranged and scaled.
std::vector<BoxFrame> candidate_frames(const std::vector<Detections>& detections,
                                       const std::vector<Target>& targets, const PhotoSizes& sizes);

}  // namespace boxgrad::detection
