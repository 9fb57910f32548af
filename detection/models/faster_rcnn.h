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
  FasterRcnn(std::shared_ptr<Backbone> backbone, FasterRcnnOptions options);

  DetectorLoss loss(const Batch& batch, Random& random) override;
  std::vector<Detections> detect(const Batch& batch) override;

  /// The RPN's proposals alone, [P, 4] for each image.
  std::vector<Tensor> propose(const Batch& batch);
  std::vector<Tensor> propose(const Batch& batch, std::int64_t before_nms, std::int64_t count);

  FasterRcnnPart part = FasterRcnnPart::both;
  FastRcnn& fast_rcnn() const { return fast_rcnn_.as<FastRcnn>(); }
  RegionProposalNetwork& rpn() const { return rpn_.as<RegionProposalNetwork>(); }

 private:
  nn::Child fast_rcnn_, rpn_;
};

}  // namespace boxgrad::detection
