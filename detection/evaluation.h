#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "detection/target.h"

/// Average precision as PASCAL VOC defines it (docs/evaluation.md).
namespace boxgrad::detection {

enum class ApMethod {
  area,          ///< VOC 2010 and later: area under the monotone precision-recall curve
  eleven_point,  ///< VOC 2007: mean of the best precision at recall >= 0, 0.1, ..., 1
};

struct EvaluationOptions {
  double iou_threshold = 0.5;  ///< a hit has IoU > this (strictly, as in the devkit)
  ApMethod method = ApMethod::area;
  /// The eleven recalls as numpy.arange(0, 1.1, 0.1) gives them: .30000000000000004 and the like,
  /// so that a recall of exactly .3, .6 or .7 misses its own threshold and up to 1/11 is lost. For
  /// comparing with published Python figures only; otherwise the thresholds are j / 10.
  bool strict_numpy_compat = false;
  /// Widths and heights are x2 - x1 + 1, for boxes that are still raw inclusive pixel numbers.
  bool inclusive = false;
};

enum class Outcome {
  hit,        ///< true positive
  duplicate,  ///< false positive: its truth was already found by a better score
  miss,       ///< false positive: no truth of the class overlaps it enough
  ignored,    ///< its truth is difficult: neither right nor wrong
};
const char* to_string(Outcome outcome);

/// What became of one detection.
struct DetectionOutcome {
  std::int64_t image = 0;      ///< index into the evaluated images
  std::int64_t detection = 0;  ///< index into that image's Detections
  Scalar score = 0;
  Outcome outcome = Outcome::miss;
  std::int64_t truth = -1;  ///< the truth of its class that it overlaps most, -1 if there is none
  double iou = 0;           ///< with that truth
};

/// A truth that nothing found, difficult ones left out.
struct MissedTruth {
  std::int64_t image = 0, truth = 0;
};

struct ClassResult {
  std::int64_t label = 0;       ///< 0 stands for all classes together
  std::int64_t num_truths = 0;  ///< without difficult ones: what recall is divided by
  std::int64_t num_difficult = 0;
  std::optional<double> ap;                ///< empty when num_truths is 0: "n/a (no ground truth)"
  std::vector<DetectionOutcome> outcomes;  ///< best score first
  /// After each outcome: hits / num_truths and hits / (hits + false positives); an ignored one
  /// repeats the point before it. Empty when num_truths is 0.
  std::vector<double> recall, precision;
  std::vector<MissedTruth> missed;

  /// "0.731", or "n/a (no ground truth)".
  std::string ap_text() const;
};

struct EvaluationResult {
  std::vector<ClassResult> classes;  ///< label 1, 2, ..., num_classes
  ClassResult class_agnostic;        ///< every label taken for the same: how good the boxes are
  std::optional<double> mean_ap;     ///< over the classes with truths; empty when there are none
  std::int64_t nan_scores = 0;       ///< scores that were NaN; they rank last
};

/// Per class: detections of all images in the order of their scores (equal ones: lower image, then
/// lower detection). Each looks at the truth of its class and image that it overlaps most,
/// difficult ones included:
///
///   IoU <= threshold             miss
///   that truth is difficult      ignored
///   that truth is still free     hit, and the truth is taken
///   that truth is taken          duplicate, even if another truth would also be above the
///   threshold
///
/// Boxes may be in any unit as long as both sides use the same.
/// Throws std::invalid_argument when the numbers of images differ, a target's or detection's fields
/// do not have the same length, or a label is not in 1..num_classes, naming the image.
///
/// Everingham et al., "The PASCAL VOC Challenge", IJCV 2010, sections 4.2 and 4.4.
EvaluationResult evaluate_detections(const std::vector<Detections>& detections,
                                     const std::vector<Target>& targets, std::int64_t num_classes,
                                     const EvaluationOptions& options = {});

/// IoU of two boxes in double, 0 when they share no area; `inclusive` as in EvaluationOptions. What
/// decides about hits, to the last bit.
double evaluation_iou(const Scalar* a, const Scalar* b, bool inclusive = false);

/// What the evaluations ask of their arguments. Throws std::invalid_argument, named after `op`,
/// when the numbers of images differ, the fields of a target or of detections differ in length, or
/// a label is not in 1..num_classes.
void check_answers(const char* op, const std::vector<Detections>& detections,
                   const std::vector<Target>& targets, std::int64_t num_classes);

/// Average precision of a curve, recall ascending; 0 for an empty one.
///
///   area          sum over recall steps of (r_k - r_{k-1}) max_{j >= k} p_j
///   eleven_point  1/11 sum over t = 0, 1/10, ..., 1 of max_{r_j >= t} p_j
double average_precision(const std::vector<double>& recall, const std::vector<double>& precision,
                         ApMethod method, bool strict_numpy_compat = false);

}  // namespace boxgrad::detection
