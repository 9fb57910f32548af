#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "detection/detector.h"
#include "detection/models/backbone.h"
#include "detection/models/region_head.h"
#include "detection/postprocess.h"
#include "detection/regions.h"
#include "detection/scale_pyramid.h"

namespace boxgrad::detection {

struct FastRcnnOptions {
  std::int64_t num_classes = 0;  ///< without background
  std::int64_t pool = 7;         ///< bins of a region each way
  double scale = 1. / 16;        ///< cells of the backbone's last map per pixel
  RegionHeadOptions head = {};

  RegionOptions regions = {};
  RegionSelection selection = RegionSelection::sampled;
  BalancedOptions sampling = {.size = 64, .positive_fraction = 0.25};  ///< of each image
  OhemOptions ohem = {.size = 128};                                    ///< of the whole batch
  double lambda = 1;  ///< weight of the box loss; 0: classification alone

  /// detect() looks at each region in the size that suits it, by itself without the padding of a
  /// batch; unset: in the batch's size. Training takes images as they come: random_scale() is the
  /// augmentation that goes with it.
  std::optional<ScalePyramid> pyramid = {};

  PostprocessOptions postprocess = {
      .score_threshold = 0.05, .max_per_class = 300, .nms_iou = 0.3, .max_per_image = 100};
};

/// What a step of training did with its regions, for recorders and pictures.
struct RegionStep {
  Tensor rois = Tensor({0, 5});          ///< [R, 5] all labelled regions of the batch
  std::vector<std::int64_t> labels;      ///< [R]
  std::vector<Scalar> losses;            ///< [R] of the read-only pass; empty without one
  std::vector<std::int64_t> suppressed;  ///< numbers among R, those that overlap a harder one
  std::vector<std::int64_t> chosen;      ///< numbers among R, those that learned

  std::int64_t chosen_positives() const;
};

/// Fast R-CNN: one convolutional map per image, each proposal pooled from it to a grid, fully
/// connected layers that say class and box. Proposals come with the batch (Batch::proposals).
///
///   features = roi_max_pool(backbone(images), proposals);   (logits, offsets) = head(features)
///
/// Hierarchical sampling: the few images of a batch share their maps among many regions (section
/// 2.3; N = 2 images, R = 128 regions). Box targets are normalised per class by mean and std, which
/// are buffers of the model ("box_mean", "box_std"), 0 and (.1 .1 .2 .2) until
/// set_target_statistics().
///
/// Girshick, "Fast R-CNN", ICCV 2015. With RegionSelection::ohem: Shrivastava, Gupta, Girshick,
/// "Training region-based object detectors with online hard example mining", CVPR 2016, section 4.
class FastRcnn : public Detector {
 public:
  FastRcnn(std::shared_ptr<Backbone> backbone, FastRcnnOptions options);

  DetectorLoss loss(const Batch& batch, Random& random) override;
  std::vector<Detections> detect(const Batch& batch) override;

  /// The backbone's last map, [N, H, W, C].
  Tensor features(const Tensor& images);
  /// loss() and detect() when the map and the proposals [P, 4] of each image are there already.
  DetectorLoss loss_of_regions(const Tensor& map, const std::vector<Tensor>& proposals,
                               const std::vector<Target>& targets, Random& random);
  std::vector<Detections> detect_regions(const Tensor& map, const std::vector<Tensor>& proposals,
                                         const std::vector<BatchImage>& infos);
  /// The pooled grids of regions [R, 4] of one image [1, H, W, 3], through the pyramid if there is
  /// one: [R, pool, pool, C].
  Tensor pooled_features(const Tensor& image, const Tensor& boxes);
  /// Classes and boxes of regions [R, 5] of a map.
  RegionHead::Output classify(const Tensor& map, const Tensor& rois);

  /// OHEM's read-only pass by itself: all regions that `regions` labels, and the loss of each, as
  /// it is without a graph. Nothing is chosen, and last_step() stays.
  RegionStep read_regions(const Batch& batch, const RegionOptions& regions);

  void set_target_statistics(const TargetStatistics& statistics);
  /// Puts box_mean and box_std into bbox_pred, which then says offsets as they are: how the
  /// published code saves its models. Detections stay the same; further training would need new
  /// statistics.
  void fold_target_statistics();

  const RegionStep& last_step() const { return step_; }
  const FastRcnnOptions& options() const { return options_; }
  FastRcnnOptions& options() { return options_; }
  RegionHead& head() const { return head_.as<RegionHead>(); }

 private:
  Tensor pool(const Tensor& map, const Tensor& rois) const;
  std::vector<Detections> decode(const RegionHead::Output& output,
                                 const std::vector<Tensor>& proposals,
                                 const std::vector<BatchImage>& infos) const;
  /// The labelled regions of a batch, image after image, and what the box branch should say.
  struct Labelled {
    RegionStep step;
    Tensor targets;                               ///< [R, 4], normalised
    std::vector<std::int64_t> first_of_image{0};  ///< and R at the end
  };
  Labelled label_batch(const std::vector<Tensor>& proposals, const std::vector<Target>& truths,
                       const RegionOptions& regions) const;
  std::vector<Scalar> losses_of(const Tensor& map, const Labelled& labelled);
  /// The numbers of the regions that learn; writes the losses into the step.
  std::vector<std::int64_t> select(const Tensor& map, Labelled& labelled, Random& random);

  FastRcnnOptions options_;
  nn::Child backbone_, head_;
  Tensor box_mean_, box_std_;  ///< [1 + K, 4]
  RegionStep step_;
};

/// Regions of several images as one list: [n, x1, y1, x2, y2] for boxes[n] of image n.
Tensor to_rois(const std::vector<Tensor>& boxes);

}  // namespace boxgrad::detection
