#pragma once

#include <vector>

#include "detection/data/batch.h"
#include "detection/models/retinanet.h"

namespace boxgrad::detection {

/// The class losses of a batch's anchors, each side from the smallest to the largest.
struct LossMass {
  std::vector<Scalar> positives, negatives;
};

/// What each anchor's class loss would be under the focal loss with this gamma, without alpha: the
/// same network looked at through other losses, whichever it was trained with. The anchors are
/// matched as loss() does, and ignored ones left out. The network is in evaluation mode: gradients,
/// modes and running statistics are as before afterwards. Throws as FocalLossOptions do.
LossMass loss_mass(RetinaNet& model, const Batch& batch, double gamma);

/// The share of all loss that the smallest i / points of the losses have together, for i = 0 to
/// points: the curves of figure 4 of the paper, from 0 to 1. `losses` ascend; throws
/// std::invalid_argument for no losses, for points < 1, and when all of them are 0.
std::vector<double> cumulative_loss(const std::vector<Scalar>& losses, int points);

/// The share of the hardest `fraction` of the losses (0 to 1), for the same losses.
double hardest_share(const std::vector<Scalar>& losses, double fraction);

}  // namespace boxgrad::detection
