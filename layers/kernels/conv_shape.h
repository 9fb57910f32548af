#pragma once

#include <cstdint>
#include <vector>

namespace boxgrad {

/// The whole numbers that fix a 2-d convolution. conv2d() checks them; kernels trust them.
///
///   y[n, oh, ow, co] = sum over kh, kw, ci of
///                      x[n, ih, iw, g * C_in/groups + ci] * w[kh, kw, ci, co]
///   ih = oh * stride_h - pad_top + kh * dilation_h,   iw likewise;   x is 0 outside the map
///   g  = co / (C_out/groups), the group that output channel co belongs to
///
/// x [N, H, W, C_in], w [KH, KW, C_in/groups, C_out], y [N, out_h, out_w, C_out]. The paddings at
/// the bottom and on the right only enter through out_h and out_w. A padding may be negative here
/// (the input gradient is itself a convolution, and needs that).
struct ConvShape {
  std::int64_t batch = 1, in_h = 1, in_w = 1, in_c = 1;
  std::int64_t kernel_h = 1, kernel_w = 1;
  std::int64_t out_h = 1, out_w = 1, out_c = 1;
  std::int64_t stride_h = 1, stride_w = 1;
  std::int64_t pad_top = 0, pad_left = 0;
  std::int64_t dilation_h = 1, dilation_w = 1;
  std::int64_t groups = 1;

  std::int64_t in_pixels() const { return batch * in_h * in_w; }
  std::int64_t out_pixels() const { return batch * out_h * out_w; }
  std::int64_t group_in() const { return in_c / groups; }    ///< input channels of one group
  std::int64_t group_out() const { return out_c / groups; }  ///< output channels of one group
  std::int64_t taps() const { return kernel_h * kernel_w; }
  std::int64_t weights() const { return taps() * group_in() * out_c; }
};

/// A half-open range of whole numbers.
struct Range {
  std::int64_t begin, end;
};

/// The taps k in 0..kernel-1 for which 0 <= start + k * dilation < size.
Range taps_inside(std::int64_t start, std::int64_t dilation, std::int64_t kernel,
                  std::int64_t size);

/// The input gradient as a sum of ordinary convolutions with stride 1, one per *phase*.
///
/// Along one axis, input position p receives dy[o] * w[k] from every output o and tap k with
/// o * stride - pad + k * dilation = p. Which taps those are depends only on p mod stride, so the
/// input positions first, first + stride, first + 2 stride, ... form a phase that sees the same
/// taps. Within a phase, position number i reads the outputs
///
///   o = i - pad + j * dilation  through tap  k(j) = last_tap - j * tap_step,   j = 0..taps-1
///
/// (pad and dilation being the phase's own): a convolution of dy with stride 1 and the filter
/// turned round. With stride 1 there is one phase and it sees every tap. The phases together do
/// exactly the multiplications of the forward pass, write each input position once, and so need
/// neither a scattered sum nor a fill with zeros.
struct GradientPhase {
  std::int64_t first = 0, count = 0;  ///< which input positions: first + i * stride, i < count
  std::int64_t taps = 0;              ///< 0: no output ever reads these positions
  std::int64_t last_tap = 0, tap_step = 1;
  std::int64_t pad = 0, dilation = 1;
};

/// The phases of one axis, first = 0, 1, ..., min(stride, size) - 1.
std::vector<GradientPhase> gradient_phases(std::int64_t size, std::int64_t kernel,
                                           std::int64_t stride, std::int64_t pad,
                                           std::int64_t dilation);

/// The convolution that takes dy to the input positions of phase (rows, cols) of `shape`:
/// batch maps [out_h, out_w, out_c] in, [rows.count, cols.count, in_c] out.
ConvShape gradient_shape(const ConvShape& shape, const GradientPhase& rows,
                         const GradientPhase& cols);

}  // namespace boxgrad
