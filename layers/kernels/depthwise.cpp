#include "layers/kernels/depthwise.h"

#include <algorithm>
#include <vector>

#include "core/parallel.h"
#include "layers/kernels/scratch.h"
#include "layers/kernels/simd.h"

namespace boxgrad {

namespace {

/// The part of a filter that lies inside the map, for a run of neighbouring outputs. `x` and `w`
/// point at its first tap; steps are in Scalars.
struct Window {
  const Scalar* x;
  std::int64_t rows, taps;    // extent of that part
  std::int64_t x_row, x_tap;  // from one tap to the next, down and right
  std::int64_t x_pixel;       // from one output to the next
  std::int64_t w_row;         // from one filter row to the next
  std::int64_t channels;
};

// kPixels outputs at a time. kTaps = 3 and kStride = x_pixel / x_tap when known, else 0: with both
// known the loops unroll, and outputs that share an input share its load.
template <int kPixels, int kTaps, int kStride>
void correlate(const Window& in, const Scalar* w, Scalar beta, Scalar* y, std::int64_t y_pixel) {
  const std::int64_t taps = kTaps > 0 ? kTaps : in.taps;
  const std::int64_t x_pixel = kStride > 0 ? kStride * in.x_tap : in.x_pixel;
  for_each_vector(in.channels, [&]<class V>(std::int64_t c) {
    V sum[kPixels]{};
    if (beta != 0)
      for (int p = 0; p < kPixels; ++p) load(sum[p], y + p * y_pixel + c);
    for (std::int64_t row = 0; row < in.rows; ++row) {
      const Scalar* x_row = in.x + row * in.x_row + c;
      const Scalar* w_row = w + row * in.w_row + c;
      for (std::int64_t tap = 0; tap < taps; ++tap) {
        V weight, value;
        load(weight, w_row + tap * in.channels);
        for (int p = 0; p < kPixels; ++p) {
          load(value, x_row + tap * in.x_tap + p * x_pixel);
          sum[p] += weight * value;
        }
      }
    }
    for (int p = 0; p < kPixels; ++p) store(y + p * y_pixel + c, sum[p]);
  });
}

// The transpose of `correlate` with respect to w: dw += dy times x.
template <int kPixels, int kTaps, int kStride>
void accumulate(const Window& in, const Scalar* dy, Scalar* dw) {
  const std::int64_t taps = kTaps > 0 ? kTaps : in.taps;
  const std::int64_t x_pixel = kStride > 0 ? kStride * in.x_tap : in.x_pixel;
  for_each_vector(in.channels, [&]<class V>(std::int64_t c) {
    V gradient[kPixels];
    for (int p = 0; p < kPixels; ++p) load(gradient[p], dy + p * in.channels + c);
    for (std::int64_t row = 0; row < in.rows; ++row) {
      const Scalar* x_row = in.x + row * in.x_row + c;
      Scalar* dw_row = dw + row * in.w_row + c;
      for (std::int64_t tap = 0; tap < taps; ++tap) {
        V sum, value;
        load(sum, dw_row + tap * in.channels);
        for (int p = 0; p < kPixels; ++p) {
          load(value, x_row + tap * in.x_tap + p * x_pixel);
          sum += gradient[p] * value;
        }
        store(dw_row + tap * in.channels, sum);
      }
    }
  });
}

/// Walks along one row of outputs and calls run.operator()<kPixels, kTaps, kStride>(window, first
/// output, offset of the window's first tap in the filter) for runs that cover it.
class RowWalker {
 public:
  explicit RowWalker(const ConvShape& shape) : s_(shape) {
    // Outputs for which the whole width of the filter lies inside the map.
    const std::int64_t reach = (s_.kernel_w - 1) * s_.dilation_w;
    const auto first_at_least = [&](std::int64_t iw) {  // smallest ow whose window starts at >= iw
      const std::int64_t from = iw + s_.pad_left;
      return from <= 0 ? 0 : (from + s_.stride_w - 1) / s_.stride_w;
    };
    inner_.begin = std::min(first_at_least(0), s_.out_w);
    inner_.end = std::clamp(first_at_least(s_.in_w - reach), inner_.begin, s_.out_w);
    if (s_.kernel_w == 0) inner_.end = inner_.begin;  // a phase without taps
  }

  const ConvShape& shape() const { return s_; }

  template <class Run>
  void operator()(const Scalar* x, std::int64_t n, std::int64_t oh, Run&& run) const {
    const std::int64_t ih = oh * s_.stride_h - s_.pad_top;
    const Range rows = taps_inside(ih, s_.dilation_h, s_.kernel_h, s_.in_h);
    Window window;
    window.channels = s_.in_c;
    window.rows = rows.end - rows.begin;
    window.x_row = s_.dilation_h * s_.in_w * s_.in_c;
    window.x_tap = s_.dilation_w * s_.in_c;
    window.x_pixel = s_.stride_w * s_.in_c;
    window.w_row = s_.kernel_w * s_.in_c;

    const std::int64_t first_row = window.rows > 0 ? ih + rows.begin * s_.dilation_h : 0;
    const Scalar* x_row = x + (n * s_.in_h + first_row) * s_.in_w * s_.in_c;
    const std::int64_t w_row = rows.begin * window.w_row;

    const auto edge = [&](std::int64_t ow) {
      const std::int64_t iw = ow * s_.stride_w - s_.pad_left;
      const Range taps = taps_inside(iw, s_.dilation_w, s_.kernel_w, s_.in_w);
      window.taps = taps.end - taps.begin;
      window.x = window.taps > 0 ? x_row + (iw + taps.begin * s_.dilation_w) * s_.in_c : x_row;
      run.template operator()<1, 0, 0>(window, ow, w_row + taps.begin * s_.in_c);
    };
    for (std::int64_t ow = 0; ow < inner_.begin; ++ow) edge(ow);
    window.taps = s_.kernel_w;
    if (s_.kernel_w == 3 && s_.stride_w == s_.dilation_w)
      inner<3, 1>(x_row, window, w_row, run);
    else if (s_.kernel_w == 3 && s_.stride_w == 2 * s_.dilation_w)
      inner<3, 2>(x_row, window, w_row, run);
    else
      inner<0, 0>(x_row, window, w_row, run);
    for (std::int64_t ow = inner_.end; ow < s_.out_w; ++ow) edge(ow);
  }

