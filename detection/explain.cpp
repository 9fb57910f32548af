#include "detection/explain.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <set>
#include <utility>

#include "core/check.h"

namespace boxgrad::detection {
namespace {

using Key = std::pair<std::int64_t, std::int64_t>;  // image and truth, or image and detection

/// One detection of a class, for its curve.
struct Ranked {
  Scalar score = 0;
  Key place = {};  ///< image and detection: the order of equal scores
  bool hit = false;
};

bool ranks_before(const Ranked& a, const Ranked& b) {
  const auto rank = [](Scalar score) {
    return std::isnan(score) ? -std::numeric_limits<Scalar>::infinity() : score;
  };
  return rank(a.score) != rank(b.score) ? rank(a.score) > rank(b.score) : a.place < b.place;
}

using RankedClasses = std::vector<std::vector<Ranked>>;  // of label 1, 2, ...

/// Mean AP over the classes of which truths are left.
std::optional<double> mean_ap_of(RankedClasses classes, const std::vector<std::int64_t>& truths,
                                 const EvaluationOptions& options) {
  double sum = 0;
  std::int64_t counted = 0;
  for (std::size_t k = 0; k < classes.size(); ++k) {
    if (truths[k] == 0) continue;
    std::sort(classes[k].begin(), classes[k].end(), ranks_before);
    std::vector<double> recall, precision;
    double hits = 0;
    for (const Ranked& ranked : classes[k]) {
      hits += ranked.hit;
      recall.push_back(hits / static_cast<double>(truths[k]));
      precision.push_back(hits / static_cast<double>(recall.size()));
    }
    sum += average_precision(recall, precision, options.method, options.strict_numpy_compat);
    ++counted;
  }
  if (counted == 0) return {};
  return sum / static_cast<double>(counted);
}

/// The truth of another class that a detection overlaps most, and by how much.
std::pair<std::int64_t, double> nearest_of_others(const Detections& found, std::int64_t detection,
                                                  const Target& target, bool inclusive) {
  const auto d = static_cast<std::size_t>(detection);
  std::pair<std::int64_t, double> best{-1, 0};
  for (std::size_t g = 0; g < target.labels.size(); ++g) {
    if (target.labels[g] == found.labels[d]) continue;
    const double iou =
        evaluation_iou(&found.boxes.data()[4 * d], &target.boxes.data()[4 * g], inclusive);
    if (iou > best.second) best = {static_cast<std::int64_t>(g), iou};
  }
  return best;
}

FalsePositive find_cause(const DetectionOutcome& outcome, const Detections& found,
                         const Target& target, const ExplainOptions& options) {
  FalsePositive result{.image = outcome.image,
                       .detection = outcome.detection,
                       .label = found.labels[static_cast<std::size_t>(outcome.detection)],
                       .score = outcome.score,
                       .cause = ErrorCause::duplicate,
                       .truth = outcome.truth,
                       .iou = outcome.iou};
  if (outcome.outcome == Outcome::duplicate) return result;
  result.cause = ErrorCause::localisation;
  if (outcome.iou >= options.background_iou) return result;
  const auto [other, iou] =
      nearest_of_others(found, outcome.detection, target, options.evaluation.inclusive);
  result.cause = iou > options.evaluation.iou_threshold ? ErrorCause::confusion
                 : iou >= options.background_iou        ? ErrorCause::both
                                                        : ErrorCause::background;
  result.truth = result.cause == ErrorCause::background ? -1 : other;
  result.iou = result.cause == ErrorCause::background ? 0 : iou;
  return result;
}

bool can_be_mended(ErrorCause cause) {
  return cause == ErrorCause::localisation || cause == ErrorCause::confusion;
}

/// The misses, each with the best false positive that meant it.
void find_misses(Explanation& explanation) {
  std::vector<std::pair<Key, std::int64_t>> meant;
  for (std::size_t i = 0; i < explanation.false_positives.size(); ++i) {
    const FalsePositive& wrong = explanation.false_positives[i];
    if (can_be_mended(wrong.cause))
      meant.push_back({{wrong.image, wrong.truth}, static_cast<std::int64_t>(i)});
  }
  std::ranges::sort(meant);  // of each truth the best first
  for (const ClassResult& c : explanation.evaluation.classes)
    for (const MissedTruth& missed : c.missed) {
      const Key truth{missed.image, missed.truth};
      const auto first = std::ranges::lower_bound(meant, std::pair{truth, std::int64_t{0}});
      const bool near = first != meant.end() && first->first == truth;
      explanation.misses.push_back(
          {missed.image, missed.truth, c.label, near ? first->second : -1});
      explanation.unseen += !near;
    }
  std::ranges::sort(explanation.misses, {}, [](const Miss& miss) {
    return Key{miss.image, miss.truth};
  });
}

/// AP of the same detections with something mended.
class Mender {
 public:
  Mender(const Explanation& explanation, const std::vector<Target>& targets,
         const EvaluationOptions& options)
      : explanation_(explanation), targets_(targets), options_(options) {
    for (const Miss& miss : explanation.misses) missed_.insert({miss.image, miss.truth});
    for (const ClassResult& c : explanation.evaluation.classes) {
      truths_.push_back(c.num_truths);
      hits_.emplace_back();
      for (const DetectionOutcome& outcome : c.outcomes)
        if (outcome.outcome == Outcome::hit)
          hits_.back().push_back({outcome.score, {outcome.image, outcome.detection}, true});
    }
  }

