#include "detection/nms.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "detection/boxes.h"

namespace boxgrad::detection {
namespace {

/// The boxes in the order of their scores, one array per coordinate, so that the sweep below reads
/// whole vectors.
struct Candidates {
  std::vector<Scalar> x1, y1, x2, y2, area;
  std::vector<std::int32_t> dropped;  // 0 or 1; as wide as a float, so that both vectorise together
  std::vector<std::size_t> rank;      // position in the caller's list

  Candidates(std::span<const Scalar> boxes, const std::vector<std::int64_t>& order) {
    const std::size_t n = order.size();
    for (auto* column : {&x1, &y1, &x2, &y2, &area}) column->resize(n);
    dropped.assign(n, 0);
    rank.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      const Scalar* box = &boxes[4 * static_cast<std::size_t>(order[i])];
      x1[i] = box[0], y1[i] = box[1], x2[i] = box[2], y2[i] = box[3];
      area[i] = (x2[i] - x1[i]) * (y2[i] - y1[i]);
      rank[i] = i;
    }
  }

  /// Removes the dropped ones among begin..end-1, keeping the order; returns the new end.
  std::size_t compact(std::size_t begin, std::size_t end) {
    std::size_t to = begin;
    for (std::size_t i = begin; i < end; ++i) {
      if (dropped[i]) continue;
      x1[to] = x1[i], y1[to] = y1[i], x2[to] = x2[i], y2[to] = y2[i];
      area[to] = area[i], rank[to] = rank[i], dropped[to] = 0;
      ++to;
    }
    return to;
  }
};

/// Marks the candidates begin..end-1 that overlap candidate i by more than the threshold; returns
/// how many were marked for the first time.
std::size_t drop_overlapping(Candidates& c, std::size_t i, std::size_t begin, std::size_t end,
                             Scalar threshold) {
  const Scalar* __restrict x1 = c.x1.data();
  const Scalar* __restrict y1 = c.y1.data();
  const Scalar* __restrict x2 = c.x2.data();
  const Scalar* __restrict y2 = c.y2.data();
  const Scalar* __restrict area = c.area.data();
  std::int32_t* __restrict dropped = c.dropped.data();
  const Scalar ix1 = x1[i], iy1 = y1[i], ix2 = x2[i], iy2 = y2[i], iarea = area[i];

  const auto intersect = [=](std::size_t j) {
    const Scalar w = std::max(Scalar{0}, std::min(ix2, x2[j]) - std::max(ix1, x1[j]));
    const Scalar h = std::max(Scalar{0}, std::min(iy2, y2[j]) - std::max(iy1, y1[j]));
    return w * h;
  };
  // Most boxes do not overlap, and a division costs as much as all the rest. So a block is first
  // asked, without dividing and a few roundings on the safe side, whether anything in it could
  // exceed the threshold; only then are the quotients computed that decide.
  constexpr std::size_t kBlock = 64;
  const Scalar low = threshold * (1 - 8 * std::numeric_limits<Scalar>::epsilon());
  std::size_t marked = 0;
  for (std::size_t block = begin; block < end; block += kBlock) {
    const std::size_t stop = std::min(block + kBlock, end);
    std::int32_t possible = 0;
    for (std::size_t j = block; j < stop; ++j) {
      const Scalar intersection = intersect(j);
      possible |= intersection > low * (iarea + area[j] - intersection) ? 1 : 0;
    }
    if (!possible) continue;
    std::int32_t fresh = 0;
    for (std::size_t j = block; j < stop; ++j) {
      const Scalar intersection = intersect(j);
      const Scalar iou = intersection / (iarea + area[j] - intersection);
      const std::int32_t drop = iou > threshold ? 1 : 0;
      fresh += drop & ~dropped[j];
      dropped[j] |= drop;
    }
    marked += static_cast<std::size_t>(fresh);
  }
  return marked;
}

/// The ranks of the kept boxes among boxes[order[0]], boxes[order[1]], ..., ascending.
std::vector<std::size_t> greedy(std::span<const Scalar> boxes,
                                const std::vector<std::int64_t>& order, Scalar threshold) {
  Candidates c(boxes, order);
  std::vector<std::size_t> kept;
  std::size_t end = order.size(), ahead = 0;  // ahead: dropped candidates not yet passed
  for (std::size_t i = 0; i < end; ++i) {
    if (c.dropped[i]) {
      --ahead;
      continue;
    }
    kept.push_back(c.rank[i]);
    ahead += drop_overlapping(c, i, i + 1, end, threshold);
    if (4 * ahead > end - i) {  // more than a quarter of the way is dead: shorten it
      end = c.compact(i + 1, end);
      ahead = 0;
    }
  }
  return kept;
}

/// Numbers in the order of descending score, the lower one first among equals.
std::vector<std::int64_t> order_by_score(const Tensor& boxes, std::span<const Scalar> scores,
                                         std::int64_t* nan_scores, const char* op) {
  check_boxes(boxes, op, "boxes");
  check(scores.size() == static_cast<std::size_t>(boxes.size(0)), op,
        ": scores must have one number per box, ", boxes.size(0), ", got ", scores.size());
  std::vector<Scalar> values(scores.begin(), scores.end());
  std::int64_t nans = 0;
  for (Scalar& value : values)
    if (std::isnan(value)) {
      value = -std::numeric_limits<Scalar>::infinity();
      ++nans;
    }
  if (nan_scores) *nan_scores = nans;
  return argsort_descending(values);
}

/// The largest Scalar <= threshold: `iou > threshold` then means in Scalars what it means in
/// doubles, as torchvision compares. (.3 as a float is .30000001: an IoU of exactly that must be
/// dropped.)
Scalar round_down(double threshold, const char* op) {
  check(threshold >= 0 && threshold <= 1, op, ": iou_threshold must be in [0, 1], got ", threshold);
  const Scalar nearest = static_cast<Scalar>(threshold);
  return static_cast<double>(nearest) <= threshold ? nearest : std::nextafter(nearest, Scalar{-1});
}

}  // namespace

