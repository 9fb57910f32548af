#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace boxgrad::detection {

/// What is true of one image. Boxes are [x1, y1, x2, y2] in pixels of the image, continuous
/// (width = x2 - x1); labels count from 1, class 0 is background.
struct Target {
  Tensor boxes = Tensor({0, 4});          ///< [G, 4]
  std::vector<std::int64_t> labels = {};  ///< [G], 1..num_classes
  /// [G], VOC's flag: measuring neither asks for it nor counts it wrong. Whether it teaches is up to
  /// the detector: in SSD it does (SsdOptions::learn_difficult), in the others it does not.
  std::vector<bool> difficult = {};

  /// [G], COCO's: a group that was not taken apart; difficult, too. Empty: none is.
  std::vector<bool> crowd = {};
  /// [G], in square pixels of the file, of COCO's outline where there is one, else of the box.
  /// Empty, as in datasets that are no photos: those of `boxes`.
  std::vector<double> areas = {};
};

/// What a detector says of one image, best score first.
struct Detections {
  Tensor boxes = Tensor({0, 4});          ///< [D, 4]
  std::vector<std::int64_t> labels = {};  ///< [D], 1..num_classes
  std::vector<Scalar> scores = {};        ///< [D], 0 to 1
};

}  // namespace boxgrad::detection