  std::optional<double> mended(ErrorCause cause) const {
    RankedClasses classes = hits_;
    std::set<Key> given;
    for (const FalsePositive& wrong : explanation_.false_positives) {  // best score first
      const Key truth{wrong.image, wrong.truth};
      const bool mend = wrong.cause == cause;
      if (mend && !(can_be_mended(cause) && missed_.contains(truth) && given.insert(truth).second))
        continue;
      const std::int64_t label = mend ? targets_[static_cast<std::size_t>(wrong.image)]
                                            .labels[static_cast<std::size_t>(wrong.truth)]
                                      : wrong.label;
      classes[static_cast<std::size_t>(label - 1)].push_back(
          {wrong.score, {wrong.image, wrong.detection}, mend});
    }
    return mean_ap_of(std::move(classes), truths_, options_);
  }

  std::optional<double> only_hits() const { return mean_ap_of(hits_, truths_, options_); }

  std::optional<double> without_misses(bool only_unseen) const {
    std::vector<std::int64_t> truths = truths_;
    for (const Miss& miss : explanation_.misses)
      if (!only_unseen || miss.nearest < 0) --truths[static_cast<std::size_t>(miss.label - 1)];
    RankedClasses classes = hits_;
    for (const FalsePositive& wrong : explanation_.false_positives)
      classes[static_cast<std::size_t>(wrong.label - 1)].push_back(
          {wrong.score, {wrong.image, wrong.detection}, false});
    return mean_ap_of(std::move(classes), truths, options_);
  }

