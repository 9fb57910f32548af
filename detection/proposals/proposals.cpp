#include "detection/proposals/proposals.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

#include "core/check.h"
#include "detection/boxes.h"

namespace boxgrad::detection {
namespace {

constexpr std::int64_t kMaxWindows = 10'000'000;

bool counts(const Target& target, std::size_t g) {
  return g >= target.difficult.size() || !target.difficult[g];
}

/// Places of a window of `size` in steps of at most step * size, from border to border.
std::int64_t places_along(double extent, double size, double step) {
  const double steps = std::ceil((extent - size) / (step * size) - 1e-9);
  check(steps < static_cast<double>(kMaxWindows), "grid_proposals: more than ", kMaxWindows,
        " windows; enlarge step");
  return 1 + std::max<std::int64_t>(0, static_cast<std::int64_t>(steps));
}

void add_windows(std::vector<std::array<Scalar, 4>>& windows, double width, double height, double w,
                 double h, double step) {
  if (w > width || h > height) return;
  const std::int64_t columns = places_along(width, w, step), rows = places_along(height, h, step);
  check(columns * rows + static_cast<std::int64_t>(windows.size()) <= kMaxWindows,
        "grid_proposals: more than ", kMaxWindows, " windows; enlarge step");
  const auto start = [](std::int64_t i, std::int64_t n, double room) {
    return n == 1 ? room / 2 : room * static_cast<double>(i) / static_cast<double>(n - 1);
  };
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t column = 0; column < columns; ++column) {
      const double x = start(column, columns, width - w), y = start(row, rows, height - h);
      windows.push_back({static_cast<Scalar>(x), static_cast<Scalar>(y), static_cast<Scalar>(x + w),
                         static_cast<Scalar>(y + h)});
    }
}

}  // namespace

Tensor random_proposals(double width, double height, std::int64_t count, Random& random,
                        double min_side) {
  check(min_side > 0 && min_side <= std::min(width, height) && std::isfinite(width) &&
            std::isfinite(height),
        "random_proposals: min_side must be > 0 and at most the picture's sides, ", width, " x ",
        height, ", got ", min_side);
  check(count >= 0, "random_proposals: count must be >= 0, got ", count);
  Tensor boxes({count, 4});
  Scalar* box = boxes.data().data();
  for (std::int64_t i = 0; i < count; ++i, box += 4) {
    const double w = min_side * std::pow(width / min_side, random.uniform());
    const double h = min_side * std::pow(height / min_side, random.uniform());
    const double x = random.uniform() * (width - w), y = random.uniform() * (height - h);
    box[0] = static_cast<Scalar>(x), box[1] = static_cast<Scalar>(y);
    box[2] = static_cast<Scalar>(std::min(x + w, width));
    box[3] = static_cast<Scalar>(std::min(y + h, height));
  }
  return boxes;
}

Tensor grid_proposals(double width, double height, const GridProposalOptions& options) {
  const auto positive = [](double v) { return v > 0 && std::isfinite(v); };
  check(positive(width) && positive(height),
        "grid_proposals: the picture's sides must be > 0, got ", width, " x ", height);
  check(positive(options.step), "grid_proposals: step must be > 0, got ", options.step);
  std::vector<std::array<Scalar, 4>> windows;
  for (const double side : options.sides_px)
    for (const double ratio : options.ratios) {
      check(positive(side) && positive(ratio), "grid_proposals: sides and ratios must be > 0, got ",
            side, " and ", ratio);
      add_windows(windows, width, height, side / std::sqrt(ratio), side * std::sqrt(ratio),
                  options.step);
    }
  Tensor boxes({static_cast<std::int64_t>(windows.size()), 4});
  Scalar* box = boxes.data().data();
  Random random(options.seed);
  for (const std::int64_t i : random.permutation(static_cast<std::int64_t>(windows.size())))
    box = std::ranges::copy(windows[static_cast<std::size_t>(i)], box).out;
  return boxes;
}

