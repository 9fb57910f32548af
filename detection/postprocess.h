#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"
#include "detection/data/batch.h"
#include "detection/target.h"

namespace boxgrad::detection {

/// Defaults: SSD's ssd_pascal.py.
struct PostprocessOptions {
  double score_threshold = 0.01;      ///< a score must be > this
  std::int64_t max_per_class = 400;   ///< best scores of a class that enter suppression
  double nms_iou = 0.45;              ///< suppression within a class
  std::int64_t max_per_image = 200;   ///< best scores over all classes that are reported
  Scalar min_side_px = Scalar(1e-3);  ///< a box thinner than this after clipping is dropped
};

/// What a detector says of one image, from the scores and boxes of all its anchors: for every class
/// but background the anchors above the threshold, the best max_per_class of them, suppression,
/// and then the best max_per_image of what is left. Equal scores: lower class, then lower anchor.
///
/// boxes   [A, 4], decoded, in pixels; or [A, L, 4], a box for each class (Fast R-CNN). Clipped to
///         width x height here
/// scores  [A, L] probabilities, class 0 background. NaN is never > the threshold
/// throws  std::invalid_argument for other shapes and for negative limits
Detections postprocess(const Tensor& boxes, const Tensor& scores, Scalar width, Scalar height,
                       const PostprocessOptions& options = {});

/// The same for every image of a batch, each with its own width and height, in parallel.
///
/// boxes   [N, A, 4];  scores  [N, A, L];  images  N of them, or std::invalid_argument
std::vector<Detections> postprocess_batch(const Tensor& boxes, const Tensor& scores,
                                          const std::vector<BatchImage>& images,
                                          const PostprocessOptions& options = {});

}  // namespace boxgrad::detection
