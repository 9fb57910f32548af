#pragma once

#include <cstdint>
#include <vector>

#include "detection/data/dataset.h"
#include "detection/data/preparation.h"
#include "detection/models/faster_rcnn.h"

namespace boxgrad::detection {

/// An RPN's proposals for every image of a dataset, in eval mode, best first and in pixels of the
/// images as the dataset holds them: what WithProposals and proposal_scores want of any method.
///
/// before_nms, count   as in RegionProposalNetwork::proposals
/// returns             [dataset.size()] tensors [P, 4], P <= count
/// throws              std::invalid_argument for numbers that are not >= 1
std::vector<Tensor> propose_all(FasterRcnn& model, const Dataset& dataset,
                                const Preparation& preparation, std::int64_t before_nms,
                                std::int64_t count, std::int64_t batch_size = 32);

}  // namespace boxgrad::detection
