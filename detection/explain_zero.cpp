#include "detection/explain_zero.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "core/check.h"
#include "core/printable.h"
#include "core/svg.h"
#include "detection/evaluation.h"

namespace boxgrad::detection {
namespace {

constexpr std::size_t kPhotos = 300, kAnswers = 50;
constexpr double kComeBack = 0.1, kTimes = 4, kAsGood = 0.9;

/// Answers and truths of some photos, and what they come to.
struct ZeroCase {
  std::vector<Detections> answers = {};
  std::vector<Target> truths = {};
  PhotoSizes sizes = {};
  std::int64_t classes = 0;

  double ap50() const {
    std::vector<Detections> sound = answers;
    for (Detections& found : sound) {  // labels of no class would stop the evaluation
      Detections kept;
      std::vector<Scalar> boxes;
      for (std::size_t d = 0; d < found.labels.size(); ++d) {
        if (found.labels[d] < 1 || found.labels[d] > classes) continue;
        kept.labels.push_back(found.labels[d]);
        kept.scores.push_back(found.scores[d]);
        for (std::size_t c = 0; c < 4; ++c) boxes.push_back(found.boxes.data()[4 * d + c]);
      }
      kept.boxes = Tensor({static_cast<std::int64_t>(kept.labels.size()), 4}, boxes);
      found = std::move(kept);
    }
    return evaluate_detections(sound, truths, classes).mean_ap.value_or(0);
  }
};

bool is_asked_for(const Target& target, std::size_t g) {
  return (g >= target.difficult.size() || !target.difficult[g]) &&
         (g >= target.crowd.size() || !target.crowd[g]);
}

/// The best `count` of a photo's answers; NaN is no score.
Detections best_answers(const Detections& found, std::size_t count) {
  std::vector<std::size_t> order;
  for (std::size_t d = 0; d < found.labels.size(); ++d)
    if (!std::isnan(found.scores[d])) order.push_back(d);
  std::ranges::stable_sort(
      order, [&](std::size_t a, std::size_t b) { return found.scores[a] > found.scores[b]; });
  order.resize(std::min(order.size(), count));
  Detections result{.boxes = Tensor({static_cast<std::int64_t>(order.size()), 4})};
  for (std::size_t k = 0; k < order.size(); ++k) {
    result.labels.push_back(found.labels[order[k]]);
    result.scores.push_back(found.scores[order[k]]);
    for (std::size_t c = 0; c < 4; ++c)
      result.boxes.data()[4 * k + c] = found.boxes.data()[4 * order[k] + c];
  }
  return result;
}

/// kPhotos photos from the first with a truth on, with the best `count` answers of each.
ZeroCase excerpt(const std::vector<Detections>& detections, const std::vector<Target>& targets,
                 const ZeroContext& context, std::size_t count) {
  std::size_t first = 0;
  while (first < targets.size() && targets[first].labels.empty()) ++first;
  ZeroCase result{.classes = static_cast<std::int64_t>(context.class_names.size())};
  for (std::size_t n = first; n < std::min(targets.size(), first + kPhotos); ++n) {
    result.answers.push_back(best_answers(detections[n], count));
    result.truths.push_back(targets[n]);
    if (!context.sizes.empty()) result.sizes.push_back(context.sizes[n]);
  }
  return result;
}

/// A change that might bring AP back.
struct Attempt {
  ZeroFinding finding;
  double ap50 = 0;
};

/// Attempts from simple to involved.
class Attempts {
 public:
  explicit Attempts(const ZeroCase& as_it_is) : as_it_is_(as_it_is) {}

  void frames() {
    for (const BoxFrame& frame :
         candidate_frames(as_it_is_.answers, as_it_is_.truths, as_it_is_.sizes)) {
      ZeroCase changed = as_it_is_;
      for (std::size_t n = 0; n < changed.answers.size(); ++n)
        changed.answers[n].boxes = from_frame(changed.answers[n].boxes, frame, changed.sizes, n);
      add(changed, ZeroReason::other_frame, "the answers' boxes are " + frame.text(),
          "answers and annotations must both be [x1, y1, x2, y2] in pixels of the photo as it lies "
          "on the disk");
    }
  }

