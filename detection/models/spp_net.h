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
#include "detection/scale_pyramid.h"

namespace boxgrad::detection {

/// The paper's values where it has them (sections of "Spatial pyramid pooling ...", ECCV 2014):
///
///   scale          1/16: VGG16's conv5_3, with which Fast R-CNN compares; SPPnet has ZF-5
///   levels         1, 2, 3 and 6: section 4.1
///   pyramid        the five sizes and 224 x 224: section 4.1. The bound of 2000 px is from Fast
///                  R-CNN, section 5.2
///   head           fc6 and fc7 of 4096, dropout of .5: those of the network; the last layer's
///                  deviation of .01 is in the model files
///   regions        IoU of [.5, 1] and [.1, .5): section 4.1
///   sampling       a quarter objects: section 4.1; 128 of a step: code
///   postprocess    suppression at .3: section 4.1. How many are reported and from which score on
///                  is ours, as for R-CNN
struct SppNetOptions {
  std::int64_t num_classes = 0;                     ///< without background
  double scale = 1. / 16;                           ///< cells of the backbone's last map per pixel
  std::vector<std::int64_t> levels = {6, 3, 2, 1};  ///< of the pyramid of bins
  ScalePyramid pyramid = {.sides_px = {480, 576, 688, 864, 1200}, .longest_px = 2000};
  RegionHeadOptions head = {.boxes = false};

  RegionOptions regions = {.negative_low = Scalar(0.1)};
  BalancedOptions sampling = {.size = 128, .positive_fraction = 0.25};  ///< of the whole batch

  RegionScoring scoring = RegionScoring::svm;
  bool regress_boxes = true;
  PostprocessOptions postprocess = {
      .score_threshold = -1, .max_per_class = 300, .nms_iou = 0.3, .max_per_image = 100};
};

/// SPPnet: the convolutions run once over the image (once for each scale), and every proposal is
/// pooled from their map to the same number of bins, whatever its size.
///
///   pooled = spatial_pyramid_pool(backbone(image), region),   hidden = head.hidden(pooled)
///   score = SVMs(hidden), box = ridge(pooled, region)
///
///   "backbone", "head" (classes alone), "classifiers" (RegionClassifiers)
///
/// Trained in R-CNN's three stages, but only the fully connected layers are fine-tuned: with
/// regions of a hundred images in a batch, going back through the pooling would need the
/// convolutions of a hundred whole images in every step. So the backbone's parameters get no
/// gradient, and maps can be computed once and kept: train_spp_net
/// (detection/training/spp_net_training.h). (spatial_pyramid_pool itself has a gradient, and
/// FastRcnn learns through its pooling.)
///
/// He, Zhang, Ren, Sun, "Spatial pyramid pooling in deep convolutional networks for visual
/// recognition", ECCV 2014, section 4.
class SppNet : public Detector {
 public:
  /// Freezes the backbone.
  /// Throws std::invalid_argument without a backbone, and for a num_classes < 1.
  SppNet(std::shared_ptr<Backbone> backbone, SppNetOptions options);

  /// Cross entropy over regions sampled from all images of the batch together (sample_regions); 0
  /// without any. (train_spp_net goes from stored maps.)
  /// Throws std::invalid_argument for a batch that has not proposals for each of its images.
  DetectorLoss loss(const Batch& batch, Random& random) override;
  /// Throws std::invalid_argument for such a batch, too, and in training mode.
  std::vector<Detections> detect(const Batch& batch) override;

  /// The convolutions' map of an image [1, H, W, 3] in the size it has, without a graph.
  Tensor map(const Tensor& image);
  /// Regions [R, 4], in pixels of that image, pooled from it: [R, bins * C].
  Tensor pool(const Tensor& map, const Tensor& boxes) const;
  /// Of regions [R, 4] of an image [1, H, W, 3], each from the scale that suits it; without a
  /// graph.
  /// Throws std::invalid_argument in training mode, where dropout would be in the features.
  ClassifierFeatures region_features(const Tensor& image, const Tensor& boxes);
  /// Cross entropy of pooled regions [R, bins * C] of any images, labels [R]; 0 if R = 0, whatever
  /// `pooled` is then.
  DetectorLoss loss_of_pooled(const Tensor& pooled, const std::vector<std::int64_t>& labels);

  RegionHead& head() const { return head_.as<RegionHead>(); }
  RegionClassifiers& classifiers() const { return classifiers_.as<RegionClassifiers>(); }
  const SppNetOptions& options() const { return options_; }
  SppNetOptions& options() { return options_; }

 private:
  Tensor pooled_features(const Tensor& image, const Tensor& boxes);

  SppNetOptions options_;
  nn::Child backbone_, head_, classifiers_;
};

}  // namespace boxgrad::detection
