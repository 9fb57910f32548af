#include "layers/kernels/im2col.h"

#include <algorithm>
#include <cstring>

#include "core/blas.h"
#include "core/parallel.h"
#include "layers/kernels/scratch.h"

namespace boxgrad {

namespace {

/// Walks through output pixels in row-major order, keeping (n, oh, ow) up to date.
struct Pixel {
  std::int64_t n, oh, ow;
  Pixel(const ConvShape& s, std::int64_t index)
      : n(index / (s.out_h * s.out_w)), oh(index / s.out_w % s.out_h), ow(index % s.out_w) {}
  void advance(const ConvShape& s) {
    if (++ow < s.out_w) return;
    ow = 0;
    if (++oh < s.out_h) return;
    oh = 0;
    ++n;
  }
};

template <std::int64_t kStep>
inline void copy_in_steps(const Scalar* from, std::int64_t count, Scalar* to) {
  for (std::int64_t i = 0; i + kStep <= count; i += kStep)
    std::memcpy(to + i, from + i, kStep * sizeof(Scalar));
  // The rest: one more step that ends at the end and overlaps the one before.
  std::memcpy(to + count - kStep, from + count - kStep, kStep * sizeof(Scalar));
}

/// Copies a run of neighbouring numbers. With few channels the runs are short and there are
/// millions of them: a call of memcpy for each takes longer than the copying.
inline void copy_run(const Scalar* from, std::int64_t count, Scalar* to) {
  if (count >= 16 && count <= 256)
    copy_in_steps<16>(from, count, to);
  else if (count >= 4 && count < 16)
    copy_in_steps<4>(from, count, to);
  else
    std::copy_n(from, count, to);
}

/// Rows of the matrix of columns for output pixels begin..end-1 and input channels
/// channel..channel+count-1 of each tap in 0..taps-1: [end - begin, KH * KW * count].
void build_columns(const ConvShape& s, const Scalar* x, std::int64_t channel, std::int64_t count,
                   std::int64_t begin, std::int64_t end, Scalar* columns) {
  // Neighbouring taps of a row are neighbours in memory too: one run instead of KW.
  const bool whole_rows = count == s.in_c && s.dilation_w == 1;
  const std::int64_t run = s.kernel_w * count;
  Pixel pixel(s, begin);
  for (std::int64_t p = begin; p < end; ++p, pixel.advance(s)) {
    const std::int64_t iw = pixel.ow * s.stride_w - s.pad_left;
    const bool inside = whole_rows && iw >= 0 && iw + s.kernel_w <= s.in_w;
    for (std::int64_t kh = 0; kh < s.kernel_h; ++kh, columns += run) {
      const std::int64_t ih = pixel.oh * s.stride_h - s.pad_top + kh * s.dilation_h;
      if (ih < 0 || ih >= s.in_h) {
        std::fill_n(columns, run, Scalar{0});
        continue;
      }
      const Scalar* x_row = x + (pixel.n * s.in_h + ih) * s.in_w * s.in_c + channel;
      if (inside) {
        copy_run(x_row + iw * s.in_c, run, columns);
        continue;
      }
      for (std::int64_t kw = 0; kw < s.kernel_w; ++kw) {
        const std::int64_t col = iw + kw * s.dilation_w;
        if (col >= 0 && col < s.in_w)
          copy_run(x_row + col * s.in_c, count, columns + kw * count);
        else
          std::fill_n(columns + kw * count, count, Scalar{0});
      }
    }
  }
}

/// Output pixels per block: columns of about 512 KiB (a quarter of an L2 cache), but at least 256
/// rows so that the filter is not fetched anew for too few, and at most an eighth of the pixels
/// (which wins on small maps, down to 32 rows).
std::int64_t block_pixels(const ConvShape& s) {
  const std::int64_t depth = std::max<std::int64_t>(1, s.taps() * s.group_in());
  const std::int64_t fit = (1 << 19) / static_cast<std::int64_t>(sizeof(Scalar)) / depth;
  const std::int64_t eighth = (s.out_pixels() + 7) / 8;
  return std::max<std::int64_t>(std::min(std::max<std::int64_t>(fit, 256), eighth), 32);
}

/// y = beta y + x * w for output pixels begin..end-1; `y` points at the first of them.
void convolve_block(const ConvShape& s, const Scalar* x, const Scalar* w, std::int64_t begin,
                    std::int64_t end, Scalar beta, Scalar* y) {
  const std::int64_t depth = s.taps() * s.group_in(), out = s.group_out();
  Scratch columns((end - begin) * depth);
  for (std::int64_t group = 0; group < s.groups; ++group) {
    build_columns(s, x, group * s.group_in(), s.group_in(), begin, end, columns.data());
    gemm_serial(Trans::no, Trans::no, end - begin, out, depth, 1, columns.data(), depth,
                w + group * out, s.out_c, beta, y + group * out, s.out_c);
  }
}

/// The filter of gradient_shape(): taps turned round, inputs and outputs exchanged.
void turn_filter(const ConvShape& s, const GradientPhase& rows, const GradientPhase& cols,
                 const Scalar* w, Scalar* turned) {
  const std::int64_t in = s.group_in(), out = s.group_out();
  parallel_for(rows.taps * cols.taps, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t tap = begin; tap < end; ++tap) {
      const std::int64_t kh = rows.last_tap - tap / cols.taps * rows.tap_step;
      const std::int64_t kw = cols.last_tap - tap % cols.taps * cols.tap_step;
      const Scalar* from = w + (kh * s.kernel_w + kw) * in * s.out_c;  // [in, out_c]
      Scalar* to = turned + tap * out * s.in_c;                        // [out, in_c]
      constexpr std::int64_t kTile = 16;  // 16 cache lines of each matrix at a time
      for (std::int64_t group = 0; group < s.groups; ++group)
        for (std::int64_t ci0 = 0; ci0 < in; ci0 += kTile)
          for (std::int64_t co0 = 0; co0 < out; co0 += kTile)
            for (std::int64_t co = co0; co < std::min(co0 + kTile, out); ++co)
              for (std::int64_t ci = ci0; ci < std::min(ci0 + kTile, in); ++ci)
                to[co * s.in_c + group * in + ci] = from[ci * s.out_c + group * out + co];
    }
  });
}

