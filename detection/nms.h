#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace boxgrad::detection {

/// Non-maximum suppression: takes the box with the best score, drops every other box that overlaps
/// it by more than the threshold, and repeats with what is left.
///
///   dropped iff IoU > iou_threshold (strictly: a box at the threshold stays)
///
/// boxes          [N, 4]
/// scores         [N]; equal scores: the lower number first. NaN counts as -infinity
/// iou_threshold  in [0, 1]: .3 Fast R-CNN, .7 region proposals, .45 SSD, .5 RetinaNet
/// nan_scores     if given, receives how many scores were NaN: not 0 means a broken network
/// returns        numbers of the kept boxes, best score first
/// throws         std::invalid_argument for other shapes and thresholds
///
/// Equals torchvision.ops.nms, ties included.
std::vector<std::int64_t> nms(const Tensor& boxes, std::span<const Scalar> scores,
                              double iou_threshold, std::int64_t* nan_scores = nullptr);

/// The same within every class: a box never drops one of another class.
/// (torchvision.ops.batched_nms shifts each class to a place of its own and runs nms once, which
/// costs digits and fails for boxes with negative coordinates; here each class is really done
/// apart.)
std::vector<std::int64_t> batched_nms(const Tensor& boxes, std::span<const Scalar> scores,
                                      std::span<const std::int64_t> classes, double iou_threshold,
                                      std::int64_t* nan_scores = nullptr);

}  // namespace boxgrad::detection
