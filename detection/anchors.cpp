#include "detection/anchors.h"

#include <cmath>

#include "core/check.h"

namespace boxgrad::detection {

std::vector<BoxSize> ratio_box_sizes(const std::vector<Scalar>& sides,
                                     const std::vector<Scalar>& ratios) {
  std::vector<BoxSize> sizes;
  for (const Scalar ratio : ratios) {
    check(ratio > 0, "ratio_box_sizes: a ratio must be > 0, got ", ratio);
    for (const Scalar side : sides) {
      check(side > 0, "ratio_box_sizes: a side must be > 0, got ", side);
      sizes.push_back({side / std::sqrt(ratio), side * std::sqrt(ratio)});
    }
  }
  return sizes;
}

std::vector<BoxSize> ssd_box_sizes(Scalar min_px, Scalar max_px,
                                   const std::vector<Scalar>& ratios) {
  check(min_px > 0, "ssd_box_sizes: min_px must be > 0, got ", min_px);
  check(max_px == 0 || max_px > min_px, "ssd_box_sizes: max_px must be 0 or > min_px = ", min_px,
        ", got ", max_px);
  std::vector<BoxSize> sizes{{min_px, min_px}};
  if (max_px > 0) {
    const Scalar side = std::sqrt(min_px * max_px);
    sizes.push_back({side, side});
  }
  for (const Scalar ratio : ratios) {
    check(ratio > 0, "ssd_box_sizes: a ratio must be > 0, got ", ratio);
    const Scalar longer = min_px * std::sqrt(ratio), shorter = min_px / std::sqrt(ratio);
    sizes.push_back({longer, shorter});
    sizes.push_back({shorter, longer});
  }
  return sizes;
}

std::vector<Scalar> ssd_scales(int count, Scalar low, Scalar high) {
  check(count >= 1, "ssd_scales: count must be >= 1, got ", count);
  std::vector<Scalar> scales;
  for (int k = 0; k < count; ++k)
    scales.push_back(count == 1 ? low : low + (high - low) * k / (count - 1));
  return scales;
}

std::vector<AnchorLevel> ssd300_levels() {
  const std::vector<Scalar> few{2}, many{2, 3};
  return {
      {ssd_box_sizes(30, 60, few), 8},     {ssd_box_sizes(60, 111, many), 16},
      {ssd_box_sizes(111, 162, many), 32}, {ssd_box_sizes(162, 213, many), 64},
      {ssd_box_sizes(213, 264, few), 100}, {ssd_box_sizes(264, 315, few), 300},
  };
}

std::vector<MapSize> ssd300_maps() {
  return {{38, 38}, {19, 19}, {10, 10}, {5, 5}, {3, 3}, {1, 1}};
}

std::vector<AnchorLevel> retinanet_levels() {
  std::vector<AnchorLevel> levels;
  for (Scalar stride = 8; stride <= 128; stride *= 2) {
    std::vector<Scalar> sides;
    for (const double octave : {0., 1. / 3, 2. / 3})
      sides.push_back(static_cast<Scalar>(4 * static_cast<double>(stride) * std::exp2(octave)));
    levels.push_back({ratio_box_sizes(sides, {Scalar(0.5), 1, 2}), stride});
  }
  return levels;
}

AnchorGenerator::AnchorGenerator(std::vector<AnchorLevel> levels) : levels_(std::move(levels)) {
  check(!levels_.empty(), "AnchorGenerator: at least one level is needed");
  for (std::size_t i = 0; i < levels_.size(); ++i) {
    check(levels_[i].stride_px > 0, "AnchorGenerator: stride_px must be > 0, got ",
          levels_[i].stride_px, " at level ", i);
    check(!levels_[i].sizes.empty(), "AnchorGenerator: level ", i, " has no sizes");
    for (const auto [width, height] : levels_[i].sizes)
      check(width > 0 && height > 0, "AnchorGenerator: sizes must be > 0, got ", width, " x ",
            height, " at level ", i);
  }
}

std::int64_t AnchorGenerator::num_anchors(int level) const {
  check(level >= 0 && level < num_levels(), "AnchorGenerator: level must be 0 to ",
        num_levels() - 1, ", got ", level);
  return static_cast<std::int64_t>(levels_[static_cast<std::size_t>(level)].sizes.size());
}

Tensor AnchorGenerator::operator()(const std::vector<MapSize>& maps) const {
  check(maps.size() == levels_.size(), "AnchorGenerator: one map size per level is needed, ",
        levels_.size(), ", got ", maps.size());
  std::vector<Scalar> boxes;
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    const auto& [sizes, stride] = levels_[level];
    check(maps[level].height >= 0 && maps[level].width >= 0,
          "AnchorGenerator: map sizes must be >= 0, got ", maps[level].height, " x ",
          maps[level].width, " at level ", level);
    for (std::int64_t row = 0; row < maps[level].height; ++row)
      for (std::int64_t column = 0; column < maps[level].width; ++column) {
        const Scalar cx = (static_cast<Scalar>(column) + Scalar(0.5)) * stride;
        const Scalar cy = (static_cast<Scalar>(row) + Scalar(0.5)) * stride;
        for (const auto [width, height] : sizes)
          boxes.insert(boxes.end(),
                       {cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2});
      }
  }
  return Tensor({static_cast<std::int64_t>(boxes.size()) / 4, 4}, boxes);
}

}  // namespace boxgrad::detection