/// Writes the block of a phase, `values` [end - begin, in_c], to the input pixels it belongs to.
void place(const ConvShape& s, const ConvShape& phase, const GradientPhase& rows,
           const GradientPhase& cols, std::int64_t begin, std::int64_t end, const Scalar* values,
           Scalar beta, Scalar* dx) {
  Pixel pixel(phase, begin);
  for (std::int64_t p = begin; p < end; ++p, pixel.advance(phase), values += s.in_c) {
    const std::int64_t ih = rows.first + pixel.oh * s.stride_h;
    const std::int64_t iw = cols.first + pixel.ow * s.stride_w;
    Scalar* target = dx + ((pixel.n * s.in_h + ih) * s.in_w + iw) * s.in_c;
    if (beta == 0)
      copy_run(values, s.in_c, target);
    else
      for (std::int64_t c = 0; c < s.in_c; ++c) target[c] += values[c];
  }
}

}  // namespace

void im2col_forward(const ConvShape& s, const Scalar* x, const Scalar* w,
                    const BiasActivation& epilogue, Scalar* y) {
  parallel_for(s.out_pixels(), block_pixels(s), [&](std::int64_t begin, std::int64_t end) {
    convolve_block(s, x, w, begin, end, 0, y + begin * s.out_c);
    epilogue.apply(y + begin * s.out_c, end - begin, s.out_c);
  });
}

void im2col_input_gradient(const ConvShape& s, const Scalar* dy, const Scalar* w, Scalar beta,
                           Scalar* dx) {
  Scratch turned(s.weights());
  const bool one_phase = s.stride_h == 1 && s.stride_w == 1;
  for (const GradientPhase& rows :
       gradient_phases(s.in_h, s.kernel_h, s.stride_h, s.pad_top, s.dilation_h))
    for (const GradientPhase& cols :
         gradient_phases(s.in_w, s.kernel_w, s.stride_w, s.pad_left, s.dilation_w)) {
      const ConvShape phase = gradient_shape(s, rows, cols);
      turn_filter(s, rows, cols, w, turned.data());
      parallel_for(phase.out_pixels(), block_pixels(phase), [&](auto begin, auto end) {
        if (one_phase)
          return convolve_block(phase, dy, turned.data(), begin, end, beta, dx + begin * s.in_c);
        // The pixels of a phase are not neighbours in dx: multiply into scratch, then spread.
        Scratch values((end - begin) * s.in_c);
        convolve_block(phase, dy, turned.data(), begin, end, 0, values.data());
        place(s, phase, rows, cols, begin, end, values.data(), beta, dx);
      });
    }
}

