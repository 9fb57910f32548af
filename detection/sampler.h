#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/random.h"
#include "core/scalar.h"

/// Almost every anchor is background. A detector trained on all of them learns to say nothing:
/// these functions choose the anchors of one image that its losses are computed on.
///
/// `truth` is Matches::truth (detection/matcher.h): >= 0 positive, kUnmatched negative, kIgnored
/// never chosen. `losses` is the classification loss of every anchor, plain numbers.
namespace boxgrad::detection {

/// Numbers of the chosen anchors.
struct Selection {
  std::vector<std::int64_t> positives;    ///< ascending
  std::vector<std::int64_t> negatives;    ///< mined: hardest first; drawn at random: ascending
  std::vector<std::int64_t> all() const;  ///< the positives, then the negatives
};

struct MiningOptions {
  double negatives_per_positive = 3;
  /// Negatives wanted even when there are (next to) no positives. 0 is the published behaviour:
  /// an image without an object teaches nothing.
  std::int64_t min_negatives = 0;
};

/// SSD's hard negative mining for one image: all positives, and of the negatives the
/// max(min_negatives, negatives_per_positive * positives) with the largest loss (as many as there
/// are; equal losses: the lower number first). A positive is never taken for a negative, which
/// torchvision does when negatives run out.
/// Throws std::invalid_argument when losses and truth differ in length, or an option is < 0.
/// Liu et al., "SSD", section 2.2, "Hard negative mining".
Selection mine_hard_negatives(std::span<const std::int64_t> truth, std::span<const Scalar> losses,
                              const MiningOptions& options = {});

struct MinibatchOptions {
  std::int64_t size = 64;             ///< B
  double negatives_per_positive = 3;  ///< 64 = 16 positives + 48 negatives
  /// Too few positives: false keeps the ratio (5 positives, 15 negatives: a batch of 20), true
  /// fills the batch up with negatives (5 and 59).
  bool fill = false;
  std::int64_t min_negatives = 0;  ///< as above, at most `size`
};

/// The lecture notes' minibatch of anchors: at most size / (1 + negatives_per_positive) positives,
/// drawn at random when there are more, and the negatives with the largest classification loss.
/// To be used with a Matcher of positive .6 and negative .4: anchors between them take no part.
/// (The notes leave open what happens with too few positives: `fill` says it.)
Selection sample_minibatch(std::span<const std::int64_t> truth, std::span<const Scalar> losses,
                           Random& random, const MinibatchOptions& options = {});

struct BalancedOptions {
  std::int64_t size = 256;         ///< RPN: 256 anchors; Fast R-CNN: 64 regions of each image
  double positive_fraction = 0.5;  ///< RPN: 1/2; Fast R-CNN: 1/4
};

/// Random sampling without replacement as in Fast R-CNN (section 2.3) and Faster R-CNN (section
/// 3.1.3): at most size * positive_fraction positives, negatives fill up the rest. When those run
/// out as well the sample is smaller than `size`. The bound is rounded down: it is 0 for a size
/// below 1 / positive_fraction, which will not teach an object.
///
/// truth   [A], as above: regions or anchors of an image, or of several one after the other
/// throws  std::invalid_argument for a size < 1 and a positive_fraction that is not in [0, 1]
///
/// Equals torchvision's BalancedPositiveNegativeSampler but for the random numbers.
Selection sample_balanced(std::span<const std::int64_t> truth, Random& random,
                          const BalancedOptions& options = {});

/// What losses are divided by (they differ between papers: docs/boxes.md has the table).
/// Both are at least 1, so that a batch without any object gives 0, not 0/0.
struct Normalizers {
  Scalar total = 1;      ///< N_total: positives and negatives; the notes' classification loss
  Scalar positives = 1;  ///< N_p: positives alone; the notes' box loss, and SSD's N for both parts
};

/// Counted over the selections of a whole batch.
Normalizers count_normalizers(std::span<const Selection> selections);

}  // namespace boxgrad::detection