 private:
  const Explanation& explanation_;
  const std::vector<Target>& targets_;
  EvaluationOptions options_;
  std::set<Key> missed_;
  std::vector<std::int64_t> truths_;
  RankedClasses hits_;
};

std::string three_decimals(const std::optional<double>& value) {
  if (!value) return "n/a";
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", *value);
  return text;
}

std::string table_row(const std::string& name, const std::string& count, const std::string& best,
                      const std::string& ap) {
  char text[160];
  std::snprintf(text, sizeof text, "%-24s %9s %13s %9s", name.c_str(), count.c_str(), best.c_str(),
                ap.c_str());
  return text;
}

}  // namespace

const char* to_string(ErrorCause cause) {
  switch (cause) {
    case ErrorCause::localisation:
      return "localisation";
    case ErrorCause::confusion:
      return "confusion";
    case ErrorCause::both:
      return "both";
    case ErrorCause::duplicate:
      return "duplicate";
    case ErrorCause::background:
      return "background";
  }
  return "?";
}

const char* description(ErrorCause cause) {
  switch (cause) {
    case ErrorCause::localisation:
      return "right class, box not good enough";
    case ErrorCause::confusion:
      return "good box on an object of another class";
    case ErrorCause::both:
      return "poor box on an object of another class";
    case ErrorCause::duplicate:
      return "an object that was found already";
    case ErrorCause::background:
      return "no object there";
  }
  return "?";
}

Explanation explain_errors(const std::vector<Detections>& detections,
                           const std::vector<Target>& targets, std::int64_t num_classes,
                           const ExplainOptions& options) {
  check(options.background_iou > 0 && options.background_iou < options.evaluation.iou_threshold,
        "explain_errors: background_iou must lie between 0 and iou_threshold, ",
        options.evaluation.iou_threshold, ", got ", options.background_iou);
  Explanation result;
  result.evaluation = evaluate_detections(detections, targets, num_classes, options.evaluation);

  for (const ClassResult& c : result.evaluation.classes) {
    std::int64_t rank = 0;
    for (const DetectionOutcome& outcome : c.outcomes) {
      if (outcome.outcome == Outcome::ignored) continue;
      const bool among_best = rank++ < c.num_truths;
      result.best_total += among_best;
      if (outcome.outcome == Outcome::hit) continue;
      const auto n = static_cast<std::size_t>(outcome.image);
      result.false_positives.push_back(find_cause(outcome, detections[n], targets[n], options));
      const ErrorCause cause = result.false_positives.back().cause;
      ++result.causes[static_cast<std::size_t>(cause)].count;
      result.causes[static_cast<std::size_t>(cause)].among_best += among_best;
    }
  }
  std::sort(
      result.false_positives.begin(), result.false_positives.end(),
      [](const FalsePositive& a, const FalsePositive& b) {
        return ranks_before({a.score, {a.image, a.detection}}, {b.score, {b.image, b.detection}});
      });
  find_misses(result);

  const Mender mender(result, targets, options.evaluation);
  for (const ErrorCause cause : kErrorCauses)
    result.causes[static_cast<std::size_t>(cause)].mended_ap = mender.mended(cause);
  result.ap_without_unseen = mender.without_misses(true);
  result.ap_without_misses = mender.without_misses(false);
  result.ap_without_false_positives = mender.only_hits();
  return result;
}

std::vector<std::string> explanation_lines(const Explanation& explanation) {
  const std::optional<double>& ap = explanation.evaluation.mean_ap;
  const char* costliest = nullptr;
  double most = 0;
  const auto weigh = [&](const char* name, const std::optional<double>& mended) {
    if (!ap || !mended || *mended - *ap <= most) return;
    most = *mended - *ap;
    costliest = name;
  };

  std::vector<std::string> lines{
      table_row("", "count", concat("of best ", explanation.best_total), "AP")};
  for (const ErrorCause cause : kErrorCauses) {
    const CauseFigures& figures = explanation.of(cause);
    lines.push_back(table_row(concat(to_string(cause), ", mended"), concat(figures.count),
                              concat(figures.among_best), three_decimals(figures.mended_ap)));
    weigh(description(cause), figures.mended_ap);
  }
  lines.push_back(table_row("no false positive", concat(explanation.false_positives.size()), "",
                            three_decimals(explanation.ap_without_false_positives)));
  lines.push_back(table_row("no unseen object", concat(explanation.unseen), "",
                            three_decimals(explanation.ap_without_unseen)));
  lines.push_back(table_row("no missed object", concat(explanation.misses.size()), "",
                            three_decimals(explanation.ap_without_misses)));
  weigh("objects near which nothing was found", explanation.ap_without_unseen);
  if (costliest != nullptr)
    lines.push_back(concat("AP is ", three_decimals(ap), "; what costs most, ",
                           three_decimals(most), ": ", costliest));
  return lines;
}

}  // namespace boxgrad::detection
