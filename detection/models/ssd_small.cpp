#include "detection/models/ssd_small.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "detection/models/separable_net.h"

namespace boxgrad::detection {

std::shared_ptr<Ssd> make_ssd_small(SsdSmallOptions options) {
  const std::size_t maps = options.sides.size() / 2;
  check(options.sides.size() == 4 || options.sides.size() == 6,
        "make_ssd_small: sides must be 4 (two maps) or 6 (three maps), got ", options.sides.size());
  const int only = options.only_stride;
  check(only == 0 || only == 8 || only == 16,
        "make_ssd_small: only_stride must be 0, 8 or 16, got ", only);
  SeparableNetOptions net;
  net.stages = {{.channels = 32, .stride = 2},
                {.channels = 48},
                {.channels = 96, .blocks = 3, .stride = 2, .output = true},
                {.channels = 128, .blocks = 2, .stride = 2, .output = true}};
  if (maps == 3 && only == 0)
    net.stages.push_back({.channels = 128, .blocks = 1, .stride = 2, .output = true});
  if (only == 8) net.stages.pop_back();
  if (only == 16) net.stages[2].output = false;

  options.ssd.head_kernel = 1;
  options.ssd.levels.clear();
  if (only != 0)
    options.ssd.levels.push_back(
        {ratio_box_sizes(options.sides, options.ratios), static_cast<Scalar>(only)});
  for (std::size_t map = 0; map < maps && only == 0; ++map)
    options.ssd.levels.push_back(
        {.sizes =
             ratio_box_sizes({options.sides[2 * map], options.sides[2 * map + 1]}, options.ratios),
         .stride_px = static_cast<Scalar>(8 << map)});
  return std::make_shared<Ssd>(std::make_shared<SeparableNet>(net), options.ssd);
}

std::vector<Scalar> anchor_sides(const Dataset& dataset, const Preparation& preparation, int count,
                                 bool classes_alike) {
  std::vector<std::pair<double, std::int64_t>> sides;  // and labels
  std::map<std::int64_t, double> boxes;                // of each label
  const std::int64_t images = std::min<std::int64_t>(dataset.size(), 300);
  for (std::int64_t k = 0; k < images; ++k) {
    const Sample sample = preparation.apply(dataset.get(k * dataset.size() / images));
    const std::vector<Scalar> areas = box_area(sample.target.boxes).to_vector();
    for (std::size_t g = 0; g < areas.size(); ++g) {
      const std::int64_t label = classes_alike ? sample.target.labels[g] : 1;
      sides.emplace_back(std::sqrt(static_cast<double>(areas[g])), label);
      ++boxes[label];
    }
  }
  check(count >= 2, "anchor_sides: count must be >= 2, got ", count);
  check(!sides.empty(), "anchor_sides: there is no box to learn from in ", images, " images");
  std::ranges::sort(sides);
  // The first side with at least the share q of all weight up to it; a class weighs 1.
  const auto quantile = [&](double q) {
    double weight = 0;
    for (const auto& [side, label] : sides) {
      weight += 1 / boxes.at(label);
      if (weight >= q * static_cast<double>(boxes.size())) return side;
    }
    return sides.back().first;
  };
  const double low = std::max(quantile(0.05), 4.0), high = std::max(quantile(0.95), 1.2 * low);
  std::vector<Scalar> result;
  for (int k = 0; k < count; ++k)
    result.push_back(
        static_cast<Scalar>(low * std::pow(high / low, static_cast<double>(k) / (count - 1))));
  return result;
}

}  // namespace boxgrad::detection
