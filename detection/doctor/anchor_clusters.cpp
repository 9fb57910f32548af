#include "detection/doctor/anchor_clusters.h"

#include <algorithm>

#include "core/check.h"
#include "core/random.h"

namespace boxgrad::detection {

namespace {

constexpr int kMostRounds = 100;

struct Nearest {
  std::size_t size = 0;
  double iou = -1;
};

Nearest nearest(const BoxSize& box, const std::vector<BoxSize>& sizes) {
  Nearest best;
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    const double iou = size_iou(box, sizes[k]);
    if (iou > best.iou) best = {k, iou};
  }
  return best;
}

/// Boxes drawn one after the other, each with a probability that grows with the square of its
/// distance to the nearest one drawn before.
std::vector<BoxSize> first_sizes(const std::vector<BoxSize>& boxes, int count, Random& random) {
  std::vector<BoxSize> sizes{
      boxes[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(boxes.size())))]};
  std::vector<double> distance(boxes.size(), 1);
  while (static_cast<int>(sizes.size()) < count) {
    double sum = 0;
    for (std::size_t i = 0; i < boxes.size(); ++i) {
      distance[i] = std::min(distance[i], 1 - size_iou(boxes[i], sizes.back()));
      sum += distance[i] * distance[i];
    }
    if (sum < 1e-12) break;  // every box is a size already
    double left = random.uniform() * sum;
    std::size_t drawn = 0;
    for (std::size_t i = 0; i < boxes.size(); ++i) {
      if (distance[i] > 0) drawn = i;
      left -= distance[i] * distance[i];
      if (left < 0) break;
    }
    sizes.push_back(boxes[drawn]);
  }
  return sizes;
}

}  // namespace

double size_iou(const BoxSize& a, const BoxSize& b) {
  const double aw = a.width, ah = a.height, bw = b.width, bh = b.height;
  const double shared = std::min(aw, bw) * std::min(ah, bh);
  return shared / (aw * ah + bw * bh - shared);
}

AnchorClusters cluster_sizes(const std::vector<BoxSize>& boxes, int count, std::uint64_t seed) {
  check(!boxes.empty(), "cluster_sizes: there are no boxes");
  check(count >= 1, "cluster_sizes: count must be >= 1, got ", count);
  for (const BoxSize& box : boxes)
    check(box.width > 0 && box.height > 0, "cluster_sizes: a box must have an area, got ",
          box.width, " x ", box.height);
  Random random(seed);
  std::vector<BoxSize> sizes = first_sizes(boxes, count, random);
  AnchorClusters best{.sizes = {}, .mean_iou = -1, .matched = 0};
  for (int round = 0; round < kMostRounds; ++round) {
    struct Sum {
      double width = 0, height = 0, boxes = 0;
    };
    std::vector<Sum> sums(sizes.size());
    double iou = 0, matched = 0;
    for (const BoxSize& box : boxes) {
      const Nearest own = nearest(box, sizes);
      Sum& sum = sums[own.size];
      sum.width += box.width, sum.height += box.height, ++sum.boxes;
      iou += own.iou;
      matched += own.iou >= 0.5 ? 1 : 0;
    }
    const auto n = static_cast<double>(boxes.size());
    const bool better = iou / n > best.mean_iou + 1e-9;
    if (better) best = {sizes, iou / n, matched / n};
    std::vector<BoxSize> moved = sizes;
    for (std::size_t k = 0; k < sizes.size(); ++k)
      if (sums[k].boxes > 0)
        moved[k] = {static_cast<Scalar>(sums[k].width / sums[k].boxes),
                    static_cast<Scalar>(sums[k].height / sums[k].boxes)};
    const bool still = std::ranges::equal(moved, sizes, [](const BoxSize& a, const BoxSize& b) {
      return a.width == b.width && a.height == b.height;
    });
    if (still) break;
    sizes = moved;
  }
  std::ranges::sort(best.sizes, {}, [](const BoxSize& s) { return s.width * s.height; });
  return best;
}

}  // namespace boxgrad::detection
