#include "detection/losses.h"

#include "core/check.h"
#include "core/ops.h"

namespace boxgrad::detection {

Tensor decoded_l2_loss(const Tensor& offsets, const Tensor& anchors, const Tensor& truths,
                       Scalar image_width, Scalar image_height, const BoxWeights& weights) {
  check_boxes(offsets, "decoded_l2_loss", "offsets");
  check_boxes(truths, "decoded_l2_loss", "truths");
  check(truths.shape() == offsets.shape(), "decoded_l2_loss: truths must have offsets' shape ",
        offsets.shape(), ", got ", truths.shape());
  check(image_width > 0 && image_height > 0, "decoded_l2_loss: image size must be > 0, got ",
        image_width, " x ", image_height);
  const Scalar sx = 1 / image_width, sy = 1 / image_height;
  const Tensor scale({1, 4}, {sx, sy, sx, sy});
  return sum(square((decode_boxes(offsets, anchors, weights) - truths) * scale));
}

}  // namespace boxgrad::detection
