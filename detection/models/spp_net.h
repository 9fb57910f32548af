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

/// The published values.
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
/// Trained in R-CNN's three stages, but only the fully connected layers are fine-tuned: the authors
/// had no gradient through the pooling when every region of a batch comes from another image. The
/// backbone's parameters get none here either (spatial_pyramid_pool itself has one; FastRcnn learns
/// through its pooling).
///
/// He, Zhang, Ren, Sun, "Spatial pyramid pooling in deep convolutional networks for visual
/// recognition", ECCV 2014, section 4.
class SppNet : public Detector {
 public:
  /// Freezes the backbone.
  SppNet(std::shared_ptr<Backbone> backbone, SppNetOptions options);

  /// Cross entropy over sampled regions.
  DetectorLoss loss(const Batch& batch, Random& random) override;
  std::vector<Detections> detect(const Batch& batch) override;

  /// Of regions [R, 4] of an image [1, H, W, 3], each from the scale that suits it; without a
  /// graph.
  ClassifierFeatures region_features(const Tensor& image, const Tensor& boxes);

  RegionClassifiers& classifiers() const { return classifiers_.as<RegionClassifiers>(); }
  const SppNetOptions& options() const { return options_; }
  SppNetOptions& options() { return options_; }

 private:
  RegionHead& head() const { return head_.as<RegionHead>(); }
  Tensor pooled_features(const Tensor& image, const Tensor& boxes);

  SppNetOptions options_;
  nn::Child backbone_, head_, classifiers_;
};

}  // namespace boxgrad::detection
