#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "detection/anchors.h"
#include "detection/boxes.h"
#include "detection/detector.h"
#include "detection/matcher.h"
#include "detection/models/backbone.h"
#include "detection/postprocess.h"
#include "detection/regions.h"
#include "detection/sampler.h"

namespace boxgrad::detection {

/// How a dense detector keeps a hundred thousand background anchors from drowning a handful of
/// objects: the choices that the paper compares (table 1).
enum class DenseLoss {
  cross_entropy,  ///< it does not
  balanced,       ///< cross entropy with weight alpha for positives, 1 - alpha for negatives
  ohem,           ///< cross entropy of the hardest anchors, near copies suppressed
  mining,         ///< cross entropy of the positives and three times as many hardest negatives
  focal,          ///< (1 - p_t)^gamma times balanced cross entropy
};

struct RetinaNetOptions {
  std::int64_t num_classes = 0;          ///< without background
  std::vector<AnchorLevel> levels = {};  ///< one per map, with the same number of sizes
  std::int64_t tower_depth = 4;          ///< 3x3 convolutions before the last one of each subnet
  /// Chance of an object that the untrained network says; 0 leaves the biases at 0, that is 1/2.
  double prior = 0.01;
  /// One softmax over background and classes instead of a sigmoid for each class.
  bool softmax = false;

  MatcherOptions matcher = {.positive = Scalar(0.5), .negative = Scalar(0.4)};
  DenseLoss class_loss = DenseLoss::focal;
  double gamma = 2, alpha = 0.25;
  OhemOptions ohem = {.size = 128, .nms_iou = 0.5};  ///< of each image
  MiningOptions mining = {};
  Scalar box_beta = Scalar(1. / 9);  ///< of smooth L1
  double box_weight = 1;
  BoxWeights box_weights = kUnitBoxWeights;

  PostprocessOptions postprocess = {
      .score_threshold = 0.05, .max_per_class = 1000, .nms_iou = 0.5, .max_per_image = 100};
};

/// RetinaNet: a feature pyramid, and two small convolutional networks that slide over all of its
/// maps with the same weights. For each anchor one says the classes, the other the box.
///
///   "backbone"               maps with the same number of channels, e.g. an Fpn
///   "class_tower1", ...      3x3, ReLU;  "class_logits"  3x3, A K (with softmax: A (1 + K))
///   "box_tower1", ...        3x3, ReLU;  "box_offsets"   3x3, 4 A, whatever the class
///
///   L = (1 / max(1, N)) (sum over anchors that are not ignored of the class loss
///                        + box_weight sum over positives of smooth_L1),   N = positives of the
///                        batch
///
/// IoU >= .5 makes an anchor positive, < .4 negative, between the two it is ignored. A truth's best
/// anchor is positive however low the IoU (matcher.allow_low_quality), as in torchvision; the
/// paper does not say.
///
/// detect() differs from the paper in one more thing: before suppression the paper takes the best
/// 1,000 anchors of each level, here it is the best 1,000 of each class over all levels
/// (postprocess.max_per_class), as in the other detectors. Score floor .05 and suppression at .5 are
/// the paper's, the best 100 of an image are those of the authors' code.
///
/// Lin, Goyal, Girshick, He, Dollár, "Focal loss for dense object detection", ICCV 2017, section 4.
class RetinaNet : public Detector {
 public:
  RetinaNet(std::shared_ptr<Backbone> backbone, RetinaNetOptions options);

  struct Heads {
    Tensor logits;   ///< [N, A, K], or [N, A, 1 + K] with softmax
    Tensor offsets;  ///< [N, A, 4]
    Tensor anchors;  ///< [A, 4]
  };
  Heads heads(const Tensor& images);
  /// Probabilities of background (0 with sigmoids) and classes, [N, A, 1 + K].
  Tensor scores(const Tensor& logits) const;

  DetectorLoss loss(const Batch& batch, Random& random) override;
  std::vector<Detections> detect(const Batch& batch) override;

  const RetinaNetOptions& options() const { return options_; }
  /// What the last loss() matched, image by image, and which anchors its class loss looked at.
  struct Assignment {
    Matches matches;
    Selection selection;
  };
  const std::vector<Assignment>& last_assignment() const { return assignment_; }
  /// The class loss of every anchor of the last batch before division, [N A]; 0 for those that did
  /// not count: where the loss comes from.
  const std::vector<Scalar>& last_losses() const { return losses_; }

 private:
  std::int64_t columns() const { return options_.num_classes + (options_.softmax ? 1 : 0); }
  /// The class loss of each row, by options().class_loss, [R].
  Tensor class_losses(const Tensor& logits, const std::vector<std::int64_t>& labels) const;
  /// The anchors of one image that its class loss looks at.
  Selection select(const Matches& matches, const Tensor& anchors,
                   std::span<const std::int64_t> labels, std::span<const Scalar> losses) const;
  // The steps of loss(), in their order. Rows are those of all images' anchors, [N A].
  std::vector<std::int64_t> match(const Batch& batch, const Tensor& anchors);
  void select_anchors(const Tensor& logits, const Tensor& anchors,
                      const std::vector<std::int64_t>& labels);
  Tensor class_loss_sum(const Tensor& logits, const std::vector<std::int64_t>& labels);
  Tensor box_loss_sum(const Tensor& offsets, const Tensor& anchors, const Batch& batch,
                      std::int64_t& positives) const;

  RetinaNetOptions options_;
  AnchorGenerator generator_;
  nn::Child backbone_;
  std::vector<nn::Child> class_tower_, box_tower_;
  nn::Child class_logits_, box_offsets_;
  std::vector<Assignment> assignment_;
  std::vector<Scalar> losses_;
};

}  // namespace boxgrad::detection
