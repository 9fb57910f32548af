#pragma once

#include <vector>

#include "detection/data/photo_dataset.h"

namespace boxgrad::detection {

/// Two boxes of a photo that lie on each other.
struct BoxTwins {
  std::size_t first = 0, second = 0;  ///< numbers in PhotoEntry::objects
  double iou = 0;
};

/// Pairs of boxes with an IoU of at least `min_iou`, whatever their classes. A box that lies on
/// several earlier ones is named once, with the one it overlaps most; crowds are left out. Of
/// more than a thousand boxes, each is compared with the thousand that start right of it.
std::vector<BoxTwins> box_twins(const PhotoEntry& photo, double min_iou = 0.9);

}  // namespace boxgrad::detection
