#include "detection/models/rpn_inspect.h"

#include <algorithm>
#include <vector>

#include "core/autograd.h"
#include "core/check.h"
#include "core/draw.h"
#include "detection/draw.h"

namespace boxgrad::detection {

std::string AnchorStates::to_string() const {
  return concat(crossing, " cross the border, ", ignored, " ignored, ", objects, " objects (",
                forced, " forced), ", background, " background; ", sampled_objects, " + ",
                sampled_background, " learn");
}

AnchorStates anchor_states(const RegionProposalNetwork::Assignment& assignment, Scalar positive) {
  const auto& [matches, selection, crossing] = assignment;
  AnchorStates states;
  states.crossing = std::ssize(crossing);
  for (std::size_t a = 0; a < matches.truth.size(); ++a) {
    states.ignored += matches.truth[a] == kIgnored;
    states.background += matches.truth[a] == kUnmatched;
    states.objects += matches.truth[a] >= 0;
    states.forced += matches.truth[a] >= 0 && matches.iou[a] < positive;
  }
  states.ignored -= states.crossing;
  states.sampled_objects = std::ssize(selection.positives);
  states.sampled_background = std::ssize(selection.negatives);
  states.unmatched_truths = matches.unmatched_truths;
  return states;
}

Image rpn_sheet(FasterRcnn& model, std::span<const Sample> samples, const BatchOptions& options) {
  const NoGradGuard guard;
  const Batch batch = collate(samples, options);
  const auto output = model.rpn()(model.fast_rcnn().features(batch.images));
  Random random;
  model.rpn().loss(output, batch.targets, batch.infos, random);
  std::vector<Image> panels;
  std::vector<std::string> captions;
  for (std::size_t n = 0; n < samples.size(); ++n) {
    const auto& [matches, selection, crossing] = model.rpn().last_assignment()[n];
    Matches near = matches;  // draw_anchors would show those across the border as ignored, too
    for (const std::int64_t a : crossing) near.truth[static_cast<std::size_t>(a)] = kUnmatched;
    Matches far = near;
    std::ranges::replace(far.truth, kIgnored, kUnmatched);
    for (const bool objects : {true, false}) {
      auto [canvas, factor] = enlarged(samples[n].image);
      const DrawOptions fine{.scale = static_cast<double>(factor), .thickness = 1, .text_scale = 0};
      draw_anchors(
          canvas, output.anchors, objects ? near : far,
          objects ? Selection{selection.positives, {}} : Selection{{}, selection.negatives}, fine);
      draw_truths(canvas, samples[n].target, {}, fine);
      panels.push_back(std::move(canvas));
      captions.push_back(objects ? "objects green, ignored amber" : "sampled background");
    }
  }
  return image_grid(panels, captions, {.columns = 4});
}

}  // namespace boxgrad::detection
