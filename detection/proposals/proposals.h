#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "core/random.h"
#include "core/tensor.h"
#include "detection/target.h"

/// Boxes to look at without having seen the picture, and how good any list of boxes is.
namespace boxgrad::detection {

/// Boxes anywhere: log(width) and log(height) uniform between min_side and the picture's side, then
/// x1 and y1 uniform among the places inside.
///
/// width, height   of the picture, pixels
/// returns         [count, 4]
/// throws          std::invalid_argument unless 0 < min_side <= both sides and count >= 0
Tensor random_proposals(double width, double height, std::int64_t count, Random& random,
                        double min_side = 8);

struct GridProposalOptions {
  std::vector<double> sides_px = {16, 32, 64, 128};  ///< square root of a window's area
  std::vector<double> ratios = {0.5, 1, 2};          ///< height / width
  double step = 0.25;      ///< of the window's width and height, > 0: windows overlap by 1 - step
  std::uint64_t seed = 0;  ///< of the order
};

/// Sliding windows: for each side s and ratio r a window of width s / sqrt(r) and height s sqrt(r)
/// in even steps from border to border; one that is larger than the picture is left out. In
/// a random order, so that the first n of them are an even sample.
///
/// returns  [P, 4]
/// throws   std::invalid_argument for values that are not > 0 or more than 10 million windows
Tensor grid_proposals(double width, double height, const GridProposalOptions& options = {});

/// For each truth the largest IoU with any of the first `limit` proposals (all of them if limit <
/// 0); 0 without proposals.
///
/// proposals  [P, 4], best first
/// truths     [G, 4]
/// returns    [G]
std::vector<Scalar> best_overlaps(const Tensor& proposals, const Tensor& truths,
                                  std::int64_t limit = -1);

/// The share of the truths that some proposal overlaps with IoU >= iou; 1 when there is no truth.
double recall_at(const Tensor& proposals, const Tensor& truths, double iou);

/// What the first `limit` proposals of every picture are worth, over a set of pictures. Difficult
/// truths are left out.
struct ProposalScore {
  std::int64_t limit = 0;  ///< at most so many boxes a picture
  double mean_boxes = 0;   ///< as there were that many
  double recall = 0;       ///< share of all truths with IoU >= iou
  double mabo = 0;         ///< mean over classes of the mean best overlap of their truths
  std::int64_t truths = 0;
  /// `recall` by label, for labels with a truth. The sum hides a rare class that nothing proposes:
  /// look here first when a two-stage detector does not find something.
  std::map<std::int64_t, double> class_recall = {};
};

/// One score per limit: the curve of a method.
///
///   ABO(class) = mean over its truths of max over proposals of IoU,   MABO = mean over classes
///
/// proposals, targets   one entry per picture
/// throws               std::invalid_argument when their numbers differ or a limit is < 0
///
/// A class without a truth does not count. Uijlings et al. 2013, section 5.
std::vector<ProposalScore> proposal_scores(std::span<const Tensor> proposals,
                                           std::span<const Target> targets,
                                           std::span<const std::int64_t> limits, double iou = 0.5);

/// MABO of all proposals.
double mabo(std::span<const Tensor> proposals, std::span<const Target> targets);

}  // namespace boxgrad::detection
