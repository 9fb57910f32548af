#include "detection/training/map_store.h"

#include <utility>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"

namespace boxgrad::detection {

MapStore::MapStore(std::filesystem::path folder, ScalePyramid pyramid)
    : pyramid_(std::move(pyramid)), store_(std::move(folder)) {
  pyramid_.factors(1, 1);  // throws if there are none
}

void MapStore::write(std::int64_t number, const Tensor& image,
                     const std::function<Tensor(const Tensor& scaled)>& map) {
  check(number >= 0, "MapStore: the image's number must be >= 0, got ", number);
  check(image.rank() == 4 && image.size(0) == 1, "MapStore: image must be [1, H, W, C], got ",
        image.shape());
  const NoGradGuard guard;
  Entry entry{static_cast<double>(image.size(2)), static_cast<double>(image.size(1))};
  const std::vector<double> factors = pyramid_.factors(entry.width, entry.height);
  for (std::size_t s = 0; s < factors.size(); ++s) {
    const Tensor one = map(image_at_scale(image, factors[s]));
    check(one.rank() == 4 && one.size(0) == 1, "MapStore: a map must be [1, h, w, D], got ",
          one.shape());
    entry.shapes.push_back({1, one.size(1), one.size(2), one.size(3)});
    store_.write(number * scales() + static_cast<std::int64_t>(s),
                 reshape(one, {one.size(1) * one.size(2), one.size(3)}));
    ++maps_;
  }
  const auto n = static_cast<std::size_t>(number);
  if (entries_.size() <= n) entries_.resize(n + 1);
  entries_[n] = std::move(entry);
}

Tensor MapStore::features(
    std::int64_t number, const Tensor& boxes, ScaleChoice choice, Random& random,
    const std::function<Tensor(const Tensor& map, const Tensor& boxes)>& pool) const {
  const auto n = static_cast<std::size_t>(number);
  check(number >= 0 && n < entries_.size() && entries_[n].width > 0,
        "MapStore: no map was written for image ", number);
  const Entry& entry = entries_[n];
  const std::vector<double> factors = pyramid_.factors(entry.width, entry.height);
  std::vector<std::size_t> chosen = nearest_scales(boxes, factors, pyramid_.region_px);
  if (choice == ScaleChoice::random)
    for (std::size_t& scale : chosen) scale = static_cast<std::size_t>(random.below(scales()));
  return features_by_scale(boxes, chosen, [&](std::size_t s, const Tensor& own) {
    const Tensor rows = store_.read(number * scales() + static_cast<std::int64_t>(s));
    const std::int64_t cells = entry.shapes[s][1] * entry.shapes[s][2];
    check(rows.size(0) == cells, "MapStore: the map of image ", number, " on disk has ",
          rows.size(0), " cells, was written with ", cells);
    return pool(reshape(rows, entry.shapes[s]),
                boxes_at_scale(own, entry.width, entry.height, factors[s]));
  });
}

}  // namespace boxgrad::detection
