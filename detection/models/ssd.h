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
#include "detection/sampler.h"
#include "layers/module.h"

namespace boxgrad::detection {

/// Which anchors the losses look at.
enum class AnchorSampling {
  ssd,    ///< globally greedy matching, then IoU >= 0.5; 3 hardest negatives per positive
  notes,  ///< positive > 0.6, negative < 0.4; a minibatch of 64 = 16 + 48 hardest
  all,    ///< SSD's matching, every anchor counts; still divided by the number of positives
  mean,   ///< the same, and the class loss is the mean over all anchors: collapses to background
};

/// How a box is compared with its truth.
enum class BoxLoss {
  smooth_l1,   ///< on the four encoded offsets (SSD, Fast R-CNN)
  decoded_l2,  ///< squared distance of the decoded corners, over the image size (the notes)
};

struct SsdOptions {
  std::int64_t num_classes = 0;          ///< without background
  std::vector<AnchorLevel> levels = {};  ///< one per map of the backbone
  std::int64_t head_kernel = 3;          ///< 1 or 3
  bool separable_head = false;           ///< 3x3 depthwise before a 1x1 head
  /// Chance of an object that the first, untrained head predicts: the background's bias is set so
  /// that a network full of background starts without a huge loss. 0 leaves the biases as drawn.
  double prior = 0.01;

  AnchorSampling sampling = AnchorSampling::ssd;
  Scalar match_iou = Scalar(0.5);
  /// VOC's difficult objects teach like the others, as in the authors' ssd_pascal.py
  /// (use_difficult_gt). false: an anchor that is matched to one takes no part, as in RetinaNet and
  /// the two-stage detectors here. COCO's crowds never teach: their boxes are of no object.
  bool learn_difficult = true;
  MiningOptions mining = {};
  MinibatchOptions minibatch = {};
  BoxLoss box_loss = BoxLoss::smooth_l1;
  double box_weight = 1;  ///< alpha: total = class + alpha * box
  BoxWeights box_weights = kBoxWeights;

  PostprocessOptions postprocess = {};  ///< of detect()
};

/// What one image's anchors were matched to and which of them learned: for pictures and tests.
struct AnchorAssignment {
  Matches matches;
  Selection selection;
};

/// SSD: convolutional heads on several feature maps say, for every anchor, its class (background
/// first) and its box as offsets.
///
///   L = (1 / N) (L_class + alpha L_box),   N = positives of the whole batch, at least 1
///
/// L_class  cross entropy of the chosen positives and negatives
/// L_box    smooth L1 of the positives' offsets
///
/// AnchorSampling::notes and ::mean divide L_class by N_total (positives and negatives) and L_box
/// by N_p.
///
/// Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, section 2.
class Ssd : public Detector {
 public:
  Ssd(std::shared_ptr<Backbone> backbone, SsdOptions options);

  /// Raw answers for every anchor: class logits [N, A, 1 + num_classes], offsets [N, A, 4], and
  /// the anchors [A, 4] that they are about.
  struct Heads {
    Tensor logits, offsets, anchors;
  };
  Heads heads(const Tensor& images);

  DetectorLoss loss(const Batch& batch, Random& random) override;
  std::vector<Detections> detect(const Batch& batch) override;

  /// What the last loss() matched and chose, image by image.
  const std::vector<AnchorAssignment>& last_assignment() const { return assignment_; }
  /// The sizes of the last images' maps, one for each level.
  const std::vector<MapSize>& last_maps() const { return maps_; }
  /// The anchors of the last images, [A, 4] in their pixels.
  const Tensor& last_anchors() const { return anchors_; }
  const SsdOptions& options() const { return options_; }
  /// Which negatives loss() looks at from now on: a setting of the training, not of the network.
  void set_mining(const MiningOptions& mining) { options_.mining = mining; }

 private:
  AnchorAssignment assign(const Target& target, std::span<const Scalar> losses,
                          Random& random) const;

  SsdOptions options_;
  AnchorGenerator generator_;
  nn::Child backbone_;  ///< a place, so that the module there may be replaced
  std::vector<nn::Child> class_heads_, box_heads_;
  Tensor anchors_;  ///< of the map sizes seen last
  std::vector<MapSize> maps_;
  std::vector<AnchorAssignment> assignment_;
};

}  // namespace boxgrad::detection
