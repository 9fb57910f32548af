#include "detection/matcher.h"

#include <algorithm>

#include "core/autograd.h"
#include "core/check.h"
#include "detection/boxes.h"

namespace boxgrad::detection {
namespace {

/// Fills matches.iou and gives every anchor's best truth, the lowest number among equals.
std::vector<std::int64_t> best_truths(const Tensor& iou, Matches& matches) {
  const std::int64_t num_truths = iou.size(0), num_anchors = iou.size(1);
  const auto value = iou.data();
  std::vector<std::int64_t> best(static_cast<std::size_t>(num_anchors), kUnmatched);
  matches.iou.assign(static_cast<std::size_t>(num_anchors), 0);
  for (std::int64_t g = 0; g < num_truths; ++g) {
    const auto row = value.subspan(static_cast<std::size_t>(g * num_anchors),
                                   static_cast<std::size_t>(num_anchors));
    for (std::size_t a = 0; a < row.size(); ++a)
      if (g == 0 || row[a] > matches.iou[a]) {
        matches.iou[a] = row[a];
        best[a] = g;
      }
  }
  return best;
}

void count_unmatched(Matches& matches, std::int64_t num_truths) {
  std::vector<bool> seen(static_cast<std::size_t>(num_truths), false);
  for (const std::int64_t g : matches.truth)
    if (g >= 0) seen[static_cast<std::size_t>(g)] = true;
  matches.unmatched_truths = std::count(seen.begin(), seen.end(), false);
}

void check_iou(const Tensor& iou, const char* op) {
  check(iou.defined() && iou.rank() == 2, op, ": iou must have shape [truths, anchors], got ",
        iou.defined() ? iou.shape().to_string() : "an undefined tensor");
}

}  // namespace

Matcher::Matcher(MatcherOptions options) : options_(options) {
  check(options.negative >= 0 && options.positive >= options.negative,
        "Matcher: thresholds must satisfy 0 <= negative <= positive, got negative ",
        options.negative, ", positive ", options.positive);
}

Matches Matcher::operator()(const Tensor& iou) const {
  const WorkScope work("match");
  check_iou(iou, "Matcher");
  const std::int64_t num_truths = iou.size(0);
  Matches matches;
  const std::vector<std::int64_t> best = best_truths(iou, matches);
  matches.truth.assign(best.size(), kUnmatched);
  if (num_truths == 0) return matches;

  for (std::size_t a = 0; a < best.size(); ++a) {
    if (matches.iou[a] >= options_.positive)
      matches.truth[a] = best[a];
    else if (matches.iou[a] >= options_.negative)
      matches.truth[a] = kIgnored;
  }
  if (options_.allow_low_quality && !best.empty()) {
    const auto value = iou.data();
    for (std::size_t begin = 0; begin < value.size(); begin += best.size()) {
      const auto row = value.subspan(begin, best.size());
      const Scalar largest = *std::max_element(row.begin(), row.end());
      if (!(largest > 0)) continue;
      for (std::size_t a = 0; a < row.size(); ++a)
        if (row[a] == largest) matches.truth[a] = best[a];
    }
  }
  count_unmatched(matches, num_truths);
  return matches;
}

Matches ssd_match(const Tensor& iou, Scalar threshold) {
  const WorkScope work("match");
  check_iou(iou, "ssd_match");
  check(threshold >= 0, "ssd_match: threshold must be >= 0, got ", threshold);
  const std::int64_t num_truths = iou.size(0);
  Matches matches;
  const std::vector<std::int64_t> best = best_truths(iou, matches);
  const std::size_t num_anchors = best.size();
  matches.truth.assign(num_anchors, kUnmatched);
  const auto value = iou.data();

  // The best free anchor of each truth that still has none; looked up again only when another
  // truth took that anchor, so that the usual cost is one pass over iou, not one for each truth.
  struct Wish {
    std::size_t truth, anchor;
    Scalar iou;
  };
  const auto make_wish = [&](std::size_t g) {
    const auto row = value.subspan(g * num_anchors, num_anchors);
    Wish wish{g, 0, 0};
    for (std::size_t a = 0; a < num_anchors; ++a)
      if (row[a] > wish.iou && matches.truth[a] == kUnmatched) wish = {g, a, row[a]};
    return wish;
  };
  std::vector<Wish> wishes;
  for (std::size_t g = 0; g < static_cast<std::size_t>(num_truths); ++g)
    wishes.push_back(make_wish(g));

  constexpr Scalar kSmallest =
      Scalar(1e-6);  // Caffe's: below it two boxes do not count as touching
  while (true) {
    const auto first =
        std::min_element(wishes.begin(), wishes.end(), [](const Wish& a, const Wish& b) {
          if (a.iou != b.iou) return a.iou > b.iou;
          if (a.anchor != b.anchor) return a.anchor < b.anchor;
          return a.truth < b.truth;
        });
    if (first == wishes.end() || !(first->iou > kSmallest)) break;
    const std::size_t taken = first->anchor;
    matches.truth[taken] = static_cast<std::int64_t>(first->truth);
    wishes.erase(first);
    for (Wish& wish : wishes)
      if (wish.anchor == taken) wish = make_wish(wish.truth);
  }

  for (std::size_t a = 0; a < num_anchors; ++a)
    if (num_truths > 0 && matches.truth[a] == kUnmatched && matches.iou[a] >= threshold)
      matches.truth[a] = best[a];
  count_unmatched(matches, num_truths);
  return matches;
}

void ignore_flagged(std::vector<std::int64_t>& truth, const std::vector<bool>& flagged) {
  for (std::int64_t& g : truth)
    if (g >= 0 && static_cast<std::size_t>(g) < flagged.size() &&
        flagged[static_cast<std::size_t>(g)])
      g = kIgnored;
}

void check_truth_labels(const char* op, const std::vector<std::int64_t>& labels,
                        std::int64_t num_classes) {
  for (const std::int64_t label : labels)
    check(label >= 1 && label <= num_classes, op, ": a truth's label must be 1 to ", num_classes,
          " (num_classes), got ", label);
}

std::vector<std::int64_t> anchor_labels(const Matches& matches,
                                        const std::vector<std::int64_t>& truth_labels) {
  std::vector<std::int64_t> labels;
  labels.reserve(matches.truth.size());
  for (const std::int64_t g : matches.truth) {
    check(g < static_cast<std::int64_t>(truth_labels.size()), "anchor_labels: truth ", g,
          " is matched, but there are only ", truth_labels.size(), " labels");
    labels.push_back(g >= 0 ? truth_labels[static_cast<std::size_t>(g)] : g == kUnmatched ? 0 : -1);
  }
  return labels;
}

Tensor matched_boxes(const Matches& matches, const Tensor& truth_boxes,
                     const std::vector<std::int64_t>& anchor_indices) {
  check_boxes(truth_boxes, "matched_boxes", "truth_boxes");
  Tensor boxes = Tensor::empty({static_cast<std::int64_t>(anchor_indices.size()), 4});
  const auto from = truth_boxes.data();
  auto to = boxes.data().begin();
  for (const std::int64_t a : anchor_indices) {
    check(a >= 0 && a < static_cast<std::int64_t>(matches.truth.size()), "matched_boxes: anchor ",
          a, " does not exist, there are ", matches.truth.size());
    const std::int64_t g = matches.truth[static_cast<std::size_t>(a)];
    check(g >= 0 && g < truth_boxes.size(0), "matched_boxes: anchor ", a, " has truth ", g,
          ", which is not among the ", truth_boxes.size(0), " boxes");
    to = std::copy_n(from.begin() + 4 * g, 4, to);
  }
  return boxes;
}

}  // namespace boxgrad::detection
