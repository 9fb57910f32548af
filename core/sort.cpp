#include <algorithm>
#include <cmath>

#include "core/ops.h"

namespace boxgrad {

namespace {

/// Values beside their positions: sorting these touches one array, sorting positions that look up
/// their values jumps through two.
struct Ranked {
  Scalar value;
  std::int64_t index;
};

/// Larger values first, equal ones in their order: no two entries are equivalent, so that any
/// sorting algorithm gives the one stable order.
bool before(const Ranked& a, const Ranked& b) {
  return a.value != b.value ? a.value > b.value : a.index < b.index;
}

/// The first k of the order. NaN compares false with everything, which would break the order that
/// sorting relies on: those entries go to the end beforehand, in their order.
std::vector<std::int64_t> first_of_order(std::span<const Scalar> values, std::size_t k) {
  std::vector<Ranked> entries;
  std::vector<std::int64_t> not_numbers;
  entries.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i]))
      not_numbers.push_back(static_cast<std::int64_t>(i));
    else
      entries.push_back({values[i], static_cast<std::int64_t>(i)});
  }
  // A full sort is n log n, and taking apart what is wanted first n + k log k.
  if (k < entries.size()) {
    std::nth_element(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(k),
                     entries.end(), before);
    entries.resize(k);
  }
  std::sort(entries.begin(), entries.end(), before);
  std::vector<std::int64_t> order;
  order.reserve(k);
  for (const Ranked& entry : entries) order.push_back(entry.index);
  for (std::size_t i = 0; order.size() < k; ++i) order.push_back(not_numbers[i]);
  return order;
}

}  // namespace

std::vector<std::int64_t> argsort_descending(std::span<const Scalar> values) {
  return first_of_order(values, values.size());
}

std::vector<std::int64_t> topk(std::span<const Scalar> values, std::int64_t k) {
  check(k >= 0, "topk: k must be >= 0, got ", k);
  return first_of_order(values, std::min(static_cast<std::size_t>(k), values.size()));
}

std::vector<std::int64_t> argmax(const Tensor& x) {
  check(x.rank() > 0 && x.size(x.rank() - 1) > 0,
        "argmax: x must have shape [..., L] with L > 0, got ", x.shape());
  const auto row = static_cast<std::size_t>(x.size(x.rank() - 1));
  std::vector<std::int64_t> winners;
  for (std::size_t first = 0; first < x.data().size(); first += row)
    winners.push_back(topk(x.data().subspan(first, row), 1)[0]);
  return winners;
}

}  // namespace boxgrad
