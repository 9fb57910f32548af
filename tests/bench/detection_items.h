#pragma once

#include <algorithm>
#include <vector>

#include "core/check.h"
#include "detection/boxes.h"
#include "detection/nms.h"
#include "detection/roi_pool.h"
#include "tests/bench/bench.h"

/// Suppression and overlaps among random boxes: corners anywhere in the left upper 80 % of a
/// 800 x 600 image, sides of 16 pixels to half the image more, cut at the border.
namespace boxgrad::bench {

inline Tensor random_regions(std::int64_t n) {
  Random random(static_cast<std::uint64_t>(n));
  Tensor boxes({n, 4});
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t axis = 0; axis < 2; ++axis) {
      const double size = axis == 0 ? 800 : 600, low = random.uniform(0, 0.8 * size);
      boxes.set({i, axis}, static_cast<Scalar>(low));
      boxes.set({i, axis + 2},
                static_cast<Scalar>(std::min(low + 16 + random.uniform(0, size / 2), size - 1)));
    }
  return boxes;
}

inline void add_detection(std::vector<Item>& items) {
  for (const std::int64_t n : {2000, 6000, 20000})
    for (const double iou : {0.3, 0.7})
      items.push_back({concat("nms_", n, "_iou", iou), [=]() -> Work {
                         const Tensor boxes = random_regions(n);
                         const auto scores = Tensor::rand({n}).to_vector();
                         return {[=] { detection::nms(boxes, scores, iou); }, {}};
                       }});
  for (const auto& [n, m] : {std::pair{2000, 20}, {8732, 20}, {2000, 2000}})
    items.push_back({concat("box_iou_", n, "x", m), [n = n, m = m]() -> Work {
                       const Tensor a = random_regions(n), b = random_regions(m);
                       return {[=] { detection::box_iou(a, b); }, {}};
                     }});
  // VGG16's conv5 of two images of 800 x 600, half of the regions on each.
  for (const std::int64_t n : {128, 2000})
    items.push_back({concat("roi_pool_", n), [=] {
                       const Tensor boxes = random_regions(n);
                       Tensor rois({n, 5});
                       for (std::int64_t r = 0; r < n; ++r) {
                         rois.set({r, 0}, static_cast<Scalar>(2 * r / n));
                         for (std::int64_t k = 0; k < 4; ++k)
                           rois.set({r, k + 1}, boxes.at({r, k}));
                       }
                       return layer({parameter({2, 38, 50, 512})}, [=](const auto& in) {
                         return detection::roi_max_pool(in[0], rois, 7, 7, 1. / 16);
                       });
                     }});
}

}  // namespace boxgrad::bench
