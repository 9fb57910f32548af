#include "detection/proposals/with_proposals.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/ops.h"
#include "detection/boxes.h"

namespace boxgrad::detection {

WithProposals::WithProposals(const Dataset& dataset, std::vector<Tensor> proposals,
                             std::int64_t limit)
    : dataset_(dataset), proposals_(std::move(proposals)) {
  check(static_cast<std::int64_t>(proposals_.size()) == dataset.size(),
        "WithProposals: expected proposals for ", dataset.size(), " images, got ",
        proposals_.size());
  for (Tensor& boxes : proposals_) {
    check_boxes(boxes, "WithProposals", "proposals");
    if (limit >= 0 && boxes.size(0) > limit) boxes = slice(boxes, 0, 0, limit);
  }
}

Sample WithProposals::get(std::int64_t index) const {
  Sample sample = dataset_.get(index);
  sample.proposals = proposals_.at(static_cast<std::size_t>(index));
  return sample;
}

}  // namespace boxgrad::detection
