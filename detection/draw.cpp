#include "detection/draw.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "core/check.h"
#include "core/draw.h"
#include "core/ops.h"
#include "detection/boxes.h"

namespace boxgrad::detection {
namespace {

std::string class_name(std::int64_t label, const std::vector<std::string>& names) {
  const bool known = label >= 1 && label <= static_cast<std::int64_t>(names.size());
  return known ? names[static_cast<std::size_t>(label - 1)] : "class " + std::to_string(label);
}

std::string with_score(const std::string& name, Scalar score) {
  char text[16];
  std::snprintf(text, sizeof text, " %.2f", static_cast<double>(score));
  return name + text;
}

/// Row i of `boxes` as a rectangle with a label on its upper left corner.
void draw_box(Image& image, const Tensor& boxes, std::int64_t i, const std::string& text,
              Color color, const DrawOptions& options, const Stroke& stroke) {
  const auto side = [&](std::int64_t c) {
    return static_cast<double>(boxes.at({i, c})) * options.scale;
  };
  draw_rectangle(image, side(0), side(1), side(2), side(3), color, stroke);
  if (options.text_scale > 0 && !text.empty())
    draw_label(image, side(0), side(1), text, color, options.text_scale);
}

void check_detections(const Detections& d, const char* op) {
  check_boxes(d.boxes, op, "detections");
  const std::size_t n = static_cast<std::size_t>(d.boxes.size(0));
  check(d.labels.size() == n && d.scores.size() == n, op,
        ": detections must have as many labels and scores as boxes, ", n, ", got ", d.labels.size(),
        " and ", d.scores.size());
}

void check_target(const Target& t, const char* op) {
  check_boxes(t.boxes, op, "target");
  check(t.labels.size() == static_cast<std::size_t>(t.boxes.size(0)), op,
        ": target must have as many labels as boxes, ", t.boxes.size(0), ", got ", t.labels.size());
}

}  // namespace

void draw_boxes(Image& image, const Tensor& boxes, Color color, const DrawOptions& options) {
  check_boxes(boxes, "draw_boxes", "boxes");
  for (std::int64_t i = 0; i < boxes.size(0); ++i)
    draw_box(image, boxes, i, "", color, options, {.thickness = options.thickness});
}

void draw_detections(Image& image, const Detections& detections,
                     const std::vector<std::string>& class_names, const DrawOptions& options) {
  check_detections(detections, "draw_detections");
  std::vector<std::int64_t> order = argsort_descending(detections.scores);
  std::reverse(order.begin(), order.end());
  for (const std::int64_t i : order) {
    const std::size_t k = static_cast<std::size_t>(i);
    if (!(static_cast<double>(detections.scores[k]) >= options.min_score)) continue;
    const std::int64_t label = detections.labels[k];
    draw_box(image, detections.boxes, i,
             with_score(class_name(label, class_names), detections.scores[k]), class_color(label),
             options, {.thickness = options.thickness});
  }
}

void draw_truths(Image& image, const Target& target, const std::vector<std::string>& class_names,
                 const DrawOptions& options) {
  check_target(target, "draw_truths");
  for (std::size_t g = 0; g < target.labels.size(); ++g) {
    const bool difficult = g < target.difficult.size() && target.difficult[g];
    draw_box(image, target.boxes, static_cast<std::int64_t>(g),
             class_name(target.labels[g], class_names) + (difficult ? "?" : ""),
             class_color(target.labels[g]), options,
             {.thickness = options.thickness, .dash = 3 * options.thickness});
  }
}

void draw_anchors(Image& image, const Tensor& anchors, const Matches& matches,
                  const Selection& selection, const DrawOptions& options) {
  check_boxes(anchors, "draw_anchors", "anchors");
  check(matches.truth.size() == static_cast<std::size_t>(anchors.size(0)),
        "draw_anchors: matches must have one entry per anchor, ", anchors.size(0), ", got ",
        matches.truth.size());
  const auto draw = [&](std::int64_t a, Color color, const Stroke& stroke) {
    check(a >= 0 && a < anchors.size(0), "draw_anchors: selection has anchor ", a,
          ", but there are only ", anchors.size(0));
    draw_box(image, anchors, a, "", color, options, stroke);
  };
  const Stroke thin{.thickness = 1, .opacity = 0.7};
  for (std::size_t a = 0; a < matches.truth.size(); ++a)
    if (matches.truth[a] == kIgnored) draw(static_cast<std::int64_t>(a), kIgnoredColor, thin);
  for (const std::int64_t a : selection.negatives) draw(a, kNegativeColor, thin);
  for (const std::int64_t a : selection.positives)
    draw(a, kPositiveColor, {.thickness = options.thickness});
}

void draw_outcomes(Image& image, const Detections& detections, const Target& target,
                   const ClassResult& result, std::int64_t image_index,
                   const std::vector<std::string>& class_names, const DrawOptions& options) {
  check_detections(detections, "draw_outcomes");
  check_target(target, "draw_outcomes");
  const auto below = [&](const DetectionOutcome& o) {
    return !(static_cast<double>(o.score) >= options.min_score);
  };
  std::vector<std::int64_t> missed;
  for (const MissedTruth& truth : result.missed)
    if (truth.image == image_index) missed.push_back(truth.truth);
  for (const DetectionOutcome& o : result.outcomes)
    if (o.image == image_index && o.outcome == Outcome::hit && below(o)) missed.push_back(o.truth);
  for (const std::int64_t g : missed) {
    check(g < target.boxes.size(0), "draw_outcomes: target has no truth ", g,
          " (is it that of image ", image_index, "?)");
    draw_box(image, target.boxes, g,
             class_name(target.labels[static_cast<std::size_t>(g)], class_names), kTruthColor,
             options, {.thickness = options.thickness, .dash = 3 * options.thickness});
  }
  for (auto o = result.outcomes.rbegin(); o != result.outcomes.rend(); ++o) {
    if (o->image != image_index || o->outcome == Outcome::ignored || below(*o)) continue;
    check(o->detection < detections.boxes.size(0), "draw_outcomes: there is no detection ",
          o->detection, " (are they those of image ", image_index, "?)");
    const std::string name =
        class_name(detections.labels[static_cast<std::size_t>(o->detection)], class_names);
    draw_box(image, detections.boxes, o->detection, with_score(name, o->score),
             o->outcome == Outcome::hit         ? kPositiveColor
             : o->outcome == Outcome::duplicate ? kIgnoredColor
                                                : kNegativeColor,
             options, {.thickness = options.thickness});
  }
}

std::vector<ImageError> worst_images(const std::vector<ClassResult>& results, double min_score) {
  std::map<std::int64_t, double> errors;
  for (const ClassResult& result : results) {
    for (const MissedTruth& missed : result.missed) errors[missed.image] += 1;
    for (const DetectionOutcome& o : result.outcomes) {
      const bool shown = static_cast<double>(o.score) >= min_score;
      if (o.outcome == Outcome::hit && !shown) errors[o.image] += 1;
      if ((o.outcome == Outcome::miss || o.outcome == Outcome::duplicate) && shown)
        errors[o.image] += static_cast<double>(o.score);
    }
  }
  std::vector<ImageError> worst;
  for (const auto& [image, error] : errors) worst.push_back({image, error});
  std::stable_sort(worst.begin(), worst.end(),
                   [](const ImageError& a, const ImageError& b) { return a.error > b.error; });
  return worst;
}

}  // namespace boxgrad::detection