 private:
  template <int kTaps, int kStride, class Run>
  void inner(const Scalar* x_row, Window& window, std::int64_t w_offset, Run& run) const {
    std::int64_t ow = inner_.begin;
    const auto at = [&](std::int64_t o) {
      window.x = x_row + (o * s_.stride_w - s_.pad_left) * s_.in_c;
    };
    for (; ow + 4 <= inner_.end; ow += 4) {
      at(ow);
      run.template operator()<4, kTaps, kStride>(window, ow, w_offset);
    }
    for (; ow < inner_.end; ++ow) {
      at(ow);
      run.template operator()<1, kTaps, kStride>(window, ow, w_offset);
    }
  }

  ConvShape s_;
  Range inner_;
};

/// One row of a correlation, written to y with y_pixel Scalars from one output to the next.
void correlate_row(const RowWalker& walk, const Scalar* x, const Scalar* w, std::int64_t n,
                   std::int64_t oh, Scalar beta, Scalar* y, std::int64_t y_pixel) {
  walk(x, n, oh,
       [&]<int kPixels, int kTaps, int kStride>(const Window& window, std::int64_t ow,
                                                std::int64_t w_offset) {
         correlate<kPixels, kTaps, kStride>(window, w + w_offset, beta, y + ow * y_pixel, y_pixel);
       });
}

/// Rows of a map per chunk of a parallel_for: about as many numbers as an elementwise chunk.
std::int64_t rows_per_chunk(std::int64_t numbers_per_row) {
  return std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, numbers_per_row));
}

}  // namespace

void depthwise_forward(const ConvShape& s, const Scalar* x, const Scalar* w,
                       const BiasActivation& epilogue, Scalar* y) {
  const RowWalker walk(s);
  const std::int64_t row_size = s.out_w * s.out_c;
  parallel_for(s.batch * s.out_h, rows_per_chunk(row_size), [&](auto begin, auto end) {
    for (std::int64_t row = begin; row < end; ++row) {
      Scalar* y_row = y + row * row_size;
      correlate_row(walk, x, w, row / s.out_h, row % s.out_h, 0, y_row, s.out_c);
      epilogue.apply(y_row, s.out_w, s.out_c);
    }
  });
}

void depthwise_input_gradient(const ConvShape& s, const Scalar* dy, const Scalar* w, Scalar beta,
                              Scalar* dx) {
  const std::int64_t channels = s.in_c;
  const auto row_phases = gradient_phases(s.in_h, s.kernel_h, s.stride_h, s.pad_top, s.dilation_h);
  const auto col_phases = gradient_phases(s.in_w, s.kernel_w, s.stride_w, s.pad_left, s.dilation_w);

  // Every pair of phases has its taps turned round; together they are the whole filter.
  struct Pair {
    RowWalker walk;
    Scalar* w;
  };
  std::vector<Pair> pairs;
  Scratch turned(s.taps() * channels);
  Scalar* next = turned.data();
  for (const GradientPhase& rows : row_phases)
    for (const GradientPhase& cols : col_phases) {
      pairs.push_back({RowWalker(gradient_shape(s, rows, cols)), next});
      for (std::int64_t jh = 0; jh < rows.taps; ++jh)
        for (std::int64_t jw = 0; jw < cols.taps; ++jw, next += channels) {
          const std::int64_t kh = rows.last_tap - jh * rows.tap_step;
          const std::int64_t kw = cols.last_tap - jw * cols.tap_step;
          std::copy_n(w + (kh * s.kernel_w + kw) * channels, channels, next);
        }
    }

  const std::int64_t row_size = s.in_w * channels;
  const auto col_count = static_cast<std::int64_t>(col_phases.size());
  parallel_for(s.batch * s.in_h, rows_per_chunk(row_size), [&](auto begin, auto end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t n = row / s.in_h, ih = row % s.in_h;
      for (std::int64_t col = 0; col < col_count; ++col) {
        const Pair& pair = pairs[static_cast<std::size_t>(ih % s.stride_h * col_count + col)];
        correlate_row(pair.walk, dy, pair.w, n, ih / s.stride_h, beta,
                      dx + row * row_size + col * channels, s.stride_w * channels);
      }
    }
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
    for (std::int64_t row = begin; row < end; ++row) {
      const Scalar* dy_row = dy + row * row_size;
      walk(x, row / s.out_h, row % s.out_h,
           [&]<int kPixels, int kTaps, int kStride>(const Window& window, std::int64_t ow,
                                                    std::int64_t w_offset) {
             accumulate<kPixels, kTaps, kStride>(window, dy_row + ow * s.out_c, sum + w_offset);
           });
    }
  });
  if (beta == 0) std::fill(dw, dw + size, Scalar{0});
  for (std::int64_t part = 0; part < parts; ++part)
    for (std::int64_t i = 0; i < size; ++i) dw[i] += sums[part * size + i];
}

}  // namespace boxgrad
