#include "detection/proposals/region_hierarchy.h"

#include <algorithm>
#include <numeric>
#include <queue>

#include "core/check.h"

namespace boxgrad::detection {
namespace {

struct SimilarPair {
  double similarity;
  std::int32_t a, b;  // a < b
};

/// Most similar on top; then the lowest numbers, so that equal pairs have an order.
struct LessSimilar {
  bool operator()(const SimilarPair& p, const SimilarPair& q) const {
    if (p.similarity != q.similarity) return p.similarity < q.similarity;
    return p.a != q.a ? p.a > q.a : p.b > q.b;
  }
};

/// The state of the grouping.
class RegionGrouping {
 public:
  RegionGrouping(RegionFeatures features, const SimilarityTerms& terms, double pixels)
      : features_(std::move(features)), terms_(terms), pixels_(pixels) {
    const std::size_t n = features_.places.size();
    for (const RegionFeatures::Place& place : features_.places)
      regions_.push_back({.place = place});
    regions_.reserve(2 * n);
    row_.resize(2 * n);
    std::iota(row_.begin(), row_.end(), std::size_t{0});
    neighbors_.resize(2 * n);
    seen_by_.resize(2 * n, -1);
    alive_.resize(2 * n, true);
    for (const auto& [a, b] : features_.neighbors) {
      neighbors_[index(a)].push_back(b);
      neighbors_[index(b)].push_back(a);
      push(a, b);
    }
  }

  std::vector<Region> run() {
    while (!queue_.empty()) {
      const SimilarPair pair = queue_.top();
      queue_.pop();
      if (alive_[index(pair.a)] && alive_[index(pair.b)]) merge(pair);
    }
    return std::move(regions_);
  }

 private:
  static std::size_t index(std::int32_t region) { return static_cast<std::size_t>(region); }

  void push(std::int32_t a, std::int32_t b) {
    queue_.push({similarity(features_, row_[index(a)], row_[index(b)], terms_, pixels_), a, b});
  }

  void merge(const SimilarPair& pair) {
    const std::int32_t t = static_cast<std::int32_t>(regions_.size());
    merge_regions(features_, row_[index(pair.a)], row_[index(pair.b)]);
    row_[index(t)] = row_[index(pair.a)];  // the union takes over the row of one of its parts
    regions_.push_back({features_.places[row_[index(t)]], pair.a, pair.b, pair.similarity});
    alive_[index(pair.a)] = alive_[index(pair.b)] = false;
    for (const std::int32_t part : {pair.a, pair.b}) {
      for (const std::int32_t other : neighbors_[index(part)]) {
        if (!alive_[index(other)] || seen_by_[index(other)] == t) continue;
        seen_by_[index(other)] = t;
        neighbors_[index(t)].push_back(other);
        neighbors_[index(other)].push_back(t);
        push(other, t);
      }
      neighbors_[index(part)] = {};
    }
  }

  RegionFeatures features_;
  SimilarityTerms terms_;
  double pixels_;
  std::vector<Region> regions_;
  std::vector<std::size_t> row_;  // in features_
  std::vector<std::vector<std::int32_t>> neighbors_;
  std::vector<std::int32_t> seen_by_;  // the last union that met this region
  std::vector<bool> alive_;            // not yet a part of another
  std::priority_queue<SimilarPair, std::vector<SimilarPair>, LessSimilar> queue_;
};

}  // namespace

Segmentation RegionHierarchy::level(std::int32_t count) const {
  check(count >= 1 && count <= segmentation.count, "RegionHierarchy: level must be from 1 to ",
        segmentation.count, " regions, got ", count);
  // Parents come after their children: from the end, each region learns in what it ended.
  const std::size_t made = regions.size() - static_cast<std::size_t>(count) + 1;
  std::vector<std::int32_t> top(regions.size());
  std::iota(top.begin(), top.end(), 0);
  for (std::size_t r = made; r-- > 0;)
    for (const std::int32_t part : {regions[r].left, regions[r].right})
      if (part >= 0) top[static_cast<std::size_t>(part)] = top[r];
  Segmentation result = segmentation;
  result.count = 0;
  std::vector<std::int32_t> number(regions.size(), -1);
  for (std::int32_t& label : result.labels) {
    std::int32_t& n = number[static_cast<std::size_t>(top[static_cast<std::size_t>(label)])];
    if (n < 0) n = result.count++;
    label = n;
  }
  return result;
}

RegionHierarchy group_regions(Segmentation segmentation, RegionFeatures features,
                              const SimilarityTerms& terms) {
  check(features.places.size() == static_cast<std::size_t>(segmentation.count),
        "group_regions: features must have one row per segment, ", segmentation.count, ", got ",
        features.places.size());
  const double pixels =
      static_cast<double>(segmentation.width) * static_cast<double>(segmentation.height);
  RegionGrouping grouping(std::move(features), terms, pixels);
  return {std::move(segmentation), grouping.run()};
}

}  // namespace boxgrad::detection