std::vector<Scalar> best_overlaps(const Tensor& proposals, const Tensor& truths,
                                  std::int64_t limit) {
  check_boxes(proposals, "best_overlaps", "proposals");
  check_boxes(truths, "best_overlaps", "truths");
  const Tensor iou = box_iou(truths, proposals);
  const std::int64_t all = proposals.size(0), n = limit < 0 ? all : std::min(limit, all);
  std::vector<Scalar> best;
  const Scalar* row = iou.data().data();
  for (std::int64_t g = 0; g < truths.size(0); ++g, row += all)
    best.push_back(n == 0 ? Scalar{0} : *std::max_element(row, row + n));
  return best;
}

double recall_at(const Tensor& proposals, const Tensor& truths, double iou) {
  const std::vector<Scalar> best = best_overlaps(proposals, truths);
  if (best.empty()) return 1;
  const auto found = std::ranges::count_if(
      best, [iou](Scalar overlap) { return overlap >= static_cast<Scalar>(iou); });
  return static_cast<double>(found) / static_cast<double>(best.size());
}

std::vector<ProposalScore> proposal_scores(std::span<const Tensor> proposals,
                                           std::span<const Target> targets,
                                           std::span<const std::int64_t> limits, double iou) {
  check(proposals.size() == targets.size(),
        "proposal_scores: there must be one list of proposals per target, ", targets.size(),
        ", got ", proposals.size());
  struct Class {
    double sum = 0;
    std::int64_t truths = 0, found = 0;
  };
  std::vector<ProposalScore> scores(limits.size());
  std::vector<std::map<std::int64_t, Class>> classes(limits.size());
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const Target& target = targets[i];
    check_boxes(proposals[i], "proposal_scores", "proposals");
    check_boxes(target.boxes, "proposal_scores", "target");
    check(target.labels.size() == static_cast<std::size_t>(target.boxes.size(0)),
          "proposal_scores: target must have as many labels as boxes, ", target.boxes.size(0),
          ", got ", target.labels.size());
    const std::int64_t boxes = proposals[i].size(0);
    const Tensor overlaps = box_iou(target.boxes, proposals[i]);
    for (std::size_t l = 0; l < limits.size(); ++l) {
      check(limits[l] >= 0, "proposal_scores: a limit must be >= 0, got ", limits[l]);
      const std::int64_t n = std::min(limits[l], boxes);
      scores[l].mean_boxes += static_cast<double>(n) / static_cast<double>(targets.size());
      for (std::size_t g = 0; g < target.labels.size(); ++g) {
        if (!counts(target, g)) continue;
        const Scalar* row = overlaps.data().data() + static_cast<std::int64_t>(g) * boxes;
        const Scalar best = n == 0 ? Scalar{0} : *std::max_element(row, row + n);
        Class& c = classes[l][target.labels[g]];
        c.sum += static_cast<double>(best);
        ++c.truths;
        c.found += best >= static_cast<Scalar>(iou);
      }
    }
  }
  for (std::size_t l = 0; l < limits.size(); ++l) {
    ProposalScore& score = scores[l];
    score.limit = limits[l];
    std::int64_t found = 0;
    for (const auto& [label, c] : classes[l]) {
      score.truths += c.truths;
      found += c.found;
      score.class_recall[label] = static_cast<double>(c.found) / static_cast<double>(c.truths);
      score.mabo += c.sum / static_cast<double>(c.truths) / static_cast<double>(classes[l].size());
    }
    score.recall =
        score.truths == 0 ? 1 : static_cast<double>(found) / static_cast<double>(score.truths);
  }
  return scores;
}

double mabo(std::span<const Tensor> proposals, std::span<const Target> targets) {
  const std::int64_t all[] = {std::numeric_limits<std::int64_t>::max()};
  return proposal_scores(proposals, targets, all).front().mabo;
}

}  // namespace boxgrad::detection
