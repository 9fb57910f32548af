#include "layers/kernels/few_outputs.h"

#include <algorithm>

#include "core/blas.h"
#include "core/parallel.h"
#include "layers/kernels/scratch.h"

namespace boxgrad {

namespace {

/// Rows of a map of `width` pixels whose z takes about a megabyte, half of an L2 cache.
std::int64_t rows_in_cache(const ConvShape& s, std::int64_t width) {
  const std::int64_t numbers = std::max<std::int64_t>(1, width * s.taps() * s.out_c);
  return std::max<std::int64_t>(1, (1 << 20) / static_cast<std::int64_t>(sizeof(Scalar)) / numbers);
}

/// For the taps of filter row kh: f(tap, iw, ow, count), the columns of x and of y at which the run
/// of pixels begins that meet through this tap.
template <class F>
void for_each_tap(const ConvShape& s, std::int64_t kh, F f) {
  for (std::int64_t kw = 0; kw < s.kernel_w; ++kw) {
    const std::int64_t shift = kw * s.dilation_w - s.pad_left;  // iw = ow + shift
    const std::int64_t begin = std::max<std::int64_t>(0, -shift);
    const std::int64_t end = std::min(s.out_w, s.in_w - shift);
    if (begin < end) f(kh * s.kernel_w + kw, begin + shift, begin, end - begin);
  }
}

}  // namespace

void few_outputs_forward(const ConvShape& s, const Scalar* x, const Scalar* w,
                         const BiasActivation& epilogue, Scalar* y) {
  const std::int64_t out = s.out_c, wide = s.taps() * out;
  Scratch turned(s.in_c * wide);  // [taps, C_in, C_out] -> [C_in, taps, C_out]
  for (std::int64_t tap = 0; tap < s.taps(); ++tap)
    for (std::int64_t ci = 0; ci < s.in_c; ++ci)
      std::copy_n(w + (tap * s.in_c + ci) * out, out, turned.data() + ci * wide + tap * out);

  // Bands of rows of y. Each makes z for the rows of x that it reads, some of which its
  // neighbours make, too: bands of four times that overlap at least, about eight in all.
  const std::int64_t overlap = (s.kernel_h - 1) * s.dilation_h;
  const std::int64_t eighth = (s.batch * s.out_h + 7) / 8;
  const std::int64_t rows =
      std::clamp<std::int64_t>(std::max(std::min(rows_in_cache(s, s.in_w), eighth), 4 * overlap), 1,
                               std::max<std::int64_t>(1, s.out_h));
  const std::int64_t bands = (s.out_h + rows - 1) / rows;
  parallel_for(s.batch * bands, 1, [&](std::int64_t task, std::int64_t) {
    const std::int64_t n = task / bands, oh0 = task % bands * rows;
    const std::int64_t oh1 = std::min(oh0 + rows, s.out_h);
    const std::int64_t ih0 = std::clamp<std::int64_t>(oh0 - s.pad_top, 0, s.in_h);
    const std::int64_t ih1 = std::clamp<std::int64_t>(oh1 - s.pad_top + overlap, ih0, s.in_h);
    const std::int64_t pixels = (ih1 - ih0) * s.in_w;
    Scratch z(pixels * wide);
    gemm_serial(Trans::no, Trans::no, pixels, wide, s.in_c, 1,
                x + (n * s.in_h + ih0) * s.in_w * s.in_c, s.in_c, turned.data(), wide, 0, z.data(),
                wide);
    for (std::int64_t oh = oh0; oh < oh1; ++oh) {
      Scalar* row = y + (n * s.out_h + oh) * s.out_w * out;
      std::fill_n(row, s.out_w * out, Scalar{0});
      for (std::int64_t kh = 0; kh < s.kernel_h; ++kh) {
        const std::int64_t ih = oh - s.pad_top + kh * s.dilation_h;
        if (ih < 0 || ih >= s.in_h) continue;
        for_each_tap(s, kh, [&](std::int64_t tap, std::int64_t iw, std::int64_t ow, auto count) {
          const Scalar* from = z.data() + ((ih - ih0) * s.in_w + iw) * wide + tap * out;
          Scalar* to = row + ow * out;
          for (std::int64_t p = 0; p < count; ++p, from += wide, to += out)
            for (std::int64_t co = 0; co < out; ++co) to[co] += from[co];
        });
      }
      epilogue.apply(row, s.out_w, out);
    }
  });
}

void few_outputs_weight_gradient(const ConvShape& s, const Scalar* x, const Scalar* dy, Scalar beta,
                                 Scalar* dw) {
  const std::int64_t out = s.out_c, wide = s.taps() * out, size = s.weights();
  const std::int64_t rows = s.batch * s.in_h, per_part = (rows + 7) / 8;
  const std::int64_t parts = rows == 0 ? 0 : (rows + per_part - 1) / per_part;
  const std::int64_t block = rows_in_cache(s, s.in_w);
  Scratch partial(parts * size);  // [parts, C_in, taps, C_out]
  Scalar* sums = partial.data();
  parallel_for(rows, std::max<std::int64_t>(per_part, 1), [&](auto part_begin, auto part_end) {
    Scalar* sum = sums + part_begin / per_part * size;
    Scratch z(block * s.in_w * wide);
    for (std::int64_t begin = part_begin; begin < part_end; begin += block) {
      const std::int64_t end = std::min<std::int64_t>(begin + block, part_end);
      std::fill_n(z.data(), (end - begin) * s.in_w * wide, Scalar{0});
      for (std::int64_t row = begin; row < end; ++row)
        for (std::int64_t kh = 0; kh < s.kernel_h; ++kh) {
          const std::int64_t oh = row % s.in_h + s.pad_top - kh * s.dilation_h;
          if (oh < 0 || oh >= s.out_h) continue;
          for_each_tap(s, kh, [&](std::int64_t tap, std::int64_t iw, std::int64_t ow, auto count) {
            const Scalar* from = dy + ((row / s.in_h * s.out_h + oh) * s.out_w + ow) * out;
            Scalar* to = z.data() + ((row - begin) * s.in_w + iw) * wide + tap * out;
            for (std::int64_t p = 0; p < count; ++p, from += out, to += wide)
              for (std::int64_t co = 0; co < out; ++co) to[co] = from[co];
          });
        }
      gemm_serial(Trans::yes, Trans::no, s.in_c, wide, (end - begin) * s.in_w, 1,
                  x + begin * s.in_w * s.in_c, s.in_c, z.data(), wide, begin > part_begin ? 1 : 0,
                  sum, wide);
    }
  });
  parallel_for(s.taps() * s.in_c, 1024, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const Scalar* from = sums + row % s.in_c * wide + row / s.in_c * out;
      Scalar* to = dw + row * out;
      if (beta == 0) std::fill_n(to, out, Scalar{0});
      for (std::int64_t part = 0; part < parts; ++part)
        for (std::int64_t co = 0; co < out; ++co) to[co] += from[part * size + co];
    }
  });
}

}  // namespace boxgrad
