#include "detection/evaluation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

#include "core/check.h"
#include "core/ops.h"
#include "detection/boxes.h"

namespace boxgrad::detection {
namespace {

bool is_difficult(const Target& target, std::size_t g) {
  return !target.difficult.empty() && target.difficult[g];
}

/// The outcomes of the detections that `label` concerns (0: all of them), best score first.
ClassResult evaluate_class(const std::vector<Detections>& detections,
                           const std::vector<Target>& targets, std::int64_t label,
                           const EvaluationOptions& options) {
  const auto concerns = [label](std::int64_t other) { return label == 0 || other == label; };
  ClassResult result;
  result.label = label;

  std::vector<DetectionOutcome> candidates;
  std::vector<Scalar> scores;
  std::vector<std::vector<bool>> taken;
  for (std::size_t n = 0; n < targets.size(); ++n) {
    taken.emplace_back(targets[n].labels.size(), false);
    for (std::size_t g = 0; g < targets[n].labels.size(); ++g)
      if (concerns(targets[n].labels[g]))
        ++(is_difficult(targets[n], g) ? result.num_difficult : result.num_truths);
    for (std::size_t d = 0; d < detections[n].labels.size(); ++d)
      if (concerns(detections[n].labels[d])) {
        const Scalar score = detections[n].scores[d];
        scores.push_back(std::isnan(score) ? -std::numeric_limits<Scalar>::infinity() : score);
        candidates.push_back({.image = static_cast<std::int64_t>(n),
                              .detection = static_cast<std::int64_t>(d),
                              .score = score});
      }
  }

  std::int64_t hits = 0, wrong = 0;
  for (const std::int64_t i : argsort_descending(scores)) {
    DetectionOutcome& found = candidates[static_cast<std::size_t>(i)];
    const std::size_t n = static_cast<std::size_t>(found.image);
    const auto box = detections[n].boxes.data(), truths = targets[n].boxes.data();
    for (std::size_t g = 0; g < targets[n].labels.size(); ++g) {
      if (!concerns(targets[n].labels[g])) continue;
      const double iou = evaluation_iou(&box[4 * static_cast<std::size_t>(found.detection)],
                                        &truths[4 * g], options.inclusive);
      if (iou > found.iou) {
        found.iou = iou;
        found.truth = static_cast<std::int64_t>(g);
      }
    }
    if (found.truth >= 0 && found.iou > options.iou_threshold) {
      const std::size_t g = static_cast<std::size_t>(found.truth);
      found.outcome = is_difficult(targets[n], g) ? Outcome::ignored
                      : taken[n][g]               ? Outcome::duplicate
                                                  : Outcome::hit;
      if (found.outcome == Outcome::hit) taken[n][g] = true;
    }
    hits += found.outcome == Outcome::hit;
    wrong += found.outcome == Outcome::miss || found.outcome == Outcome::duplicate;
    result.outcomes.push_back(found);
    if (result.num_truths > 0) {
      result.recall.push_back(static_cast<double>(hits) / static_cast<double>(result.num_truths));
      result.precision.push_back(
          hits == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(hits + wrong));
    }
  }

  for (std::size_t n = 0; n < targets.size(); ++n)
    for (std::size_t g = 0; g < targets[n].labels.size(); ++g)
      if (concerns(targets[n].labels[g]) && !is_difficult(targets[n], g) && !taken[n][g])
        result.missed.push_back({static_cast<std::int64_t>(n), static_cast<std::int64_t>(g)});
  if (result.num_truths > 0)
    result.ap = average_precision(result.recall, result.precision, options.method,
                                  options.strict_numpy_compat);
  return result;
}

void check_fields(const char* op, const Tensor& boxes, std::size_t labels, std::size_t others,
                  const char* what, std::size_t image) {
  check_boxes(boxes, op, what);
  check(static_cast<std::size_t>(boxes.size(0)) == labels && others == labels, op, ": ", what,
        " of image ", image, " must have as many labels and scores (or flags) as boxes, ",
        boxes.size(0), ", got ", labels, " and ", others);
}

void check_labels(const char* op, const std::vector<std::int64_t>& labels, std::int64_t num_classes,
                  const char* what, std::size_t image) {
  for (const std::int64_t label : labels)
    check(label >= 1 && label <= num_classes, op, ": labels must be 1 to ", num_classes, ", got ",
          label, " among the ", what, " of image ", image);
}

}  // namespace

double evaluation_iou(const Scalar* a, const Scalar* b, bool inclusive) {
  const double plus = inclusive ? 1 : 0;
  const auto side = [plus](double low, double high) { return high - low + plus; };
  const double w = side(std::max(a[0], b[0]), std::min(a[2], b[2]));
  const double h = side(std::max(a[1], b[1]), std::min(a[3], b[3]));
  if (!(w > 0 && h > 0)) return 0;
  const double both = w * h;
  const double joined = side(a[0], a[2]) * side(a[1], a[3]) + side(b[0], b[2]) * side(b[1], b[3]);
  return joined - both > 0 ? both / (joined - both) : 0;
}

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::hit:
      return "hit";
    case Outcome::duplicate:
      return "duplicate";
    case Outcome::miss:
      return "miss";
    case Outcome::ignored:
      return "ignored";
  }
  return "?";
}

