#pragma once

#include <cstdint>
#include <vector>

#include "core/parallel.h"

namespace boxgrad::kernels {

/// f(0) + ... + f(n-1) in double, on all threads, with the same bits for any number of them: each
/// chunk of fixed size has its own sum, and these are added in order. Within a chunk eight
/// running sums take turns, so that an addition need not wait for the one before.
template <class F>
double ordered_sum(std::int64_t n, F f) {
  constexpr std::int64_t kChunk = 16384, kLanes = 8;
  std::vector<double> partial(static_cast<std::size_t>((n + kChunk - 1) / kChunk));
  parallel_for(n, kChunk, [&](std::int64_t begin, std::int64_t end) {
    double lane[kLanes] = {};
    std::int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes)
      for (std::int64_t k = 0; k < kLanes; ++k)
        lane[k] += static_cast<double>(f(static_cast<std::size_t>(i + k)));
    for (; i < end; ++i) lane[0] += static_cast<double>(f(static_cast<std::size_t>(i)));
    double sum = 0;
    for (const double s : lane) sum += s;
    partial[static_cast<std::size_t>(begin / kChunk)] = sum;
  });
  double total = 0;
  for (const double sum : partial) total += sum;
  return total;
}

}  // namespace boxgrad::kernels
