#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace boxgrad::detection {

inline constexpr std::int64_t kUnmatched = -1;  ///< an anchor's truth: none, it is background
inline constexpr std::int64_t kIgnored = -2;    ///< an anchor's truth: none, and nothing is asked

/// Which truth every anchor is to predict.
struct Matches {
  std::vector<std::int64_t> truth;    ///< [A]: a truth's number, kUnmatched or kIgnored
  std::vector<Scalar> iou;            ///< [A]: largest IoU with any truth, 0 without truths
  std::int64_t unmatched_truths = 0;  ///< truths that no anchor is to predict: worth a look if many
};

struct MatcherOptions {
  Scalar positive = Scalar(0.7);  ///< IoU >= positive: the anchor predicts its best truth
  Scalar negative = Scalar(0.3);  ///< IoU < negative: background; between the two: ignored
  bool allow_low_quality = true;  ///< a truth's best anchors are positive however low the IoU
};

/// Two-threshold matching: every anchor looks at the truth it overlaps most (the lowest number
/// among equals).
///
///   iou >= positive              -> that truth
///   negative <= iou < positive   -> kIgnored
///   iou < negative               -> kUnmatched
///
/// With allow_low_quality, every anchor that attains a truth's largest IoU over all anchors becomes
/// positive too - for *its own* best truth, as in Faster R-CNN's code. That needs a largest IoU
/// > 0: without the guard a truth that overlaps no anchor would make every anchor positive, a bug
/// that four well-known implementations share.
///
/// Ren et al., "Faster R-CNN", section 3.1.2 (.7, .3, low quality); RetinaNet .5, .4.
/// Equals torchvision's Matcher apart from that guard.
class Matcher {
 public:
  /// Throws std::invalid_argument unless 0 <= negative <= positive.
  explicit Matcher(MatcherOptions options = {});
  /// iou is box_iou(truths, anchors), [G, A]; G = 0 makes every anchor background.
  Matches operator()(const Tensor& iou) const;

 private:
  MatcherOptions options_;
};

/// SSD's matching. First every truth gets an anchor of its own: of all pairs of a truth and an
/// anchor that are both still free, the one with the globally largest IoU (> 1e-6) is fixed, until
/// no such pair is left. Then every other anchor whose best truth has IoU >= threshold predicts
/// that truth. The rest is background; nothing is ignored. Ties: the lower anchor, then the lower
/// truth.
///
/// The original Caffe code does this. Ports (ssd.pytorch, torchvision's SSDMatcher) instead let
/// each truth claim its best anchor in turn, so that of two truths with the same best anchor the
/// first is lost unless another anchor reaches the threshold.
///
/// iou       box_iou(truths, anchors), [G, A]
/// throws    std::invalid_argument for another rank or a threshold that is not >= 0
/// Liu et al., "SSD", section 2.2, "Matching strategy".
Matches ssd_match(const Tensor& iou, Scalar threshold = Scalar(0.5));

/// Makes anchors that are to predict a flagged truth kIgnored: nothing is asked of them, neither the
/// object nor background. Which truths are flagged is up to the detector: difficult ones, or only
/// crowds. The match as such stands: a flagged truth keeps its anchors from predicting another one.
///
/// truth    Matches::truth, changed in place
/// flagged  [G], or empty, or shorter: truths beyond its end are not flagged
void ignore_flagged(std::vector<std::int64_t>& truth, const std::vector<bool>& flagged);

/// Throws std::invalid_argument, in the name of `op`, unless every truth has a label of 1 to
/// num_classes. Background's 0 would make an anchor that is to say no class, yet a box.
void check_truth_labels(const char* op, const std::vector<std::int64_t>& labels,
                        std::int64_t num_classes);

/// The class of every anchor for cross entropy: the matched truth's label, 0 for background, -1
/// (the losses' ignore_index) for an ignored anchor. [A]
std::vector<std::int64_t> anchor_labels(const Matches& matches,
                                        const std::vector<std::int64_t>& truth_labels);

/// The truth's box for each of the given anchors (indices into matches.truth), [P, 4]: what goes
/// into encode_boxes beside index_select(anchors, 0, positives).
/// Throws std::invalid_argument when one of them has no truth.
Tensor matched_boxes(const Matches& matches, const Tensor& truth_boxes,
                     const std::vector<std::int64_t>& anchor_indices);

}  // namespace boxgrad::detection
