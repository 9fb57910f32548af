#include "layers/kernels/conv_shape.h"

#include <algorithm>
#include <numeric>

namespace boxgrad {

Range taps_inside(std::int64_t start, std::int64_t dilation, std::int64_t kernel,
                  std::int64_t size) {
  // Smallest k with start + k * dilation >= 0, and the first k that reaches `size`.
  const std::int64_t begin = start >= 0 ? 0 : (-start + dilation - 1) / dilation;
  const std::int64_t end = start >= size ? 0 : (size - start + dilation - 1) / dilation;
  return {std::min(begin, kernel), std::max(std::min(end, kernel), std::min(begin, kernel))};
}

std::vector<GradientPhase> gradient_phases(std::int64_t size, std::int64_t kernel,
                                           std::int64_t stride, std::int64_t pad,
                                           std::int64_t dilation) {
  // k * dilation = first + pad (mod stride) has a solution only if gcd(stride, dilation) divides
  // the right side; its solutions are then stride / gcd apart.
  const std::int64_t gcd = std::gcd(stride, dilation);
  std::vector<GradientPhase> phases;
  for (std::int64_t first = 0; first < std::min(stride, size); ++first) {
    GradientPhase phase;
    phase.first = first;
    phase.count = (size - first + stride - 1) / stride;
    phase.tap_step = stride / gcd;
    phase.dilation = dilation / gcd;
    std::int64_t tap = 0;
    while (tap < std::min(kernel, phase.tap_step) && (first + pad - tap * dilation) % stride != 0)
      ++tap;
    if (tap < std::min(kernel, phase.tap_step)) {
      phase.taps = (kernel - 1 - tap) / phase.tap_step + 1;
      phase.last_tap = tap + (phase.taps - 1) * phase.tap_step;
      phase.pad = -(first + pad - phase.last_tap * dilation) / stride;
    }
    phases.push_back(phase);
  }
  return phases;
}

ConvShape gradient_shape(const ConvShape& shape, const GradientPhase& rows,
                         const GradientPhase& cols) {
  ConvShape result;
  result.batch = shape.batch;
  result.in_h = shape.out_h;
  result.in_w = shape.out_w;
  result.in_c = shape.out_c;
  result.out_h = rows.count;
  result.out_w = cols.count;
  result.out_c = shape.in_c;
  result.kernel_h = rows.taps;
  result.kernel_w = cols.taps;
  result.pad_top = rows.pad;
  result.pad_left = cols.pad;
  result.dilation_h = rows.dilation;
  result.dilation_w = cols.dilation;
  result.groups = shape.groups;
  return result;
}

}  // namespace boxgrad
