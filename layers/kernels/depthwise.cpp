#include "layers/kernels/depthwise.h"

#include <algorithm>
#include <vector>

#include "core/parallel.h"
#include "layers/kernels/row_walker.h"
#include "layers/kernels/scratch.h"
#include "layers/kernels/simd.h"

namespace boxgrad {

namespace {

// What the kernels below work on at a time: outputs, and registers of channels. With registers of 64
// bytes four neighbouring outputs share the loads of the filter. With shorter ones that would walk
// memory in steps of a pixel, which a CPU's prefetching follows badly: there it is an output after
// the other, four registers of each, about twice as fast where the map is not in a cache.
constexpr int kPixels = kRegisterBytes == 64 ? 4 : 1;
constexpr int kVectors = kRegisterBytes == 64 ? 1 : 4;

// kTaps = 3 and kStride = x_pixel / x_tap when known, else 0: with both known the loops unroll, and
// outputs that share an input share its load.

/// y = beta y + x * w for the outputs p = 0..kOutputs-1 at `y`, y_pixel Scalars apart; x and w point
/// at their first taps.
template <int kOutputs, int kTaps, int kStride>
void correlate(const OutputRun& run, std::int64_t channels, const Scalar* x, const Scalar* w,
               Scalar beta, Scalar* y, std::int64_t y_pixel) {
  const std::int64_t taps = kTaps > 0 ? kTaps : run.taps;
  const std::int64_t x_pixel = kStride > 0 ? kStride * run.x_tap : run.x_pixel;
  for_each_block<kVectors>(channels, [&]<class V, int n>(std::int64_t c) {
    constexpr int kSums = kOutputs * n;  // of output i / n, register i % n
    const auto y_at = [&](int i) { return y + i / n * y_pixel + c + i % n * kWidth<V>; };
    // Set one by one: `{}` would clear an array in memory and load the registers from there.
    V sum[kSums];
#pragma GCC unroll 4
    for (int i = 0; i < kSums; ++i) sum[i] = V{};
    if (beta != 0) {
#pragma GCC unroll 4
      for (int i = 0; i < kSums; ++i) load(sum[i], y_at(i));
    }
    for (std::int64_t row = 0; row < run.rows; ++row) {
      const Scalar* x_row = x + row * run.x_row + c;
      const Scalar* w_row = w + row * run.tap_row * channels + c;
      for (std::int64_t tap = 0; tap < taps; ++tap) {
#pragma GCC unroll 4
        for (int i = 0; i < kSums; ++i) {
          V weight, value;
          load(weight, w_row + tap * channels + i % n * kWidth<V>);
          load(value, x_row + tap * run.x_tap + i / n * x_pixel + i % n * kWidth<V>);
          sum[i] += weight * value;
        }
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < kSums; ++i) store(y_at(i), sum[i]);
  });
}

/// The transpose of `correlate` with respect to w: dw += dy times x.
template <int kOutputs, int kTaps, int kStride>
void accumulate(const OutputRun& run, std::int64_t channels, const Scalar* x, const Scalar* dy,
                Scalar* dw) {
  const std::int64_t taps = kTaps > 0 ? kTaps : run.taps;
  const std::int64_t x_pixel = kStride > 0 ? kStride * run.x_tap : run.x_pixel;
  for_each_block<kVectors>(channels, [&]<class V, int n>(std::int64_t c) {
    V gradient[kOutputs * n];
#pragma GCC unroll 4
    for (int i = 0; i < kOutputs * n; ++i)
      load(gradient[i], dy + i / n * channels + c + i % n * kWidth<V>);
    for (std::int64_t row = 0; row < run.rows; ++row) {
      const Scalar* x_row = x + row * run.x_row + c;
      Scalar* dw_row = dw + row * run.tap_row * channels + c;
      for (std::int64_t tap = 0; tap < taps; ++tap) {
#pragma GCC unroll 4
        for (int v = 0; v < n; ++v) {
          Scalar* target = dw_row + tap * channels + v * kWidth<V>;
          V sum, value;
          load(sum, target);
#pragma GCC unroll 4
          for (int p = 0; p < kOutputs; ++p) {
            load(value, x_row + tap * run.x_tap + p * x_pixel + v * kWidth<V>);
            sum += gradient[p * n + v] * value;
          }
          store(target, sum);
        }
      }
    }
  });
}

/// Calls work.operator()<kOutputs, kTaps, kStride>(p) for the outputs of a run: kPixels at a time
/// from output number p of the run, then one by one.
template <int kTaps, int kStride, class Work>
void by_groups(const OutputRun& run, Work& work) {
  std::int64_t p = 0;
  for (; p + kPixels <= run.count; p += kPixels)
    work.template operator()<kPixels, kTaps, kStride>(p);
  for (; p < run.count; ++p) work.template operator()<1, kTaps, kStride>(p);
}

template <class Work>
void for_each_pixel_group(const OutputRun& run, Work&& work) {
  if (run.taps == 3 && run.x_pixel == run.x_tap)
    by_groups<3, 1>(run, work);
  else if (run.taps == 3 && run.x_pixel == 2 * run.x_tap)
    by_groups<3, 2>(run, work);
  else
    by_groups<0, 0>(run, work);
}

/// One row of a correlation, written to y with y_pixel Scalars from one output to the next.
void correlate_row(const RowWalker& walk, const Scalar* x, const Scalar* w, std::int64_t channels,
                   std::int64_t n, std::int64_t oh, Scalar beta, Scalar* y, std::int64_t y_pixel) {
  walk(x, n, oh, [&](const OutputRun& run) {
    for_each_pixel_group(run, [&]<int kOutputs, int kTaps, int kStride>(std::int64_t p) {
      correlate<kOutputs, kTaps, kStride>(run, channels, run.x + p * run.x_pixel,
                                          w + run.tap * channels, beta,
                                          y + (run.first + p) * y_pixel, y_pixel);
    });
  });
}

}  // namespace

std::int64_t depthwise_rows_per_chunk(std::int64_t numbers_per_row) {
  return std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, numbers_per_row));
}

