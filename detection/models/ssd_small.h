#pragma once

#include <memory>
#include <vector>

#include "detection/data/dataset.h"
#include "detection/data/preparation.h"
#include "detection/models/ssd.h"

namespace boxgrad::detection {

/// The detector of the first demo, small enough to learn from nothing in a minute and a half on
/// two cores: a SeparableNet whose maps have strides 8, 16 (and 32), 1x1 heads, SSD's matching and
/// mining.
struct SsdSmallOptions {
  /// Sides of the anchors in pixels, two per map: two maps (strides 8 and 16) or three (and 32).
  /// These suit FashionScenes, whose items are 20 to 64 px long.
  std::vector<Scalar> sides{20, 30, 40, 54};
  std::vector<Scalar> ratios{Scalar(0.5), 1, 2};  ///< height / width
  /// 8 or 16: all sides on the map of that stride alone, for comparison.
  int only_stride = 0;
  /// Everything else about the detector; `num_classes` is the caller's, `levels` are filled in.
  SsdOptions ssd = {};
};

/// Throws std::invalid_argument unless there are 4 or 6 sides, and only_stride is 0, 8 or 16.
std::shared_ptr<Ssd> make_ssd_small(SsdSmallOptions options);

/// `count` sides in equal steps of their logarithm over the middle 90 % of the sizes sqrt(w h) of a
/// dataset's boxes, as the network sees them: anchors for objects that are not of FashionScenes'
/// size. With `classes_alike` every class counts the same, however few boxes it has: else a rare
/// one may lie outside of that middle. Looks at up to 300 images. Throws std::invalid_argument when
/// they hold no box.
std::vector<Scalar> anchor_sides(const Dataset& dataset, const Preparation& preparation, int count,
                                 bool classes_alike = false);

}  // namespace boxgrad::detection
