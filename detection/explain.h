#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "detection/evaluation.h"
#include "detection/target.h"

/// What a detector's errors are made of, and what each kind costs (docs/evaluation.md).
namespace boxgrad::detection {

/// Why a detection is a false positive. With u the IoU above which a detection is a hit (.5) and l
/// the one below which it has nothing to do with a truth (.1), the first that applies:
///
///   duplicate     its truth was found already, by a better score
///   localisation  overlaps a truth of its class by l <= IoU <= u
///   confusion     overlaps a truth of another class by IoU > u
///   background    overlaps no truth, whatever the class, by l or more
///   both          the rest: overlaps a truth of another class by l <= IoU <= u
///
/// Bolya et al., "TIDE: A general toolbox for identifying object detection errors", ECCV 2020,
/// section 2.2, in the order of the published code; there a duplicate on an object of another class
/// is a confusion. Hoiem et al., "Diagnosing error in object detectors", ECCV 2012, section 3,
/// count duplicates as localisation and tell similar classes from others by groups that they made
/// for VOC's twenty; a user's classes have no such groups, and the list of what is taken for
/// what (explained_lines() in training/explain_report.h) takes their place.
enum class ErrorCause { localisation, confusion, both, duplicate, background };
inline constexpr std::array<ErrorCause, 5> kErrorCauses{
    ErrorCause::localisation, ErrorCause::confusion, ErrorCause::both, ErrorCause::duplicate,
    ErrorCause::background};
const char* to_string(ErrorCause cause);
/// The same in words: "right class, box not good enough".
const char* description(ErrorCause cause);

struct FalsePositive {
  std::int64_t image = 0, detection = 0;  ///< indices, as in DetectionOutcome
  std::int64_t label = 0;                 ///< what it claims to be
  Scalar score = 0;
  ErrorCause cause = ErrorCause::background;
  std::int64_t truth = -1;  ///< of its image, that it should have found; -1: none is near
  double iou = 0;           ///< with that truth
};

/// A truth that no detection hit.
struct Miss {
  std::int64_t image = 0, truth = 0, label = 0;
  /// Number, in Explanation::false_positives, of the best detection that meant it, with a box that
  /// is not good enough or as another class; -1: nothing is near.
  std::int64_t nearest = -1;
};

/// One row of the table: a kind of error and what it costs.
struct CauseFigures {
  std::int64_t count = 0;  ///< whatever the score
  /// Among the best detections of each class, as many of them as it has truths (Hoiem's choice): a
  /// detector that keeps everything has thousands of false positives that cost nothing.
  std::int64_t among_best = 0;
  /// Mean AP if this kind alone were mended, empty when AP is.
  std::optional<double> mended_ap = {};
};

struct ExplainOptions {
  EvaluationOptions evaluation = {};
  double background_iou = 0.1;  ///< l above
};

struct Explanation {
  EvaluationResult evaluation = {};
  std::vector<FalsePositive> false_positives = {};  ///< best score first, NaN last
  std::vector<Miss> misses = {};                    ///< by image, then truth
  std::array<CauseFigures, 5> causes = {};          ///< in the order of kErrorCauses
  std::int64_t best_total = 0;                      ///< detections that "the best" are
  std::int64_t unseen = 0;                          ///< misses with nothing near them
  std::optional<double> ap_without_unseen = {};     ///< were those not asked for
  std::optional<double> ap_without_misses = {};     ///< were no miss asked for
  std::optional<double> ap_without_false_positives = {};

  const CauseFigures& of(ErrorCause cause) const { return causes[static_cast<std::size_t>(cause)]; }
};

/// Evaluates, finds the cause of each false positive, and evaluates again with one kind mended:
///
///   localisation  the box becomes the truth's
///   confusion     the label becomes the truth's
///   both, duplicate, background   the detection is taken away
///
/// A truth is given to the best of those that are mended onto it, and the others are taken away, as
/// is one whose truth was found already or is difficult. The gains do not add up: what mending one
/// kind is worth depends on the others. All of them together, and the unseen not asked for, give 1.
/// Throws what evaluate_detections() throws, and std::invalid_argument unless
/// 0 < background_iou < iou_threshold.
Explanation explain_errors(const std::vector<Detections>& detections,
                           const std::vector<Target>& targets, std::int64_t num_classes,
                           const ExplainOptions& options = {});

/// The table for a terminal, and under it the sentence that says which kind costs most:
///
///                                count   of best 120        AP
///   localisation, mended            41            12     0.700
///   ...
///   AP is 0.612; what costs most, 0.088: right class, box not good enough
std::vector<std::string> explanation_lines(const Explanation& explanation);

}  // namespace boxgrad::detection