namespace {

/// dw = beta dw + columns^T dy over output pixels begin..end-1, for input channels
/// channel..channel+count-1 of a group. `dw` points at the first of their rows.
void weight_gradient_block(const ConvShape& s, const Scalar* x, const Scalar* dy,
                           std::int64_t group, std::int64_t channel, std::int64_t count,
                           std::int64_t begin, std::int64_t end, Scalar beta, Scalar* dw) {
  const std::int64_t depth = s.taps() * count, out = s.group_out();
  Scratch columns((end - begin) * depth);
  build_columns(s, x, group * s.group_in() + channel, count, begin, end, columns.data());
  gemm_serial(Trans::yes, Trans::no, depth, out, end - begin, 1, columns.data(), depth,
              dy + begin * s.out_c + group * out, s.out_c, beta, dw + group * out, s.out_c);
}

/// The convolution that only has tap (kh, kw) of s.
ConvShape single_tap(ConvShape s, std::int64_t kh, std::int64_t kw) {
  s.pad_top -= kh * s.dilation_h;
  s.pad_left -= kw * s.dilation_w;
  s.kernel_h = s.kernel_w = 1;
  return s;
}

/// Each part of the pixels makes a gradient of its own; they are added in order.
void gradient_from_partial_sums(const ConvShape& s, const Scalar* x, const Scalar* dy, Scalar beta,
                                Scalar* dw) {
  const std::int64_t pixels = s.out_pixels(), size = s.weights(), block = block_pixels(s);
  const std::int64_t per_part = std::max<std::int64_t>((pixels + 7) / 8, 256);
  const std::int64_t parts = (pixels + per_part - 1) / per_part;
  Scratch partial(parts * size);
  Scalar* sums = partial.data();
  parallel_for(pixels, per_part, [&](std::int64_t part_begin, std::int64_t part_end) {
    Scalar* sum = sums + part_begin / per_part * size;
    for (std::int64_t begin = part_begin; begin < part_end; begin += block)
      for (std::int64_t group = 0; group < s.groups; ++group)
        weight_gradient_block(s, x, dy, group, 0, s.group_in(), begin,
                              std::min(begin + block, part_end), begin > part_begin ? 1 : 0, sum);
  });
  parallel_for(size, 16384, [&](std::int64_t begin, std::int64_t end) {
    if (beta == 0) std::fill(dw + begin, dw + end, Scalar{0});
    for (std::int64_t part = 0; part < parts; ++part)
      for (std::int64_t i = begin; i < end; ++i) dw[i] += sums[part * size + i];
  });
}

/// Each task makes some rows of dw, input channels of one tap, from all pixels.
void gradient_by_rows(const ConvShape& s, const Scalar* x, const Scalar* dy, Scalar beta,
                      Scalar* dw) {
  const std::int64_t pieces_per_tap = (15 + s.taps()) / s.taps();  // about 16 tasks in all
  const std::int64_t step = ((s.group_in() + pieces_per_tap - 1) / pieces_per_tap + 15) / 16 * 16;
  const std::int64_t pieces = (s.group_in() + step - 1) / step;
  const std::int64_t pixels = s.out_pixels();
  const std::int64_t block = std::max<std::int64_t>((1 << 18) / step, 256);
  parallel_for(s.taps() * s.groups * pieces, 1, [&](std::int64_t task, std::int64_t) {
    const std::int64_t tap = task / (s.groups * pieces), group = task / pieces % s.groups;
    const std::int64_t channel = task % pieces * step;
    const std::int64_t count = std::min(step, s.group_in() - channel);
    const ConvShape one = single_tap(s, tap / s.kernel_w, tap % s.kernel_w);
    for (std::int64_t begin = 0; begin < pixels; begin += block)
      weight_gradient_block(one, x, dy, group, channel, count, begin,
                            std::min(begin + block, pixels), begin > 0 ? Scalar{1} : beta,
                            dw + (tap * s.group_in() + channel) * s.out_c);
  });
}

}  // namespace

void im2col_weight_gradient(const ConvShape& s, const Scalar* x, const Scalar* dy, Scalar beta,
                            Scalar* dw) {
  constexpr std::int64_t kSmall = 1 << 18;  // 1 MiB of floats for each partial sum
  if (s.weights() <= kSmall)
    gradient_from_partial_sums(s, x, dy, beta, dw);
  else
    gradient_by_rows(s, x, dy, beta, dw);
}

}  // namespace boxgrad
