#include "detection/regions.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <map>
#include <numeric>
#include <utility>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"
#include "detection/matcher.h"
#include "detection/nms.h"

namespace boxgrad::detection {

Regions label_regions(const Tensor& proposals, const Target& target, const RegionOptions& options) {
  check(options.positive > 0 && options.negative_low >= 0 &&
            options.negative_low <= options.negative_high &&
            options.negative_high <= options.positive,
        "label_regions: expected 0 <= negative_low <= negative_high <= positive, got ",
        options.negative_low, ", ", options.negative_high, " and ", options.positive);
  check_boxes(proposals, "label_regions", "proposals");
  check_boxes(target.boxes, "label_regions", "truths");

  Regions result;
  result.truth_boxes = target.boxes;
  std::vector<Scalar> numbers;
  const auto append = [&](const Tensor& boxes) {
    const auto values = boxes.data();
    for (std::size_t i = 0; i < values.size(); i += 4)
      if (values[i + 2] - values[i] > Scalar(1e-3) && values[i + 3] - values[i + 1] > Scalar(1e-3))
        numbers.insert(numbers.end(), values.begin() + static_cast<std::ptrdiff_t>(i),
                       values.begin() + static_cast<std::ptrdiff_t>(i + 4));
  };
  append(proposals);
  if (options.add_truths) append(target.boxes);
  const auto count = static_cast<std::int64_t>(numbers.size() / 4);
  result.boxes = Tensor({count, 4}, numbers);

  const Tensor iou = box_iou(target.boxes, result.boxes);  // [G, P]
  const auto overlaps = iou.data();
  for (std::int64_t p = 0; p < count; ++p) {
    std::int64_t best = -1;
    Scalar largest = 0;
    for (std::int64_t g = 0; g < target.boxes.size(0); ++g) {
      const Scalar value = overlaps[static_cast<std::size_t>(g * count + p)];
      if (value > largest) largest = value, best = g;
    }
    std::int64_t truth = kIgnored;
    if (largest >= options.positive)
      truth = best;
    else if (largest >= options.negative_low && largest < options.negative_high)
      truth = kUnmatched;
    result.truth.push_back(truth);
    result.iou.push_back(largest);
  }
  ignore_flagged(result.truth, target.difficult);
  for (const std::int64_t g : result.truth)
    result.labels.push_back(g >= 0            ? target.labels[static_cast<std::size_t>(g)]
                            : g == kUnmatched ? 0
                                              : -1);
  return result;
}

LabelledRegions labelled_regions(const Tensor& proposals, const Target& target,
                                 const RegionOptions& options) {
  const Regions all = label_regions(proposals, target, options);
  LabelledRegions result;
  std::vector<std::int64_t> kept;
  for (std::size_t r = 0; r < all.labels.size(); ++r)
    if (all.labels[r] >= 0) {
      kept.push_back(static_cast<std::int64_t>(r));
      result.labels.push_back(all.labels[r]);
    }
  result.boxes = index_select(all.boxes, 0, kept);
  return result;
}

std::vector<LabelledRegions> sample_regions(const std::vector<LabelledRegions>& images,
                                            const BalancedOptions& sampling, Random& random) {
  std::vector<std::int64_t> truth;  // of all images, one after the other; who is positive
  for (const LabelledRegions& image : images)
    for (const std::int64_t label : image.labels) truth.push_back(label > 0 ? 0 : kUnmatched);
  std::vector<std::int64_t> chosen = sample_balanced(truth, random, sampling).all();
  std::ranges::sort(chosen);  // image by image

  std::vector<LabelledRegions> result;
  auto next = chosen.begin();
  std::int64_t first = 0;  // number of the image's first region
  for (const LabelledRegions& image : images) {
    LabelledRegions& some = result.emplace_back();
    const std::int64_t end = first + std::ssize(image.labels);
    std::vector<std::int64_t> own;
    for (; next != chosen.end() && *next < end; ++next) {
      own.push_back(*next - first);
      some.labels.push_back(image.labels[static_cast<std::size_t>(own.back())]);
    }
    some.boxes = index_select(image.boxes, 0, own);
    first = end;
  }
  return result;
}

std::vector<LabelledRegions> sample_regions(const std::vector<Tensor>& proposals,
                                            const std::vector<Target>& targets,
                                            const RegionOptions& options,
                                            const BalancedOptions& sampling, Random& random) {
  check(proposals.size() == targets.size(), "sample_regions: expected proposals for ",
        targets.size(), " images, got ", proposals.size());
  std::vector<LabelledRegions> images;
  for (std::size_t n = 0; n < targets.size(); ++n)
    images.push_back(labelled_regions(proposals[n], targets[n], options));
  return sample_regions(images, sampling, random);
}

Tensor region_targets(const Regions& regions, const std::vector<std::int64_t>& chosen) {
  Tensor targets({static_cast<std::int64_t>(chosen.size()), 4});
  std::vector<std::int64_t> positives, rows, truths;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const std::int64_t truth = regions.truth.at(static_cast<std::size_t>(chosen[i]));
    if (truth < 0) continue;
    positives.push_back(chosen[i]);
    truths.push_back(truth);
    rows.push_back(static_cast<std::int64_t>(i));
  }
  const NoGradGuard guard;
  const Tensor encoded = encode_boxes(index_select(regions.truth_boxes, 0, truths),
                                      index_select(regions.boxes, 0, positives), kUnitBoxWeights);
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::copy_n(encoded.data().begin() + static_cast<std::ptrdiff_t>(4 * i), 4,
                targets.data().begin() + 4 * rows[i]);
  return targets;
}

