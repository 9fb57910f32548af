#include "detection/models/region_classifiers.h"

#include <algorithm>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"
#include "detection/boxes.h"
#include "layers/linear.h"

namespace boxgrad::detection {

RegionClassifiers::RegionClassifiers(std::int64_t hidden, std::int64_t pooled,
                                     std::int64_t num_classes)
    : svm_weight(add_buffer("svm_weight", Tensor({hidden, num_classes}))),
      svm_bias(add_buffer("svm_bias", Tensor({num_classes}))),
      box_weight(add_buffer("box_weight", Tensor({pooled, 4 * num_classes}))),
      box_bias(add_buffer("box_bias", Tensor({4 * num_classes}))) {
  check(hidden >= 1 && pooled >= 1 && num_classes >= 1,
        "RegionClassifiers: needs features and classes, got ", hidden, ", ", pooled, " and ",
        num_classes);
}

Tensor RegionClassifiers::scores(const Tensor& hidden) const {
  const NoGradGuard guard;
  const Tensor margins = linear(hidden, svm_weight, svm_bias);
  return cat({Tensor({hidden.size(0), 1}), margins}, 1);
}

Tensor RegionClassifiers::boxes(const Tensor& pooled, const Tensor& regions) const {
  const NoGradGuard guard;
  check_boxes(regions, "RegionClassifiers", "regions");
  const std::int64_t count = regions.size(0), classes = 1 + num_classes();
  const Tensor offsets = cat({Tensor({count, 4}), linear(pooled, box_weight, box_bias)}, 1);
  return reshape(decode_boxes(reshape(offsets, {count * classes, 4}),
                              repeat_boxes(regions, classes), kUnitBoxWeights),
                 {count, classes, 4});
}

}  // namespace boxgrad::detection
