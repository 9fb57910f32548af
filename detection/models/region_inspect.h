#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/image.h"
#include "detection/data/dataset.h"
#include "detection/draw.h"
#include "detection/models/fast_rcnn.h"

/// Pictures of what a step of FastRcnn did with its regions.
namespace boxgrad::detection {

/// Grey: read, and neither suppressed nor chosen.
inline constexpr Color kLeftOutColor{190, 190, 190};

/// What became of each region, as a colour: chosen objects kPositiveColor, chosen background
/// kNegativeColor, suppressed ones kIgnoredColor, the others kLeftOutColor. [R]
std::vector<Color> region_fates(const RegionStep& step);

/// The loss of every region that was read, as a strip: a bar for each, hardest first, as high as
/// its loss and in the colour of its fate, which a second row repeats for the low ones.
/// Throws std::invalid_argument for a step without a read-only pass.
Image region_loss_strip(const RegionStep& step);

/// Each image of the batch, enlarged, twice: with the regions left out, then with the chosen ones.
/// Without a read-only pass the first shows all labelled regions that were not chosen.
Image region_sheet(const RegionStep& step, std::span<const Sample> samples);

}  // namespace boxgrad::detection
