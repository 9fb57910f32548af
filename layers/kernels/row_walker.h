#pragma once

#include <algorithm>
#include <cstdint>

#include "core/scalar.h"
#include "layers/kernels/conv_shape.h"

namespace boxgrad {

/// Neighbouring outputs of one row whose filters reach the same taps inside the map, and where
/// those taps are. Steps are in Scalars; x is [N, H, W, C] and C = shape.in_c.
struct OutputRun {
  std::int64_t first, count;  ///< the outputs ow = first .. first + count - 1
  std::int64_t rows, taps;    ///< extent of the part of the filter inside the map
  const Scalar* x;            ///< input under its first tap, for output `first`
  std::int64_t x_row, x_tap;  ///< from one tap to the next, down and right
  std::int64_t x_pixel;       ///< from one output to the next
  std::int64_t tap;           ///< its first tap, as a number kh * KW + kw ...
  std::int64_t tap_row;       ///< ... and how much that grows from one filter row to the next
};

/// Cuts rows of outputs into such runs: one for the outputs whose filter lies wholly inside the
/// map's width, and one for each output at the two edges. Kernels that loop over a row directly
/// (depthwise, narrow) thus meet the borders without a test in their inner loops.
class RowWalker {
 public:
  explicit RowWalker(const ConvShape& shape) : s_(shape) {
    if (s_.kernel_w == 0) return;  // a phase of the input gradient without taps
    const auto first_reading_from = [&](std::int64_t iw) {  // smallest ow that starts at >= iw
      const std::int64_t from = iw + s_.pad_left;
      return from <= 0 ? 0 : (from + s_.stride_w - 1) / s_.stride_w;
    };
    const std::int64_t reach = (s_.kernel_w - 1) * s_.dilation_w;
    inner_.begin = std::min(first_reading_from(0), s_.out_w);
    inner_.end = std::clamp(first_reading_from(s_.in_w - reach), inner_.begin, s_.out_w);
  }

  /// Calls use(run) for runs that cover the outputs (n, oh, 0..out_w-1) in order.
  template <class Use>
  void operator()(const Scalar* x, std::int64_t n, std::int64_t oh, Use&& use) const {
    const std::int64_t ih = oh * s_.stride_h - s_.pad_top;
    const Range rows = taps_inside(ih, s_.dilation_h, s_.kernel_h, s_.in_h);
    OutputRun run;
    run.rows = rows.end - rows.begin;
    run.x_row = s_.dilation_h * s_.in_w * s_.in_c;
    run.x_tap = s_.dilation_w * s_.in_c;
    run.x_pixel = s_.stride_w * s_.in_c;
    run.tap_row = s_.kernel_w;
    const std::int64_t first_row = run.rows > 0 ? ih + rows.begin * s_.dilation_h : 0;
    const Scalar* x_row = x + (n * s_.in_h + first_row) * s_.in_w * s_.in_c;

    const auto visit = [&](std::int64_t first, std::int64_t count) {
      if (count <= 0) return;
      const std::int64_t iw = first * s_.stride_w - s_.pad_left;
      const Range taps = taps_inside(iw, s_.dilation_w, s_.kernel_w, s_.in_w);
      run.first = first;
      run.count = count;
      run.taps = taps.end - taps.begin;
      run.x = run.taps > 0 ? x_row + (iw + taps.begin * s_.dilation_w) * s_.in_c : x_row;
      run.tap = rows.begin * s_.kernel_w + taps.begin;
      use(static_cast<const OutputRun&>(run));
    };
    for (std::int64_t ow = 0; ow < inner_.begin; ++ow) visit(ow, 1);
    visit(inner_.begin, inner_.end - inner_.begin);
    for (std::int64_t ow = inner_.end; ow < s_.out_w; ++ow) visit(ow, 1);
  }

 private:
  ConvShape s_;
  Range inner_{0, 0};
};

}  // namespace boxgrad