void depthwise_forward_row(const ConvShape& s, const RowWalker& walk, std::int64_t row,
                           const Scalar* x, const Scalar* w, Scalar* y) {
  correlate_row(walk, x, w, s.in_c, row / s.out_h, row % s.out_h, 0, y + row * s.out_w * s.out_c,
                s.out_c);
}

void depthwise_forward(const ConvShape& s, const Scalar* x, const Scalar* w,
                       const BiasActivation& epilogue, Scalar* y) {
  const RowWalker walk(s);
  const std::int64_t row_size = s.out_w * s.out_c;
  parallel_for(s.batch * s.out_h, depthwise_rows_per_chunk(row_size), [&](auto begin, auto end) {
    for (std::int64_t row = begin; row < end; ++row) {
      depthwise_forward_row(s, walk, row, x, w, y);
      epilogue.apply(y + row * row_size, s.out_w, s.out_c);
    }
  });
}

DepthwiseInputGradient::DepthwiseInputGradient(const ConvShape& s, const Scalar* w)
    : s_(s), turned_(s.taps() * s.in_c) {
  const auto row_phases = gradient_phases(s.in_h, s.kernel_h, s.stride_h, s.pad_top, s.dilation_h);
  const auto col_phases = gradient_phases(s.in_w, s.kernel_w, s.stride_w, s.pad_left, s.dilation_w);
  col_phases_ = static_cast<std::int64_t>(col_phases.size());
  Scalar* next = turned_.data();
  for (const GradientPhase& rows : row_phases)
    for (const GradientPhase& cols : col_phases) {
      pairs_.push_back({RowWalker(gradient_shape(s, rows, cols)), next});
      for (std::int64_t jh = 0; jh < rows.taps; ++jh)
        for (std::int64_t jw = 0; jw < cols.taps; ++jw, next += s.in_c) {
          const std::int64_t kh = rows.last_tap - jh * rows.tap_step;
          const std::int64_t kw = cols.last_tap - jw * cols.tap_step;
          std::copy_n(w + (kh * s.kernel_w + kw) * s.in_c, s.in_c, next);
        }
    }
}