  void truths() {
    std::vector<BoxFrame> frames;
    for (const BoxForm form : {BoxForm::reversed, BoxForm::transposed, BoxForm::corner_size,
                               BoxForm::centre_size, BoxForm::added_corners})
      frames.push_back({.form = form});
    if (!as_it_is_.sizes.empty())
      for (const BoxForm form : {BoxForm::corners, BoxForm::corner_size, BoxForm::centre_size})
        frames.push_back({.form = form, .unit = BoxUnit::sides});
    for (const BoxFrame& frame : frames) {
      ZeroCase changed = as_it_is_;
      for (std::size_t n = 0; n < changed.truths.size(); ++n)
        changed.truths[n].boxes = from_frame(changed.truths[n].boxes, frame, changed.sizes, n);
      add(changed, ZeroReason::truths_rearranged, "the annotated boxes are " + frame.text(),
          "mend the annotations: the reader takes them as what their format says they are");
    }
  }

  void other_photos() {
    for (const bool next : {true, false}) {
      ZeroCase changed = as_it_is_;
      auto& answers = changed.answers;
      if (next)
        std::rotate(answers.begin(), answers.begin() + 1, answers.end());
      else
        std::rotate(answers.rbegin(), answers.rbegin() + 1, answers.rend());
      add(changed, ZeroReason::other_photos,
          concat("each photo gets the answers of the one ", next ? "after" : "before", " it"),
          "answers and photos are not in the same order: match them by name");
    }
  }

  void labels() {
    for (const std::int64_t by : {-1, 1}) {
      ZeroCase changed = as_it_is_;
      for (Detections& found : changed.answers)
        for (std::int64_t& label : found.labels) label += by;
      add(changed, ZeroReason::labels_shifted,
          concat("1 is ", by > 0 ? "added to" : "taken from", " the answers' labels"),
          "labels count from 1, as 0 is the background: one side counts it otherwise");
    }
    const auto meant = labels_by_overlap();
    ZeroCase changed = as_it_is_;
    for (Detections& found : changed.answers)
      for (std::int64_t& label : found.labels)
        if (const auto to = meant.find(label); to != meant.end()) label = to->second;
    std::string text = "the answers' labels are exchanged:";
    for (const auto& [from, to] : meant)
      if (from != to) text += concat(" ", from, " for ", to, ",");
    text.pop_back();
    add(changed, ZeroReason::labels_permuted, text,
        "the class names stood in another order when the network was trained");
  }

  /// The simplest of those that come to 90 % of the best, if AP has come back with it.
  std::optional<ZeroFinding> best(double before) const {
    double most = 0;
    for (const Attempt& attempt : attempts_) most = std::max(most, attempt.ap50);
    if (most < kComeBack || most < kTimes * before) return {};
    return std::ranges::find_if(
               attempts_, [&](const Attempt& attempt) { return attempt.ap50 >= kAsGood * most; })
        ->finding;
  }

 private:
  void add(const ZeroCase& changed, ZeroReason reason, const std::string& change,
           std::string remedy) {
    const double ap50 = changed.ap50();
    attempts_.push_back({{.reason = reason,
                          .found = concat("AP50 is ", format_number(ap50, 2), " when ", change),
                          .remedy = std::move(remedy),
                          .ap50 = ap50},
                         ap50});
  }

  /// For each label of the answers the truths' label that its boxes lie on most often.
  std::map<std::int64_t, std::int64_t> labels_by_overlap() const {
    std::map<std::pair<std::int64_t, std::int64_t>, int> pairs;
    for (std::size_t n = 0; n < as_it_is_.truths.size(); ++n) {
      const Detections& found = as_it_is_.answers[n];
      const Target& target = as_it_is_.truths[n];
      for (std::size_t d = 0; d < found.labels.size(); ++d)
        for (std::size_t g = 0; g < target.labels.size(); ++g)
          if (evaluation_iou(&found.boxes.data()[4 * d], &target.boxes.data()[4 * g]) > 0.5)
            ++pairs[{found.labels[d], target.labels[g]}];
    }
    std::map<std::int64_t, std::int64_t> result;
    std::map<std::int64_t, int> votes;
    for (const auto& [labels, count] : pairs)
      if (count > votes[labels.first]) {
        votes[labels.first] = count;
        result[labels.first] = labels.second;
      }
    return result;
  }

