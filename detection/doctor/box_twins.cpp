#include "detection/doctor/box_twins.h"

#include <algorithm>
#include <numeric>

namespace boxgrad::detection {

namespace {

constexpr std::size_t kNeighbours = 1000;

double iou_of(const PhotoEntry::Object& a, const PhotoEntry::Object& b) {
  const double w = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const double h = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  if (w <= 0 || h <= 0) return 0;
  const double shared = w * h;
  return shared / ((a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - shared);
}

}  // namespace

std::vector<BoxTwins> box_twins(const PhotoEntry& photo, double min_iou) {
  const auto& objects = photo.objects;
  // By their left edges: boxes that start right of this one's end overlap it no more.
  std::vector<std::size_t> order(objects.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(objects[i].x1, i); });
  std::vector<BoxTwins> best(objects.size());
  for (std::size_t a = 0; a < order.size(); ++a)
    for (std::size_t b = a + 1; b < std::min(order.size(), a + kNeighbours); ++b) {
      const PhotoEntry::Object &left = objects[order[a]], &right = objects[order[b]];
      if (right.x1 >= left.x2) break;
      if (left.crowd || right.crowd) continue;
      const double iou = iou_of(left, right);
      const auto [first, second] = std::minmax(order[a], order[b]);
      const BoxTwins& before = best[second];
      if (iou >= min_iou && (iou > before.iou || (iou == before.iou && first < before.first)))
        best[second] = {first, second, iou};
    }
  std::erase_if(best, [](const BoxTwins& twins) { return twins.iou == 0; });
  return best;
}

}  // namespace boxgrad::detection