void DepthwiseInputGradient::operator()(std::int64_t row, const Scalar* dy, Scalar beta,
                                        Scalar* dx) const {
  const std::int64_t n = row / s_.in_h, ih = row % s_.in_h;
  for (std::int64_t col = 0; col < col_phases_; ++col) {
    const Pair& pair = pairs_[static_cast<std::size_t>(ih % s_.stride_h * col_phases_ + col)];
    correlate_row(pair.walk, dy, pair.w, s_.in_c, n, ih / s_.stride_h, beta,
                  dx + (row * s_.in_w + col) * s_.in_c, s_.stride_w * s_.in_c);
  }
}

Range DepthwiseInputGradient::reads(std::int64_t begin, std::int64_t end) const {
  // Row oh of dy reaches the rows oh * stride - pad .. that + (KH - 1) * dilation of dx.
  const std::int64_t reach = (s_.kernel_h - 1) * s_.dilation_h;
  const std::int64_t low = begin + s_.pad_top - reach, high = end - 1 + s_.pad_top;
  const std::int64_t first = low <= 0 ? 0 : (low + s_.stride_h - 1) / s_.stride_h;
  const std::int64_t last = high < 0 ? -1 : high / s_.stride_h;
  return {std::min(first, s_.out_h), std::clamp(last + 1, std::min(first, s_.out_h), s_.out_h)};
}

void depthwise_input_gradient(const ConvShape& s, const Scalar* dy, const Scalar* w, Scalar beta,
                              Scalar* dx) {
  const DepthwiseInputGradient gradient(s, w);
  parallel_for(s.batch * s.in_h, depthwise_rows_per_chunk(s.in_w * s.in_c),
               [&](auto begin, auto end) {
                 for (std::int64_t row = begin; row < end; ++row) gradient(row, dy, beta, dx);
               });
}

void depthwise_weight_gradient_row(const ConvShape& s, const RowWalker& walk, std::int64_t row,
                                   const Scalar* x, const Scalar* dy, Scalar* dw) {
  const Scalar* dy_row = dy + row * s.out_w * s.out_c;
  walk(x, row / s.out_h, row % s.out_h, [&](const OutputRun& run) {
    for_each_pixel_group(run, [&]<int kOutputs, int kTaps, int kStride>(std::int64_t p) {
      accumulate<kOutputs, kTaps, kStride>(run, s.in_c, run.x + p * run.x_pixel,
                                           dy_row + (run.first + p) * s.out_c,
                                           dw + run.tap * s.in_c);
    });
  });
}

void depthwise_weight_gradient(const ConvShape& s, const Scalar* x, const Scalar* dy, Scalar beta,
                               Scalar* dw) {
  const RowWalker walk(s);
  const std::int64_t size = s.weights(), rows = s.batch * s.out_h, row_size = s.out_w * s.out_c;
  // Partial sums over at least 16 rows and 64 Ki numbers each, 8 at most, by the shape alone.
  const std::int64_t per_part =
      std::max({(rows + 7) / 8, std::int64_t{16}, 65536 / std::max<std::int64_t>(1, row_size)});
  const std::int64_t parts = (rows + per_part - 1) / per_part;
  Scratch partial(parts * size);
  Scalar* sums = partial.data();
  parallel_for(rows, per_part, [&](auto begin, auto end) {
    Scalar* sum = sums + begin / per_part * size;
    std::fill(sum, sum + size, Scalar{0});
    for (std::int64_t row = begin; row < end; ++row)
      depthwise_weight_gradient_row(s, walk, row, x, dy, sum);
  });
  if (beta == 0) std::fill(dw, dw + size, Scalar{0});
  for (std::int64_t part = 0; part < parts; ++part)
    for (std::int64_t i = 0; i < size; ++i) dw[i] += sums[part * size + i];
}

}  // namespace boxgrad
