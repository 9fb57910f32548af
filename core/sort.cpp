#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/ops.h"

namespace boxgrad {

std::vector<std::int64_t> argsort_descending(std::span<const Scalar> values) {
  std::vector<std::int64_t> order(values.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::ranges::stable_sort(order, [values](std::int64_t a, std::int64_t b) {
    const Scalar va = values[static_cast<std::size_t>(a)], vb = values[static_cast<std::size_t>(b)];
    // NaN compares false with everything, which would break the strict weak order that sorting
    // relies on: rank it below every number.
    if (std::isnan(va) || std::isnan(vb)) return !std::isnan(va) && std::isnan(vb);
    return va > vb;
  });
  return order;
}

std::vector<std::int64_t> topk(std::span<const Scalar> values, std::int64_t k) {
  check(k >= 0, "topk: k must be >= 0, got ", k);
  std::vector<std::int64_t> order = argsort_descending(values);
  if (static_cast<std::size_t>(k) < order.size()) order.resize(static_cast<std::size_t>(k));
  return order;
}

}  // namespace boxgrad
