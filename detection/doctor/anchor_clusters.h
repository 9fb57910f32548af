#pragma once

#include <cstdint>
#include <vector>

#include "detection/anchors.h"

namespace boxgrad::detection {

/// IoU of two boxes laid centre on centre: what sizes alone can make of it.
///
///   i = min(a.w, b.w) min(a.h, b.h),   iou = i / (a.w a.h + b.w b.h - i)
double size_iou(const BoxSize& a, const BoxSize& b);

struct AnchorClusters {
  std::vector<BoxSize> sizes = {};  ///< by area
  double mean_iou = 0;              ///< of a box with the size that suits it best
  double matched = 0;               ///< share of boxes for which that is at least 0.5
};

/// Sizes of anchors learned from boxes: k-means with the distance 1 - size_iou, so that an error of
/// 5 px counts for much on a small box and for little on a large one. Starting sizes are drawn far
/// apart (k-means++); a centre is the mean width and height of its boxes. The mean is not what
/// minimises this distance, so the best round counts, and not the last. Fewer sizes come back when
/// there are fewer different boxes.
///
/// Throws std::invalid_argument without boxes, for count < 1, and for a box without area.
/// Redmon and Farhadi, "YOLO9000", CVPR 2017, section 2, "Dimension clusters" (k = 5, mean IoU 61 %
/// on VOC). Arthur and Vassilvitskii, "k-means++", SODA 2007.
AnchorClusters cluster_sizes(const std::vector<BoxSize>& boxes, int count, std::uint64_t seed = 0);

}  // namespace boxgrad::detection
