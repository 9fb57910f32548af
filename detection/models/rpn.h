#pragma once

#include <cstdint>
#include <vector>

#include "detection/anchors.h"
#include "detection/data/batch.h"
#include "detection/matcher.h"
#include "detection/sampler.h"
#include "layers/module.h"

namespace boxgrad::detection {

struct RpnOptions {
  AnchorLevel anchors = {};     ///< of the one map; 3 sides times 3 ratios in the paper
  std::int64_t channels = 512;  ///< of the 3x3 convolution

  /// Anchors between the two are ignored. {.positive = .7, .negative = .7} has no such band: all
  /// that is not positive is background.
  MatcherOptions matcher = {.positive = Scalar(0.7), .negative = Scalar(0.3)};
  /// Anchors that cross the image's border take no part in training: their errors are large and
  /// nobody can mend them (section 3.3).
  bool ignore_crossing = true;
  BalancedOptions sampling = {.size = 256, .positive_fraction = 0.5};  ///< of each image
  double box_weight = 1;  ///< lambda; 1 over the sampled anchors is the paper's 10 over all cells

  /// How many anchors enter suppression. A large object has dozens of good anchors, a small one two
  /// or three: with too few, large objects take all the places and small ones are never proposed.
  /// py-faster-rcnn, for VGG16 at 600 px: 12000 and 2000, 6000 and 300, sides of 16 px.
  std::int64_t train_before_nms = 2000, train_proposals = 1000;
  std::int64_t test_before_nms = 1000, test_proposals = 300;
  double nms_iou = 0.7;
  Scalar min_side_px = 4;  ///< smaller proposals are dropped
};

/// Region proposal network: at every cell of a map, for each of A anchors, how likely it is that an
/// object is there and where its box would be.
///
///   "conv"        3x3, ReLU
///   "cls_logits"  1x1, A logits: object or not (the paper's code has 2 A and a softmax, which is
///                 the same function)
///   "bbox_pred"   1x1, 4 A offsets from the anchors, unit weights
///
///   L = (1 / S) sum over the S sampled anchors of  BCE(logit, p*) + lambda p* smooth_L1(t - t*)
///
/// smooth L1 with beta = 1/9, as in the published code. Below, A counts the anchors of the whole
/// map: those of a cell times H W. Ren, He, Girshick, Sun, "Faster R-CNN: towards real-time object
/// detection with region proposal networks", NIPS 2015, section 3.1.
class RegionProposalNetwork : public nn::Module {
 public:
  /// Throws std::invalid_argument for channels < 1, and for anchors or a matcher that their classes
  /// refuse.
  RegionProposalNetwork(std::int64_t in_channels, RpnOptions options);

  struct Output {
    Tensor logits;   ///< [N, A]
    Tensor offsets;  ///< [N, A, 4]
    Tensor anchors;  ///< [A, 4], all of the map
  };
  /// map [N, H, W, in_channels], one cell for each anchors.stride_px of the image. Throws
  /// std::invalid_argument for another shape.
  Output operator()(const Tensor& map);

  struct Loss {
    Tensor objectness, boxes;  ///< [1] each; boxes already times lambda
    std::int64_t positives = 0, negatives = 0;
  };
  /// Matches and samples anchors image by image, then the two sums over the anchors sampled in the
  /// whole batch. Without truths all anchors are background; 0 when none may learn.
  ///
  /// targets  N, boxes [G, 4] in pixels of the batch's images; anchors of a difficult truth are
  ///          asked nothing
  /// infos    N: an image ends at its own width and height, not at the batch's
  /// random   one number is drawn, from which each image has a stream of its own
  /// throws   std::invalid_argument for another number of targets or infos
  Loss loss(const Output& output, const std::vector<Target>& targets,
            const std::vector<BatchImage>& infos, Random& random);

  /// Proposals of each image, [P, 4], best first: the best before_nms anchors decoded, clipped to
  /// the image, small ones dropped, suppressed at nms_iou, the best of what is left. (torchvision's
  /// order; py-faster-rcnn drops small ones first.) Constants: gradients end here, as in the
  /// paper's approximate joint training (section 3.2). How many is train_before_nms and
  /// train_proposals in training, test_before_nms and test_proposals in eval().
  ///
  /// infos    N
  /// returns  N tensors [P, 4] in pixels of the batch's images; P may be 0
  /// throws   std::invalid_argument for another number of infos and for numbers < 1
  std::vector<Tensor> proposals(const Output& output, const std::vector<BatchImage>& infos) const;
  /// The same with numbers of one's own, for curves of recall.
  std::vector<Tensor> proposals(const Output& output, const std::vector<BatchImage>& infos,
                                std::int64_t before_nms, std::int64_t count) const;

  /// What the last loss() matched, image by image, and which anchors it looked at.
  struct Assignment {
    Matches matches;  ///< crossing anchors are ignored, too
    Selection selection;
    std::vector<std::int64_t> crossing;  ///< anchors across the border, left out; ascending
  };
  const std::vector<Assignment>& last_assignment() const { return assignment_; }
  const RpnOptions& options() const { return options_; }

 private:
  RpnOptions options_;
  AnchorGenerator generator_;
  nn::Child conv_, cls_logits_, bbox_pred_;
  std::vector<Assignment> assignment_;
};

}  // namespace boxgrad::detection
