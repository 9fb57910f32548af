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
  /// augmentation that goes with it, and a preparation that leaves sizes as they are
  /// (FastRcnnPreset).
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
/// Everywhere: boxes and proposals [P, 4] are in pixels of the batch's images, P may be 0, and a
/// number of proposals, targets or infos that is not that of the images throws
/// std::invalid_argument.
///
/// Girshick, "Fast R-CNN", ICCV 2015. With RegionSelection::ohem: Shrivastava, Gupta, Girshick,
/// "Training region-based object detectors with online hard example mining", CVPR 2016, section 4.
class FastRcnn : public Detector {
 public:
  /// Throws std::invalid_argument for no backbone, for num_classes or pool < 1, a scale that is not
  /// > 0, a lambda < 0, and a head that RegionHead refuses.
  FastRcnn(std::shared_ptr<Backbone> backbone, FastRcnnOptions options);

  /// Takes over a classifier's backbone and fc6, fc7, ..., as a training of Fast R-CNN begins; its
  /// last layer has no place here (section 2.2).
  ///
  /// classifier  state_dict() of an FcClassifier with the same backbone up to this one's last layer
  /// throws      std::invalid_argument when a layer of the backbone or a hidden one of the head is
  ///             not there or has another shape; nothing is changed then. It would stay random, and
  ///             nothing else would tell
  void load_classifier(const nn::StateDict& classifier);

  /// The loss of loss_of_regions() on the batch's own map and proposals. The pyramid takes no part.
  DetectorLoss loss(const Batch& batch, Random& random) override;
  std::vector<Detections> detect(const Batch& batch) override;

  /// The backbone's last map, [N, H, W, C].
  Tensor features(const Tensor& images);
  /// loss() when the map and the proposals are there already: labels all regions, chooses those that
  /// learn, and gives multi_task_loss() of these, in the parts "class" and "box". 0 without regions.
  ///
  /// map        [N, H, W, C], options().scale cells per pixel
  /// proposals  N of [P, 4]; constants
  /// targets    N, labels 1..K
  /// random     drawn from for RegionSelection::sampled, image after image
  /// throws     std::invalid_argument for other shapes, and for a label above K of a truth that a
  ///            region overlaps
  DetectorLoss loss_of_regions(const Tensor& map, const std::vector<Tensor>& proposals,
                               const std::vector<Target>& targets, Random& random);
  /// detect() when the map and the proposals are there already, all in the one size of the map.
  ///
  /// map        [N, H, W, C]
  /// proposals  N of [P, 4]
  /// infos      N: boxes are clipped to an image's own width and height
  /// returns    N, boxes in pixels of the batch's images, best first
  /// throws     std::invalid_argument for other shapes
  std::vector<Detections> detect_regions(const Tensor& map, const std::vector<Tensor>& proposals,
                                         const std::vector<BatchImage>& infos);
  /// The pooled grids of regions [R, 4] of one image [1, H, W, 3], through the pyramid if there is
  /// one: [R, pool, pool, C].
  Tensor pooled_features(const Tensor& image, const Tensor& boxes);
  /// Classes and boxes of regions [R, 5] of a map, each [n, x1, y1, x2, y2]; boxes normalised, as
  /// bbox_pred says them.
  RegionHead::Output classify(const Tensor& map, const Tensor& rois);

  /// OHEM's read-only pass by itself: all regions that `regions` labels, and the loss of each, as
  /// it is without a graph. Nothing is chosen, and last_step() stays.
  RegionStep read_regions(const Batch& batch, const RegionOptions& regions);

  /// Throws std::invalid_argument unless mean and std are [1 + K, 4] and every std is > 0.
  void set_target_statistics(const TargetStatistics& statistics);
  /// Puts box_mean and box_std into bbox_pred, which then says offsets as they are: how the
  /// published code saves its models. Detections stay the same; further training would need new
  /// statistics.
  /// Throws std::invalid_argument once bbox_pred is compressed (nn::compress): fold before.
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
