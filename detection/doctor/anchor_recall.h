#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "detection/anchors.h"
#include "detection/data/photo_dataset.h"

namespace boxgrad::detection {

/// How a photo comes to a detector's size.
struct PhotoFit {
  enum class Rule {
    longer,   ///< the longer side becomes `first` px
    shorter,  ///< the shorter side becomes `first` px, the longer at most `second`
    stretch,  ///< to `first` x `second` px
  };
  Rule rule = Rule::longer;
  double first = 320, second = 0;

  /// Width and height of a photo as the network sees it.
  std::array<double, 2> size(double width, double height) const;
};

/// The anchors of a detector and the photos it lays them on.
struct AnchorPreset {
  std::string name = {};
  PhotoFit fit = {};
  std::vector<AnchorLevel> levels = {};
};

/// The largest IoU of a box with any anchor that `levels` lay on an image of width x height px,
/// cells ceil(width / stride) x ceil(height / stride). The same as the largest number of
/// box_iou(box, AnchorGenerator(levels)(maps)), but without laying them: of all anchors of one
/// size, the one whose centre is nearest to the box's overlaps it most, along each axis on its own.
///
/// box  [x1, y1, x2, y2] in pixels of that image, with an area
double best_anchor_iou(const std::array<double, 4>& box, const std::vector<AnchorLevel>& levels,
                       double width, double height);

/// How many truths have an anchor with an IoU of at least 0.5. The others still get their best
/// anchor (matcher.h), one against dozens, and from far away.
struct AnchorRecall {
  AnchorPreset preset = {};
  std::int64_t boxes = 0, matched = 0;
  double mean_iou = 0;                                             ///< of the best anchors
  std::vector<std::int64_t> class_boxes = {}, class_matched = {};  ///< of labels 1, 2, ...
};

/// `labels_of` says which number of `num_classes` (from 1) a label of these photos has; crowds are
/// left out.
class AnchorRecallCounter {
 public:
  AnchorRecallCounter(AnchorPreset preset, std::size_t num_classes);
  void add(const PhotoEntry& photo, const std::vector<std::int64_t>& labels);
  AnchorRecall result() const;

 private:
  AnchorRecall recall_;
  double iou_sum_ = 0;
};

/// The anchors of published detectors on photos: SSD300, MobileNet-SSD, Faster R-CNN and RetinaNet.
std::vector<AnchorPreset> published_anchors();

}  // namespace boxgrad::detection
