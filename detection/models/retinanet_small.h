#pragma once

#include <memory>
#include <vector>

#include "detection/models/retinanet.h"

namespace boxgrad::detection {

/// RetinaNet at teaching scale: the trunk of SsdSmall (strides 8 and 16) under a narrow feature
/// pyramid and subnets of one 3x3 layer instead of four. Learns FashionScenes from nothing in about
/// a minute on two cores; with `retina.class_loss` it learns them in the other ways that table 1 of
/// the paper compares.
struct RetinaNetSmallOptions {
  std::int64_t channels = 32;  ///< of the pyramid and the subnets; 256 in the paper
  /// Sides of the anchors in pixels, two for each of the two levels, and their height / width.
  std::vector<Scalar> sides{20, 30, 40, 54};
  std::vector<Scalar> ratios{Scalar(0.5), 1, 2};
  /// Everything else; `num_classes` is the caller's, `levels` are filled in.
  RetinaNetOptions retina = {.tower_depth = 1};
};

/// Throws std::invalid_argument unless there are 4 sides, and as RetinaNet does.
std::shared_ptr<RetinaNet> make_retinanet_small(RetinaNetSmallOptions options);

/// The paper's starting deviation of 0.01 in the subnets is for 256 channels; a sum over fewer of
/// them needs larger terms to come out as large. Draws the subnets anew with 0.01 sqrt(256 / C).
void start_as_loud(RetinaNet& model, std::int64_t channels);

}  // namespace boxgrad::detection
