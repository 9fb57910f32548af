#pragma once

#include "core/tensor.h"
#include "detection/boxes.h"

namespace boxgrad::detection {

/// The lecture notes' box loss: the squared distance of the decoded corners from the true ones, as
/// fractions of the image's size, summed over the boxes.
///
///   b    = decode(offsets, anchors)
///   loss = sum_i ((b.x1 - g.x1) / W)^2 + ((b.y1 - g.y1) / H)^2 + the same for x2, y2
///
/// offsets  [P, 4], the network's answers for the positive anchors
/// anchors  [P, 4] and truths [P, 4] in pixels; constants
/// returns  [1]; divide it by N_p (count_normalizers). 0 for P = 0
/// throws   std::invalid_argument for other shapes and an image size that is not > 0
///
/// The usual box loss is smooth_l1_loss on encode_boxes(truths, anchors) instead. The difference:
/// here the gradient passes through decode_boxes, so an error of one offset weighs as much as the
/// anchor is large - big boxes dominate - and the limit on exp in decode_boxes matters. Dividing by
/// the image's size keeps the values near 1. The notes only say "L2": squared, on corners, is our
/// reading.
Tensor decoded_l2_loss(const Tensor& offsets, const Tensor& anchors, const Tensor& truths,
                       Scalar image_width, Scalar image_height,
                       const BoxWeights& weights = kBoxWeights);

}  // namespace boxgrad::detection
