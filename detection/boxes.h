#pragma once

#include <array>

#include "core/tensor.h"

/// Boxes are rows [x1, y1, x2, y2] of a [N, 4] tensor: continuous pixels of the image that the
/// network sees, 0-based and half-open. A width is x2 - x1, without the "+1" of older code; only
/// RoI pooling counts cells (docs/boxes.md).
namespace boxgrad::detection {

/// Factors on the offsets (tx, ty, tw, th). Dividing by SSD's variances (0.1, 0.1, 0.2, 0.2) or by
/// Faster R-CNN's standard deviations is the same as multiplying by (10, 10, 5, 5).
using BoxWeights = std::array<Scalar, 4>;
inline constexpr BoxWeights kBoxWeights{10, 10, 5, 5};
inline constexpr BoxWeights kUnitBoxWeights{1, 1, 1, 1};

/// decode_boxes lets a box grow by at most 1000/16: a learning network's first outputs would
/// otherwise overflow exp. ln(1000/16), as in Detectron and torchvision.
inline constexpr Scalar kMaxLogScale = static_cast<Scalar>(4.135166556742356);

/// area_i = (x2 - x1) (y2 - y1), shape [N].  Equals torchvision.ops.box_area.
/// Throws std::invalid_argument unless boxes is [N, 4].
Tensor box_area(const Tensor& boxes);

/// Intersection over union of every pair:
///
///   w = max(0, min(a.x2, b.x2) - max(a.x1, b.x1)),  h likewise
///   iou[i, j] = w h / (area a_i + area b_j - w h),  0 when the union is <= 0
///
/// a        [A, 4]
/// b        [B, 4]
/// returns  [A, B], in [0, 1] for boxes that are not inverted
/// throws   std::invalid_argument for other shapes
///
/// Equals torchvision.ops.box_iou bit by bit, except that two boxes without area give 0 there NaN.
/// No gradient: it decides which box learns what.
Tensor box_iou(const Tensor& a, const Tensor& b);

/// Each x into [0, width], each y into [0, height] (pixels). A box wholly outside collapses to a
/// line on the border. Equals torchvision.ops.clip_boxes_to_image. No gradient.
Tensor clip_boxes_to_image(const Tensor& boxes, Scalar width, Scalar height);

/// The boxes of the mirrored image: [W - x2, y1, W - x1, y2]. Doing it twice gives them back.
/// (Inclusive pixel numbers would need W - 1 - x.) No gradient.
Tensor flip_boxes(const Tensor& boxes, Scalar image_width);

/// What a network has to say at an anchor p to mean the truth g; c is a centre, w and h are sizes:
///
///   tx = wx (g.cx - p.cx) / p.w      tw = ww ln(g.w / p.w)
///   ty = wy (g.cy - p.cy) / p.h      th = wh ln(g.h / p.h)
///
/// truths   [N, 4]
/// anchors  [N, 4], row for row
/// returns  offsets [N, 4], without unit; a constant
/// throws   std::invalid_argument for other shapes and for a truth or an anchor whose width or
///          height is not > 0, naming the row (the logarithm would be NaN and spoil the training)
///
/// Girshick et al., "Rich feature hierarchies", appendix C (weights 1); Liu et al., "SSD", eq. (2).
/// Equals torchvision's BoxCoder(weights).encode.
Tensor encode_boxes(const Tensor& truths, const Tensor& anchors,
                    const BoxWeights& weights = kBoxWeights);

/// The inverse of encode_boxes, differentiable with respect to the offsets:
///
///   cx = p.cx + p.w tx / wx          w = p.w exp(min(tw / ww, kMaxLogScale))
///   x1 = cx - w / 2                  x2 = cx + w / 2;    y and h likewise
///   dtx = (dx1 + dx2) p.w / wx       dtw = (dx2 - dx1) / 2 * w / ww,  0 where the min is active
///
/// offsets  [..., A, 4]: [A, 4], or [N, A, 4] for a batch
/// anchors  [A, 4], the same for every image of the batch; no gradient
/// returns  boxes with the shape of offsets
///
/// Equals torchvision's BoxCoder(weights).decode.
Tensor decode_boxes(const Tensor& offsets, const Tensor& anchors,
                    const BoxWeights& weights = kBoxWeights);

/// Each box `times` times in a row, [R * times, 4]: anchors for detectors that have a box of each
/// class for a region.
Tensor repeat_boxes(const Tensor& boxes, std::int64_t times);

/// Throws std::invalid_argument, "op: name must have shape [N, 4] ...", unless it has.
void check_boxes(const Tensor& boxes, const char* op, const char* name);

}  // namespace boxgrad::detection