TargetStatistics target_statistics(const std::vector<Regions>& images, std::int64_t num_classes) {
  const auto classes = static_cast<std::size_t>(num_classes) + 1;
  std::vector<std::vector<std::array<double, 4>>> values(classes);
  for (const Regions& image : images) {
    std::vector<std::int64_t> positives;
    for (std::size_t i = 0; i < image.labels.size(); ++i)
      if (image.labels[i] > 0) positives.push_back(static_cast<std::int64_t>(i));
    const Tensor targets = region_targets(image, positives);
    for (std::size_t i = 0; i < positives.size(); ++i) {
      const auto label =
          static_cast<std::size_t>(image.labels[static_cast<std::size_t>(positives[i])]);
      check(label < classes, "target_statistics: label ", label, " of ", num_classes, " classes");
      std::array<double, 4> row;
      for (std::size_t k = 0; k < 4; ++k) row[k] = static_cast<double>(targets.data()[4 * i + k]);
      values[label].push_back(row);
    }
  }
  TargetStatistics result{Tensor({num_classes + 1, 4}), Tensor({num_classes + 1, 4})};
  constexpr std::array<double, 4> kUsual{0.1, 0.1, 0.2, 0.2};
  for (std::size_t label = 0; label < classes; ++label)
    for (std::size_t k = 0; k < 4; ++k) {
      // Two passes: E[x^2] - E[x]^2 can come out below 0.
      double mean = 0, variance = 0;
      const auto n = static_cast<double>(values[label].size());
      for (const auto& row : values[label]) mean += row[k] / n;
      for (const auto& row : values[label]) variance += (row[k] - mean) * (row[k] - mean) / n;
      const bool varies = values[label].size() >= 2 && variance > 1e-8;
      result.mean.data()[4 * label + k] = varies ? static_cast<Scalar>(mean) : Scalar{0};
      result.std.data()[4 * label + k] = static_cast<Scalar>(varies       ? std::sqrt(variance)
                                                             : label == 0 ? 1
                                                                          : kUsual[k]);
    }
  return result;
}

std::vector<std::int64_t> ohem_select(const Tensor& boxes, const std::vector<std::int64_t>& images,
                                      const std::vector<std::int64_t>& labels,
                                      const std::vector<Scalar>& losses, const OhemOptions& options,
                                      std::vector<std::int64_t>* suppressed) {
  check_boxes(boxes, "ohem_select", "boxes");
  const auto count = static_cast<std::size_t>(boxes.size(0));
  check(images.size() == count && labels.size() == count && losses.size() == count,
        "ohem_select: expected ", count, " images, labels and losses, got ", images.size(), ", ",
        labels.size(), " and ", losses.size());
  check(options.size >= 1, "ohem_select: size must be >= 1, got ", options.size);

  if (suppressed != nullptr) suppressed->clear();
  std::vector<Scalar> hardness = losses;
  for (Scalar& value : hardness)
    if (std::isnan(value)) value = std::numeric_limits<Scalar>::infinity();
  std::vector<std::int64_t> order = argsort_descending(hardness);
  const auto take = [&](std::vector<std::int64_t>& list) {
    list.resize(std::min(list.size(), static_cast<std::size_t>(options.size)));
  };
  if (!options.suppress_first) take(order);
  if (options.suppress) {
    // Regions of different images or labels do not meet: each group on its own.
    std::map<std::pair<std::int64_t, std::int64_t>, std::vector<std::int64_t>> groups;
    for (const std::int64_t i : order) {
      const auto r = static_cast<std::size_t>(i);
      groups[{images[r], labels[r]}].push_back(i);
    }
    std::vector<bool> kept(count, false);
    for (const auto& [key, members] : groups) {
      std::vector<Scalar> scores;
      for (const std::int64_t i : members) scores.push_back(hardness[static_cast<std::size_t>(i)]);
      for (const std::int64_t k : nms(index_select(boxes, 0, members), scores, options.nms_iou))
        kept[static_cast<std::size_t>(members[static_cast<std::size_t>(k)])] = true;
    }
    const auto is_kept = [&](std::int64_t i) { return kept[static_cast<std::size_t>(i)]; };
    if (suppressed != nullptr)
      std::ranges::copy_if(order, std::back_inserter(*suppressed), std::not_fn(is_kept));
    std::erase_if(order, std::not_fn(is_kept));
  }
  if (options.suppress_first) take(order);
  return order;
}

}  // namespace boxgrad::detection