std::vector<std::int64_t> nms(const Tensor& boxes, std::span<const Scalar> scores,
                              double iou_threshold, std::int64_t* nan_scores) {
  const WorkScope work("nms");
  const Scalar threshold = round_down(iou_threshold, "nms");
  const std::vector<std::int64_t> order = order_by_score(boxes, scores, nan_scores, "nms");
  std::vector<std::int64_t> kept;
  for (const std::size_t rank : greedy(boxes.data(), order, threshold)) kept.push_back(order[rank]);
  return kept;
}

std::vector<std::int64_t> batched_nms(const Tensor& boxes, std::span<const Scalar> scores,
                                      std::span<const std::int64_t> classes, double iou_threshold,
                                      std::int64_t* nan_scores) {
  const WorkScope work("nms");
  const Scalar threshold = round_down(iou_threshold, "batched_nms");
  const std::vector<std::int64_t> order = order_by_score(boxes, scores, nan_scores, "batched_nms");
  check(classes.size() == scores.size(), "batched_nms: classes must have one number per box, ",
        scores.size(), ", got ", classes.size());

  // Ranks of each class in the common order; kept ranks of all classes merge by sorting.
  std::map<std::int64_t, std::vector<std::size_t>> ranks_of_class;
  for (std::size_t rank = 0; rank < order.size(); ++rank)
    ranks_of_class[classes[static_cast<std::size_t>(order[rank])]].push_back(rank);
  std::vector<const std::vector<std::size_t>*> groups;
  for (const auto& [label, ranks] : ranks_of_class) groups.push_back(&ranks);

  std::vector<std::vector<std::size_t>> kept_of_group(groups.size());
  const auto corners = boxes.data();
  parallel_for(static_cast<std::int64_t>(groups.size()), 1, [&](auto begin, auto end) {
    for (auto k = begin; k < end; ++k) {
      const auto& ranks = *groups[static_cast<std::size_t>(k)];
      std::vector<std::int64_t> members;
      for (const std::size_t rank : ranks) members.push_back(order[rank]);
      for (const std::size_t i : greedy(corners, members, threshold))
        kept_of_group[static_cast<std::size_t>(k)].push_back(ranks[i]);
    }
  });

  std::vector<std::size_t> kept_ranks;
  for (const auto& ranks : kept_of_group)
    kept_ranks.insert(kept_ranks.end(), ranks.begin(), ranks.end());
  std::sort(kept_ranks.begin(), kept_ranks.end());
  std::vector<std::int64_t> kept;
  for (const std::size_t rank : kept_ranks) kept.push_back(order[rank]);
  return kept;
}

}  // namespace boxgrad::detection
