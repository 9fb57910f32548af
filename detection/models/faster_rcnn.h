#pragma once

#include <memory>
#include <vector>

#include "detection/models/fast_rcnn.h"
#include "detection/models/rpn.h"

namespace boxgrad::detection {

/// Which parts a step of training teaches.
enum class FasterRcnnPart {
  both,       ///< approximate joint training: the losses are added (section 3.2)
  proposals,  ///< the RPN alone
  detector,   ///< Fast R-CNN on the proposals that the RPN makes now
};

struct FasterRcnnOptions {
  RpnOptions rpn = {};
  /// Of Fast R-CNN. Its negatives have no lower bound here, as in the authors' code: proposals that
  /// overlap nothing are rare among an RPN's.
  FastRcnnOptions fast_rcnn = {.regions = {.negative_low = 0}};
};

/// Faster R-CNN: Fast R-CNN whose proposals a network makes on the same map.
///
///   "fast_rcnn"  backbone, head
///   "rpn"        RegionProposalNetwork
///
/// Ren, He, Girshick, Sun, "Faster R-CNN", NIPS 2015. Proposals are constants for the detector.
/// The 4-step scheme is in detection/training/alternating.h.
class FasterRcnn : public Detector {
 public:
  /// Throws std::invalid_argument for no backbone, for a pyramid (both parts share one map), and for
  /// options that RegionProposalNetwork or FastRcnn refuse.
  FasterRcnn(std::shared_ptr<Backbone> backbone, FasterRcnnOptions options);

  /// The sum of what `part` teaches: "objectness" and "rpn box", "class" and "box". Positives and
  /// negatives are counted of regions, or of anchors when only those learn. Proposals of the batch
  /// itself are not looked at. Throws as RegionProposalNetwork::loss() and
  /// FastRcnn::loss_of_regions().
  DetectorLoss loss(const Batch& batch, Random& random) override;
  std::vector<Detections> detect(const Batch& batch) override;

  /// The RPN's proposals alone, [P, 4] in pixels of the batch's images for each; how many depends on
  /// train() and eval() (RegionProposalNetwork::proposals()), or is given.
  std::vector<Tensor> propose(const Batch& batch);
  std::vector<Tensor> propose(const Batch& batch, std::int64_t before_nms, std::int64_t count);

  FasterRcnnPart part = FasterRcnnPart::both;
  FastRcnn& fast_rcnn() const { return fast_rcnn_.as<FastRcnn>(); }
  RegionProposalNetwork& rpn() const { return rpn_.as<RegionProposalNetwork>(); }

 private:
  /// The map that both parts look at, computed in the scope of "fast_rcnn".
  Tensor features(const Tensor& images) const;

  nn::Child fast_rcnn_, rpn_;
};

}  // namespace boxgrad::detection
