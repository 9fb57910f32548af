#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace boxgrad::detection {

/// Width and height in pixels of the image.
struct BoxSize {
  Scalar width = 0, height = 0;
};

/// The anchors of one feature map: every cell carries one anchor per size, all centred on it.
struct AnchorLevel {
  std::vector<BoxSize> sizes;
  Scalar stride_px = 0;  ///< distance between the centres of neighbouring cells
};

/// Cells of a feature map.
struct MapSize {
  std::int64_t height = 0, width = 0;
  friend bool operator==(const MapSize&, const MapSize&) = default;
};

/// Sizes as in Faster R-CNN: for every ratio r = height / width and then every side s a box with
/// the area of the s x s square,
///
///   width = s / sqrt(r),  height = s sqrt(r)
///
/// Ratio-major, as the original code and torchvision order them, but not rounded.
/// Throws std::invalid_argument for a side or ratio that is not > 0.
/// Ren et al., "Faster R-CNN", section 3.1.1.
std::vector<BoxSize> ratio_box_sizes(const std::vector<Scalar>& sides,
                                     const std::vector<Scalar>& ratios);

/// Sizes as in SSD: the squares of side min_px and sqrt(min_px max_px), then for every ratio
/// r = width / height (note: the other way round) the boxes r and 1 / r with the first square's
/// area. Two sizes plus two per ratio; max_px = 0 leaves the second square out.
/// Liu et al., "SSD", section 2.2, "Choosing scales and aspect ratios".
std::vector<BoxSize> ssd_box_sizes(Scalar min_px, Scalar max_px, const std::vector<Scalar>& ratios);

/// SSD's eq. (4), s_k = low + (high - low) (k - 1) / (count - 1): for low .2, high .9 and five maps
/// .2 .375 .55 .725 .9 of the image's side. (The published SSD300 uses the rounded table of
/// ssd300_levels() instead.) One map gets `low`.
std::vector<Scalar> ssd_scales(int count, Scalar low, Scalar high);

/// The six maps of SSD300 for VOC in pixels of a 300 x 300 image: steps 8 16 32 64 100 300, min and
/// max sides 30 60 111 162 213 264 315, ratio 2 on the first and the last two maps, 2 and 3 on the
/// others. With ssd300_maps(): 8,732 boxes, neither clipped nor rounded, as in the original
/// ssd_pascal.py.
std::vector<AnchorLevel> ssd300_levels();
std::vector<MapSize> ssd300_maps();  ///< 38 19 10 5 3 1, squares

/// RetinaNet's five maps, P3 to P7: strides 8 16 32 64 128, and on each the sides 4 strides times
/// 2^0, 2^(1/3) and 2^(2/3), in ratios (height / width) of 1/2, 1 and 2: from 32 to 813 px, nine boxes
/// a cell. Lin et al., "Focal loss", section 4, "Anchors".
std::vector<AnchorLevel> retinanet_levels();

/// Lays anchors over feature maps:
///
///   centre of the cell in column c, row r = ((c + 0.5) stride, (r + 0.5) stride)
///   anchor = centre -+ size / 2
///
/// Nothing is rounded or clipped. The order is level, row, column, size, so that a head's output
/// [N, H, W, A * 4], reshaped to [N, H * W * A, 4], lines up with the anchors. (torchvision's
/// RPN anchors sit on the cells' top left corners and are rounded; its SSD's are centred.)
class AnchorGenerator {
 public:
  /// Throws std::invalid_argument for no level, a level without sizes, and sizes or strides that
  /// are not > 0.
  explicit AnchorGenerator(std::vector<AnchorLevel> levels);

  int num_levels() const { return static_cast<int>(levels_.size()); }
  /// Anchors per cell of a level: A.
  std::int64_t num_anchors(int level) const;
  const std::vector<AnchorLevel>& levels() const { return levels_; }

  /// All anchors, [sum of H * W * A, 4]; one map size per level.
  Tensor operator()(const std::vector<MapSize>& maps) const;

 private:
  std::vector<AnchorLevel> levels_;
};

}  // namespace boxgrad::detection
