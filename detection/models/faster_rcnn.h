#pragma once

#include <memory>
#include <vector>

#include "detection/models/fast_rcnn.h"
#include "detection/models/rpn.h"

namespace boxgrad::detection {

/// Which parts a step of training teaches.
enum class FasterRcnnPart {
  both,       ///< approximate joint training: the losses are added (section 3.2)
  proposals,  ///< the RPN: steps 1 and 3 of the 4-step scheme
  detector,   ///< Fast R-CNN on the RPN's proposals: steps 2 and 4
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
class FasterRcnn : public Detector {
 public:
  FasterRcnn(std::shared_ptr<Backbone> backbone, FasterRcnnOptions options);

  DetectorLoss loss(const Batch& batch, Random& random) override;
  std::vector<Detections> detect(const Batch& batch) override;

  /// The RPN's proposals alone, [P, 4] for each image.
  std::vector<Tensor> propose(const Batch& batch);

  FasterRcnnPart part = FasterRcnnPart::both;
  FastRcnn& fast_rcnn() const { return fast_rcnn_.as<FastRcnn>(); }
  RegionProposalNetwork& rpn() const { return rpn_.as<RegionProposalNetwork>(); }

 private:
  nn::Child fast_rcnn_, rpn_;
};

}  // namespace boxgrad::detection