  const ZeroCase& as_it_is_;
  std::vector<Attempt> attempts_;
};

/// How many truths have an answer of their class with an IoU above `iou`.
std::int64_t truths_met(const ZeroCase& given, double iou) {
  std::int64_t met = 0;
  for (std::size_t n = 0; n < given.truths.size(); ++n)
    for (std::size_t g = 0; g < given.truths[n].labels.size(); ++g) {
      if (!is_asked_for(given.truths[n], g)) continue;
      const Detections& found = given.answers[n];
      for (std::size_t d = 0; d < found.labels.size(); ++d)
        if (found.labels[d] == given.truths[n].labels[g] &&
            evaluation_iou(&found.boxes.data()[4 * d], &given.truths[n].boxes.data()[4 * g]) >
                iou) {
          ++met;
          break;
        }
    }
  return met;
}

/// The same answers for all photos, which are at least two.
bool same_for_all(const ZeroCase& given) {
  if (given.answers.size() < 2) return false;
  return std::ranges::all_of(given.answers, [&](const Detections& found) {
    const Detections& first = given.answers.front();
    if (found.labels != first.labels || found.labels.empty()) return false;
    for (std::size_t i = 0; i < 4 * found.labels.size(); ++i)
      if (std::abs(found.boxes.data()[i] - first.boxes.data()[i]) > Scalar(1)) return false;
    return true;
  });
}

std::string quoted_list(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), 5); ++i)
    text += concat(i > 0 ? ", " : "", "\"", printable(names[i]), "\"");
  return names.size() > 5 ? text + ", ..." : text;
}

/// What counting alone shows; empty if nothing.
std::optional<ZeroFinding> by_counting(const std::vector<Detections>& detections,
                                       const std::vector<Target>& targets,
                                       const ZeroContext& context) {
  const auto finding = [](ZeroReason reason, std::string found, std::string remedy) {
    return ZeroFinding{
        .reason = reason, .found = std::move(found), .remedy = std::move(remedy), .ap50 = {}};
  };
  if (targets.empty())
    return finding(ZeroReason::no_photos, "there are no photos in this list",
                   "name another --split, or look at the list in ImageSets/Main");
  std::int64_t truths = 0, asked_for = 0;
  for (const Target& target : targets)
    for (std::size_t g = 0; g < target.labels.size(); ++g) {
      ++truths;
      asked_for += is_asked_for(target, g);
    }
  if (truths == 0) {
    const std::set<std::string> own(context.class_names.begin(), context.class_names.end());
    if (!context.data_class_names.empty() &&
        std::ranges::none_of(context.data_class_names,
                             [&](const std::string& name) { return own.contains(name); }))
      return finding(ZeroReason::names_differ,
                     concat("the network knows ", quoted_list(context.class_names),
                            ", the photos show ", quoted_list(context.data_class_names)),
                     "give the classes the same names, letter by letter");
    return finding(ZeroReason::no_truths,
                   concat("nothing is annotated in ", targets.size(), " photos"),
                   "look for the annotations: boxgrad doctor names what is missing");
  }
  if (asked_for == 0)
    return finding(ZeroReason::only_difficult,
                   concat("all ", truths, " objects are marked as difficult or as crowds"),
                   "such objects are not asked for; annotate some without the mark");

  std::int64_t answers = 0, nan = 0, enough = 0, bad = 0;
  Scalar largest = 0;
  for (const Detections& found : detections)
    for (std::size_t d = 0; d < found.labels.size(); ++d) {
      ++answers;
      nan += std::isnan(found.scores[d]);
      enough += static_cast<double>(found.scores[d]) >= context.score_threshold;
      if (!std::isnan(found.scores[d])) largest = std::max(largest, found.scores[d]);
      const auto box = found.boxes.data().subspan(4 * d, 4);
      bad += !std::ranges::all_of(box, [](Scalar v) { return std::isfinite(v); }) ||
             box[0] == box[2] || box[1] == box[3];
    }
  if (answers == 0)
    return finding(ZeroReason::no_answers, concat("not one answer for ", targets.size(), " photos"),
                   "a lower score threshold, or more training: its loss should fall");
  if (nan > 0)
    return finding(ZeroReason::nan_scores, concat(nan, " of ", answers, " scores are NaN"),
                   "a weight became NaN in training: a smaller learning rate; boxgrad doctor for "
                   "boxes without area");
  if (2 * bad > answers)
    return finding(ZeroReason::bad_boxes,
                   concat(bad, " of ", answers, " boxes are not finite or have no area"),
                   "the box branch diverged: a smaller learning rate");
  if (enough == 0)
    return finding(ZeroReason::below_threshold,
                   concat("the largest of ", answers, " scores is ",
                          format_number(static_cast<double>(largest), 2), ", answers count from ",
                          format_number(context.score_threshold, 2), " on"),
                   "a lower score threshold, or more training");
  return {};
}

}  // namespace

