#pragma once

#include <filesystem>

#include "detection/doctor/checkup.h"

namespace boxgrad::detection {

/// Writes `out`/index.html, with thumbnails below `out`/images: faults by kind, each with its first
/// places, the rule, the fix and pictures; classes by split, sizes, anchors.
/// Throws std::runtime_error naming what cannot be written.
void write_checkup_page(const Checkup& checkup, const std::filesystem::path& out);

}  // namespace boxgrad::detection
