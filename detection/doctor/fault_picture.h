#pragma once

#include "core/image.h"
#include "detection/doctor/fault.h"

namespace boxgrad::detection {

/// A fault as a picture of at most longer_px x longer_px: the photo, cut to the surroundings of
/// the boxes where these are small, with the boxes in red (of two the first in blue, the second
/// dashed). A box of a few pixels or none, or outside, has a circle around the nearest place
/// inside. Two photos stand beside each other. Throws std::invalid_argument when a photo cannot be
/// read.
Image fault_picture(const Fault& fault, int longer_px = 360);

}  // namespace boxgrad::detection