std::vector<ZeroFinding> why_ap_is_zero(const std::vector<Detections>& detections,
                                        const std::vector<Target>& targets,
                                        const ZeroContext& context) {
  check(detections.size() == targets.size(), "why_ap_is_zero: answers for ", detections.size(),
        " photos, truths for ", targets.size());
  check(!context.class_names.empty(), "why_ap_is_zero: there are no class names");
  check(context.sizes.empty() || context.sizes.size() == targets.size(),
        "why_ap_is_zero: ", context.sizes.size(), " photo sizes for ", targets.size(), " photos");
  for (std::size_t n = 0; n < detections.size(); ++n)
    check(detections[n].boxes.shape() ==
                  Shape{static_cast<std::int64_t>(detections[n].labels.size()), 4} &&
              detections[n].scores.size() == detections[n].labels.size(),
          "why_ap_is_zero: photo ", n, " has ", detections[n].labels.size(), " labels, ",
          detections[n].scores.size(), " scores and boxes ", detections[n].boxes.shape());

  std::vector<ZeroFinding> findings;
  if (auto counted = by_counting(detections, targets, context)) {
    findings.push_back(std::move(*counted));
    if (findings[0].reason != ZeroReason::nan_scores) return findings;
  }
  const ZeroCase given = excerpt(detections, targets, context, static_cast<std::size_t>(-1));
  const double before = given.ap50();
  if (before >= context.nearly_zero) return findings;

  const ZeroCase few = excerpt(detections, targets, context, kAnswers);
  Attempts attempts(few);
  attempts.labels();
  attempts.frames();
  attempts.truths();
  attempts.other_photos();
  if (auto found = attempts.best(few.ap50())) findings.push_back(std::move(*found));

  const auto add = [&](ZeroReason reason, std::string found, std::string remedy) {
    findings.push_back(
        {.reason = reason, .found = std::move(found), .remedy = std::move(remedy), .ap50 = {}});
  };
  if (same_for_all(few))
    add(ZeroReason::same_everywhere, "every photo gets the same answers",
        "the network does not see the photo: compare its input's mean and deviation with those of "
        "training");
  if (!findings.empty()) return findings;

  std::int64_t asked_for = 0;
  for (const Target& target : given.truths)
    for (std::size_t g = 0; g < target.labels.size(); ++g) asked_for += is_asked_for(target, g);
  const std::int64_t hit = truths_met(given, 0.5), touched = truths_met(given, 0.1);
  if (3 * hit >= asked_for)
    add(ZeroReason::outranked,
        concat(hit, " of ", asked_for,
               " objects are found, but answers with better scores are wrong"),
        "scores do not tell objects from background yet: train longer, with more negatives");
  else if (2 * touched >= asked_for)
    add(ZeroReason::poor_boxes,
        concat(touched, " of ", asked_for, " objects have an answer that overlaps them by 0.1, ",
               hit, " one that overlaps them by 0.5"),
        "the box branch has not learned yet: train longer; see that anchors suit (boxgrad doctor)");
  else
    add(ZeroReason::unrelated,
        concat("answers lie on ", touched, " of ", asked_for,
               " objects; no shift, scale, order or "
               "exchange of labels makes them fit"),
        "most likely it was trained too briefly, or on other things; look at the pictures");
  return findings;
}

}  // namespace boxgrad::detection
