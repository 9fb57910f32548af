#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/image.h"
#include "detection/data/batch.h"
#include "detection/models/faster_rcnn.h"

namespace boxgrad::detection {

/// What RegionProposalNetwork::loss() made of the anchors of one image, as counts.
struct AnchorStates {
  std::int64_t crossing = 0;    ///< across the border, left out
  std::int64_t ignored = 0;     ///< between the thresholds, or of a difficult truth
  std::int64_t objects = 0;     ///< positive, of which ...
  std::int64_t forced = 0;      ///< ... are below the threshold: a truth's best
  std::int64_t background = 0;  ///< the rest
  std::int64_t sampled_objects = 0, sampled_background = 0;  ///< that the losses looked at
  std::int64_t unmatched_truths = 0;                         ///< truths without an anchor

  std::string to_string() const;  ///< in a line
};

/// `positive` is the threshold of the matching, RpnOptions::matcher.positive.
AnchorStates anchor_states(const RegionProposalNetwork::Assignment& assignment, Scalar positive);

/// Each sample, enlarged, twice: with the anchors that learn to be an object in green and the
/// ignored ones in amber, then with the sampled background in red; truths dashed. Samples are
/// matched as loss() does; weights and gradients are not touched.
Image rpn_sheet(FasterRcnn& model, std::span<const Sample> samples,
                const BatchOptions& options = {});

}  // namespace boxgrad::detection
