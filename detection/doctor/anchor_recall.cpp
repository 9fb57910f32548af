#include "detection/doctor/anchor_recall.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "detection/models/ssd300.h"

namespace boxgrad::detection {

namespace {

/// The overlap of [low, high) with an interval of length `side` around the centre that is nearest
/// to its own.
double overlap(double low, double high, double side, double stride, double extent) {
  const double cells = std::max(1., std::ceil(extent / stride));
  const double cell = std::clamp(std::floor((low + high) / 2 / stride), 0., cells - 1);
  const double centre = (cell + 0.5) * stride;
  return std::max(0., std::min(high, centre + side / 2) - std::max(low, centre - side / 2));
}

}  // namespace

std::array<double, 2> PhotoFit::size(double width, double height) const {
  check(width > 0 && height > 0, "PhotoFit: a photo must have an area, got ", width, " x ", height);
  if (rule == Rule::stretch) return {first, second};
  const double longer = std::max(width, height), shorter = std::min(width, height);
  const double scale =
      rule == Rule::longer ? first / longer : std::min(first / shorter, second / longer);
  return {std::max(1., std::round(width * scale)), std::max(1., std::round(height * scale))};
}

double best_anchor_iou(const std::array<double, 4>& box, const std::vector<AnchorLevel>& levels,
                       double width, double height) {
  const double area = (box[2] - box[0]) * (box[3] - box[1]);
  double best = 0;
  for (const AnchorLevel& level : levels)
    for (const BoxSize& size : level.sizes) {
      const double w = size.width, h = size.height;
      const double shared = overlap(box[0], box[2], w, level.stride_px, width) *
                            overlap(box[1], box[3], h, level.stride_px, height);
      best = std::max(best, shared / (area + w * h - shared));
    }
  return best;
}

AnchorRecallCounter::AnchorRecallCounter(AnchorPreset preset, std::size_t num_classes) {
  recall_.preset = std::move(preset);
  recall_.class_boxes.resize(num_classes);
  recall_.class_matched.resize(num_classes);
}

void AnchorRecallCounter::add(const PhotoEntry& photo, const std::vector<std::int64_t>& labels) {
  const auto [width, height] = recall_.preset.fit.size(photo.width, photo.height);
  const double sx = width / photo.width, sy = height / photo.height;
  for (const PhotoEntry::Object& o : photo.objects) {
    if (o.crowd) continue;
    const double iou = best_anchor_iou({o.x1 * sx, o.y1 * sy, o.x2 * sx, o.y2 * sy},
                                       recall_.preset.levels, width, height);
    const auto c = static_cast<std::size_t>(labels.at(static_cast<std::size_t>(o.label - 1)) - 1);
    ++recall_.boxes;
    ++recall_.class_boxes.at(c);
    iou_sum_ += iou;
    if (iou < 0.5) continue;
    ++recall_.matched;
    ++recall_.class_matched[c];
  }
}

AnchorRecall AnchorRecallCounter::result() const {
  AnchorRecall result = recall_;
  result.mean_iou = result.boxes > 0 ? iou_sum_ / static_cast<double>(result.boxes) : 0;
  return result;
}

std::vector<AnchorPreset> published_anchors() {
  using Rule = PhotoFit::Rule;
  return {
      {"SSD300 (paper)", {Rule::stretch, 300, 300}, ssd300_levels()},
      {"MobileNet-SSD", {Rule::stretch, 300, 300}, mobilenet_ssd_levels()},
      {"Faster R-CNN (paper)",
       {Rule::shorter, 600, 1000},
       {{ratio_box_sizes({128, 256, 512}, {Scalar(0.5), 1, 2}), 16}}},
      {"RetinaNet (paper)", {Rule::shorter, 800, 1333}, retinanet_levels()},
  };
}

}  // namespace boxgrad::detection
