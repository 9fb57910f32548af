#pragma once

#include <cstdint>

#include "core/image.h"
#include "detection/data/dataset.h"
#include "detection/data/transforms.h"

namespace boxgrad::detection {

/// What augmentation does to the first `count` images of a dataset, with their truths: a row each,
/// at the left as it is, beside it `draws` times as a training may see it. To be looked at before
/// a training: a box that does not follow its object is a bug, an object that nobody would know
/// again is too much.
///
/// The streams are those of `seed` and the sample's number in the sheet, so that a seed gives
/// always the same sheet. Throws std::invalid_argument when there is no image or nothing to draw.
Image augmentation_sheet(const Dataset& dataset, const Transform& augmentation, std::uint64_t seed,
                         int count = 4, int draws = 3);

}  // namespace boxgrad::detection
