#pragma once

#include <span>
#include <vector>

#include "core/image.h"
#include "detection/data/batch.h"
#include "detection/models/ssd.h"

/// A look at a network, in evaluation mode and without a graph: gradients, modes and running
/// statistics are as before afterwards.
namespace boxgrad::detection {

/// What a detector believes about its anchors. With a thousand anchors of background for one of an
/// object, "background everywhere" is right 99 % of the time: these two numbers tell whether it has
/// settled there, long before an AP does.
struct AnchorBeliefs {
  double background_share = 0;     ///< of all anchors: those whose likeliest class is background
  double object_on_positives = 0;  ///< mean of 1 - p(background) over the anchors of an object
};

/// Over the images of a batch, whose anchors are matched as loss() does.
AnchorBeliefs anchor_beliefs(Ssd& model, const Batch& batch);

/// How one truth was found.
struct FoundBy {
  Scalar side_px = 0;  ///< sqrt of the truth's area, as the network sees it
  int level = -1;  ///< of the map whose anchor has the best score of those that are right; -1: none
  Scalar score = 0;
};

/// For every truth of a batch that is not difficult: of all anchors whose decoded box overlaps it
/// with IoU > 0.5, which one says its class loudest, and on which map it lies. Suppression is left
/// out.
std::vector<FoundBy> found_by(Ssd& model, const Batch& batch);

/// Each sample, enlarged, with the anchors that loss() chooses: positives green, the hardest
/// negatives red, truths dashed.
Image anchors_sheet(Ssd& model, std::span<const Sample> samples, const BatchOptions& options,
                    const std::vector<std::string>& class_names);

}  // namespace boxgrad::detection
