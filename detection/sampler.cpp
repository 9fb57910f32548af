#include "detection/sampler.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/ops.h"
#include "detection/matcher.h"

namespace boxgrad::detection {
namespace {

using Indices = std::vector<std::int64_t>;

std::int64_t count(const Indices& indices) { return static_cast<std::int64_t>(indices.size()); }

/// All positives and all negatives, ascending.
Selection split(std::span<const std::int64_t> truth) {
  Selection all;
  for (std::size_t a = 0; a < truth.size(); ++a) {
    if (truth[a] >= 0) all.positives.push_back(static_cast<std::int64_t>(a));
    if (truth[a] == kUnmatched) all.negatives.push_back(static_cast<std::int64_t>(a));
  }
  return all;
}

/// n of the indices at random, without replacement, ascending; all of them when there are no more.
Indices random_subset(const Indices& indices, std::int64_t n, Random& random) {
  if (count(indices) <= n) return indices;
  Indices chosen = random.permutation(count(indices));
  chosen.resize(static_cast<std::size_t>(n));
  std::sort(chosen.begin(), chosen.end());
  for (std::int64_t& i : chosen) i = indices[static_cast<std::size_t>(i)];
  return chosen;
}

/// The n indices with the largest loss, largest first, equal ones in their order.
Indices hardest(const Indices& indices, std::span<const Scalar> losses, std::int64_t n) {
  std::vector<Scalar> values;
  values.reserve(indices.size());
  for (const std::int64_t i : indices) values.push_back(losses[static_cast<std::size_t>(i)]);
  Indices chosen = topk(values, std::min(n, count(indices)));
  for (std::int64_t& i : chosen) i = indices[static_cast<std::size_t>(i)];
  return chosen;
}

void check_losses(std::span<const std::int64_t> truth, std::span<const Scalar> losses,
                  const char* op) {
  check(truth.size() == losses.size(), op, ": losses must have one number per anchor, ",
        truth.size(), ", got ", losses.size());
}

/// ratio * n, rounded down; a product like 0.1 * 30 = 3.0000000000000004 must not matter either
/// way.
std::int64_t times(double ratio, std::int64_t n) {
  return static_cast<std::int64_t>(std::floor(ratio * static_cast<double>(n) + 1e-9));
}

}  // namespace

Indices Selection::all() const {
  Indices both = positives;
  both.insert(both.end(), negatives.begin(), negatives.end());
  return both;
}

Selection mine_hard_negatives(std::span<const std::int64_t> truth, std::span<const Scalar> losses,
                              const MiningOptions& options) {
  check_losses(truth, losses, "mine_hard_negatives");
  check(options.negatives_per_positive >= 0 && options.min_negatives >= 0,
        "mine_hard_negatives: options must be >= 0, got negatives_per_positive ",
        options.negatives_per_positive, ", min_negatives ", options.min_negatives);
  Selection selection = split(truth);
  const std::int64_t wanted = std::max(
      options.min_negatives, times(options.negatives_per_positive, count(selection.positives)));
  selection.negatives = hardest(selection.negatives, losses, wanted);
  return selection;
}

Selection sample_minibatch(std::span<const std::int64_t> truth, std::span<const Scalar> losses,
                           Random& random, const MinibatchOptions& options) {
  check_losses(truth, losses, "sample_minibatch");
  check(options.size >= 1, "sample_minibatch: size must be >= 1, got ", options.size);
  check(options.negatives_per_positive >= 0 && options.min_negatives >= 0 &&
            options.min_negatives <= options.size,
        "sample_minibatch: options must satisfy negatives_per_positive >= 0 and 0 <= min_negatives "
        "<= size, got ",
        options.negatives_per_positive, " and ", options.min_negatives);
  Selection selection = split(truth);
  const std::int64_t quota = times(1 / (1 + options.negatives_per_positive), options.size);
  selection.positives = random_subset(
      selection.positives, std::min(quota, options.size - options.min_negatives), random);
  const std::int64_t chosen = count(selection.positives), room = options.size - chosen;
  const std::int64_t wanted =
      options.fill
          ? room
          : std::clamp(times(options.negatives_per_positive, chosen), options.min_negatives, room);
  selection.negatives = hardest(selection.negatives, losses, wanted);
  return selection;
}

Selection sample_balanced(std::span<const std::int64_t> truth, Random& random,
                          const BalancedOptions& options) {
  check(options.size >= 1, "sample_balanced: size must be >= 1, got ", options.size);
  check(options.positive_fraction >= 0 && options.positive_fraction <= 1,
        "sample_balanced: positive_fraction must be in [0, 1], got ", options.positive_fraction);
  Selection selection = split(truth);
  selection.positives =
      random_subset(selection.positives, times(options.positive_fraction, options.size), random);
  selection.negatives =
      random_subset(selection.negatives, options.size - count(selection.positives), random);
  return selection;
}

Normalizers count_normalizers(std::span<const Selection> selections) {
  std::int64_t positives = 0, negatives = 0;
  for (const Selection& selection : selections) {
    positives += count(selection.positives);
    negatives += count(selection.negatives);
  }
  return {static_cast<Scalar>(std::max<std::int64_t>(1, positives + negatives)),
          static_cast<Scalar>(std::max<std::int64_t>(1, positives))};
}

}  // namespace boxgrad::detection