std::string ClassResult::ap_text() const {
  if (!ap) return "n/a (no ground truth)";
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", *ap);
  return text;
}

double average_precision(const std::vector<double>& recall, const std::vector<double>& precision,
                         ApMethod method, bool strict_numpy_compat) {
  check(recall.size() == precision.size(),
        "average_precision: recall and precision must have the same length, got ", recall.size(),
        " and ", precision.size());
  // envelope[k]: the best precision from point k on.
  std::vector<double> envelope = precision;
  for (std::size_t k = envelope.size(); k-- > 1;)
    envelope[k - 1] = std::max(envelope[k - 1], envelope[k]);

  double sum = 0;
  if (method == ApMethod::area) {
    for (std::size_t k = 0; k < recall.size(); ++k)
      sum += (recall[k] - (k == 0 ? 0 : recall[k - 1])) * envelope[k];
    return sum;
  }
  for (int j = 0; j <= 10; ++j) {
    const double threshold = strict_numpy_compat ? j * 0.1 : j / 10.0;
    const auto first = std::lower_bound(recall.begin(), recall.end(), threshold);
    if (first != recall.end()) sum += envelope[static_cast<std::size_t>(first - recall.begin())];
  }
  return sum / 11;
}

void check_answers(const char* op, const std::vector<Detections>& detections,
                   const std::vector<Target>& targets, std::int64_t num_classes) {
  check(detections.size() == targets.size(), op, ": one Detections per Target is needed, ",
        targets.size(), ", got ", detections.size());
  check(num_classes >= 1, op, ": num_classes must be >= 1, got ", num_classes);
  for (std::size_t n = 0; n < targets.size(); ++n) {
    const Target& target = targets[n];
    const Detections& found = detections[n];
    check_fields(op, target.boxes, target.labels.size(),
                 target.difficult.empty() ? target.labels.size() : target.difficult.size(),
                 "targets", n);
    check_fields(op, found.boxes, found.labels.size(), found.scores.size(), "detections", n);
    check_labels(op, target.labels, num_classes, "targets", n);
    check_labels(op, found.labels, num_classes, "detections", n);
  }
}

EvaluationResult evaluate_detections(const std::vector<Detections>& detections,
                                     const std::vector<Target>& targets, std::int64_t num_classes,
                                     const EvaluationOptions& options) {
  check_answers("evaluate_detections", detections, targets, num_classes);
  EvaluationResult result;
  for (const Detections& found : detections)
    result.nan_scores += std::count_if(found.scores.begin(), found.scores.end(),
                                       [](Scalar score) { return std::isnan(score); });

  double sum = 0;
  std::int64_t counted = 0;
  for (std::int64_t label = 1; label <= num_classes; ++label) {
    result.classes.push_back(evaluate_class(detections, targets, label, options));
    if (const auto& ap = result.classes.back().ap) sum += *ap, ++counted;
  }
  if (counted > 0) result.mean_ap = sum / static_cast<double>(counted);
  result.class_agnostic = evaluate_class(detections, targets, 0, options);
  return result;
}

}  // namespace boxgrad::detection
