#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "detection/detector.h"
#include "detection/models/backbone.h"
#include "detection/models/region_classifiers.h"
#include "detection/models/region_head.h"
#include "detection/postprocess.h"
#include "detection/regions.h"
#include "detection/warp.h"

namespace boxgrad::detection {

/// The paper's values where it has them, for AlexNet:
///
///   warp           227 px, 16 px of context: section 2.1, appendix A
///   head           fc6 and fc7 of 4096, dropout of .5: AlexNet's; the last layer's deviation of .01
///                  is in the model files
///   regions        IoU >= .5: section 2.3. Truths among the windows: code
///   windows        32 + 96: section 2.3
///   scoring        SVMs: section 2.3, appendix B;   regress_boxes  appendix C
///   postprocess    suppression at .3: code (the paper has a threshold that was learned). How many
///                  are reported and from which score on is ours: the code keeps 100 of a class and
///                  an image, and about 40 on average, by a threshold for each class
struct RcnnOptions {
  std::int64_t num_classes = 0;  ///< without background
  WarpOptions warp = {};
  RegionHeadOptions head = {.boxes = false};

  /// Fine-tuning: IoU >= 0.5 with a truth is its class, everything else background, truths among
  /// the windows; 32 objects and 96 backgrounds in a batch of 128.
  RegionOptions regions = {.negative_low = 0};
  BalancedOptions windows = {.size = 128, .positive_fraction = 0.25};  ///< of the whole batch

  RegionScoring scoring = RegionScoring::svm;
  bool regress_boxes = true;           ///< by the ridge regressors
  std::int64_t windows_at_once = 128;  ///< ours: bounds memory, changes no number
  PostprocessOptions postprocess = {
      .score_threshold = -1, .max_per_class = 300, .nms_iou = 0.3, .max_per_image = 100};
};

/// R-CNN: every proposal is cut out of the image, warped to the size that the network takes, and
/// goes through all of its layers by itself. Proposals come with the batch (Batch::proposals).
///
///   pooled = backbone(warp(region)),   hidden = head.hidden(pooled)
///   score  = SVMs(hidden),             box = ridge(pooled, region)
///
///   "backbone", "head" (classes alone), "classifiers" (RegionClassifiers)
///
/// Trained in three stages: this network as a classifier of windows (loss()), then
/// train_region_classifiers() for SVMs and boxes. `pooled` is the backbone's last map of the
/// window.
///
/// Girshick, Donahue, Darrell, Malik, "Rich feature hierarchies for accurate object detection and
/// semantic segmentation", CVPR 2014.
class Rcnn : public Detector {
 public:
  /// Runs the backbone once on a window, to see how many numbers it makes of one.
  /// Throws std::invalid_argument without a backbone, and for a num_classes or windows_at_once < 1.
  Rcnn(std::shared_ptr<Backbone> backbone, RcnnOptions options);

  /// The fine-tuning's cross entropy over windows sampled from all images of the batch together
  /// (sample_regions). The published code draws the 128 windows of a step from all training images.
  /// Throws std::invalid_argument for a batch that has not proposals for each of its images, or no
  /// window to learn from.
  DetectorLoss loss(const Batch& batch, Random& random) override;
  /// Throws std::invalid_argument for a batch that has not proposals for each of its images, and in
  /// training mode.
  std::vector<Detections> detect(const Batch& batch) override;

  /// Of regions [R, 4] of an image [1, H, W, 3], `windows_at_once` at a time; without a graph.
  /// Throws std::invalid_argument in training mode, where dropout would be in the features.
  ClassifierFeatures region_features(const Tensor& image, const Tensor& boxes);

  RegionHead& head() const { return head_.as<RegionHead>(); }
  RegionClassifiers& classifiers() const { return classifiers_.as<RegionClassifiers>(); }
  const RcnnOptions& options() const { return options_; }
  RcnnOptions& options() { return options_; }

 private:
  RcnnOptions options_;
  nn::Child backbone_, head_, classifiers_;
};

/// What classes and boxes a detector with RegionClassifiers reports for the regions of one image.
Detections classify_regions(const RegionHead& head, const RegionClassifiers& classifiers,
                            const ClassifierFeatures& features, const Tensor& regions,
                            RegionScoring scoring, bool regress_boxes, double width, double height,
                            const PostprocessOptions& options);

/// Throws std::invalid_argument, "model: the batch has ...", unless it has proposals for each image.
void check_proposals(const Batch& batch, const char* model);

/// classify_regions for the proposals of each image of a batch, by the model's own options: what
/// detect() of Rcnn and of SppNet does.
template <class Model>
std::vector<Detections> classify_proposals(Model& model, const Batch& batch) {
  const auto& options = model.options();
  std::vector<Detections> result;
  for (std::size_t n = 0; n < batch.infos.size(); ++n) {
    const Tensor& regions = batch.proposals[n];
    result.push_back(classify_regions(model.head(), model.classifiers(),
                                      model.region_features(image_of(batch, n), regions), regions,
                                      options.scoring, options.regress_boxes, batch.infos[n].width,
                                      batch.infos[n].height, options.postprocess));
  }
  return result;
}

}  // namespace boxgrad::detection
