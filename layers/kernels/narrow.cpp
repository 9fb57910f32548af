#include "layers/kernels/narrow.h"

#include <algorithm>

#include "core/parallel.h"
#include "layers/kernels/packed_gemm.h"
#include "layers/kernels/row_walker.h"
#include "layers/kernels/scratch.h"
#include "layers/kernels/simd.h"

namespace boxgrad {

namespace {

/// y = x * w for kPixels neighbouring outputs. `depth` numbers lie side by side in each filter row.
template <class V, int kVectors, int kPixels>
void multiply(const OutputRun& run, const Scalar* x, const Scalar* w, std::int64_t depth,
              std::int64_t w_row, std::int64_t out_c, Scalar* y) {
  // Set one by one: `{}` would clear an array in memory and load the registers from there.
  V sum[kPixels][kVectors];
#pragma GCC unroll 16
  for (int p = 0; p < kPixels; ++p)
    for (int v = 0; v < kVectors; ++v) sum[p][v] = V{};
  for (std::int64_t row = 0; row < run.rows; ++row) {
    const Scalar* x_row = x + row * run.x_row;
    const Scalar* weights = w + row * w_row;
    for (std::int64_t k = 0; k < depth; ++k, weights += out_c) {
      V weight[kVectors];
      for (int v = 0; v < kVectors; ++v) load(weight[v], weights + v * kWidth<V>);
#pragma GCC unroll 16
      for (int p = 0; p < kPixels; ++p)
        for (int v = 0; v < kVectors; ++v) sum[p][v] += weight[v] * x_row[p * run.x_pixel + k];
    }
  }
#pragma GCC unroll 16
  for (int p = 0; p < kPixels; ++p)
    for (int v = 0; v < kVectors; ++v) store(y + p * out_c + v * kWidth<V>, sum[p][v]);
}

/// dw += sum over the outputs of a run of x[k] * dy for kDepth neighbouring numbers of one filter
/// row: a tile of the gradient that stays in registers along the whole row.
template <class V, int kVectors, int kDepth>
void outer_product(const OutputRun& run, const Scalar* x, const Scalar* dy, std::int64_t out_c,
                   Scalar* dw) {
  V sum[kDepth][kVectors];
#pragma GCC unroll 16
  for (int k = 0; k < kDepth; ++k)
    for (int v = 0; v < kVectors; ++v) load(sum[k][v], dw + k * out_c + v * kWidth<V>);
  for (std::int64_t p = 0; p < run.count; ++p, x += run.x_pixel, dy += out_c) {
    V gradient[kVectors];
    for (int v = 0; v < kVectors; ++v) load(gradient[v], dy + v * kWidth<V>);
#pragma GCC unroll 16
    for (int k = 0; k < kDepth; ++k)
      for (int v = 0; v < kVectors; ++v) sum[k][v] += gradient[v] * x[k];
  }
#pragma GCC unroll 16
  for (int k = 0; k < kDepth; ++k)
    for (int v = 0; v < kVectors; ++v) store(dw + k * out_c + v * kWidth<V>, sum[k][v]);
}

}  // namespace

void narrow_forward(const ConvShape& s, const Scalar* x, const Scalar* w,
                    const BiasActivation& epilogue, Scalar* y) {
  const RowWalker walk(s);
  const std::int64_t row_size = s.out_w * s.out_c, w_row = s.kernel_w * s.in_c * s.out_c;
  const std::int64_t rows_per_chunk =
      std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, row_size));
  parallel_for(s.batch * s.out_h, rows_per_chunk, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      Scalar* y_row = y + row * row_size;
      walk(x, row / s.out_h, row % s.out_h, [&](const OutputRun& run) {
        const std::int64_t depth = run.taps * s.in_c;
        for_each_block<2>(s.out_c, [&]<class V, int kVectors>(std::int64_t co) {
          const Scalar* weights = w + run.tap * s.in_c * s.out_c + co;
          Scalar* target = y_row + run.first * s.out_c + co;
          std::int64_t p = 0;
          for (; p + 4 <= run.count; p += 4)
            multiply<V, kVectors, 4>(run, run.x + p * run.x_pixel, weights, depth, w_row, s.out_c,
                                     target + p * s.out_c);
          for (; p < run.count; ++p)
            multiply<V, kVectors, 1>(run, run.x + p * run.x_pixel, weights, depth, w_row, s.out_c,
                                     target + p * s.out_c);
        });
      });
      epilogue.apply(y_row, s.out_w, s.out_c);
    }
  });
}

void narrow_input_gradient(const ConvShape& s, const Scalar* dy, const Scalar* w, Scalar beta,
                           Scalar* dx) {
  // What each output sends to each tap, one row of outputs at a time: dy w^T. Then every tap's
  // share is added where it belongs. A task owns some rows of dx and goes through the outputs that
  // reach them; those at its edges are computed by its neighbour, too.
  const std::int64_t run = s.kernel_w * s.in_c;
  const PackedMatrix turned(s.out_c, s.kernel_h * run, {w, 1, s.out_c});
  const std::int64_t columns = turned.panels() * kPanel;
  constexpr std::int64_t kRows = 16;
  const std::int64_t pieces = (s.in_h + kRows - 1) / kRows;
  parallel_for(s.batch * pieces, 1, [&](std::int64_t task, std::int64_t) {
    const std::int64_t n = task / pieces, top = task % pieces * kRows;
    const std::int64_t bottom = std::min(top + kRows, s.in_h), width = s.in_w * s.in_c;
    Scalar* image = dx + n * s.in_h * width;
    if (beta == 0) std::fill(image + top * width, image + bottom * width, Scalar{0});
    Scratch sent(s.out_w * columns);
    const std::int64_t reach = (s.kernel_h - 1) * s.dilation_h;
    for (std::int64_t oh = 0; oh < s.out_h; ++oh) {
      const std::int64_t first = oh * s.stride_h - s.pad_top;
      if (first + reach < top || first >= bottom) continue;
      const Strided gradient{dy + (n * s.out_h + oh) * s.out_w * s.out_c, s.out_c, 1};
      for (std::int64_t p = 0; p < turned.panels(); ++p)
        panel_gemm(s.out_w, s.out_c, gradient, turned.panel(p), kPanel, sent.data() + p * kPanel,
                   columns, false);
      for (std::int64_t kh = 0; kh < s.kernel_h; ++kh) {
        const std::int64_t ih = first + kh * s.dilation_h;
        if (ih < top || ih >= bottom) continue;
        Scalar* row = image + ih * width;
        for (std::int64_t ow = 0; ow < s.out_w; ++ow) {
          // The filter's row as one run of numbers, clipped to the map.
          const std::int64_t at = (ow * s.stride_w - s.pad_left) * s.in_c;
          const std::int64_t begin = std::max<std::int64_t>(0, -at);
          const std::int64_t end = std::min(run, width - at);
          const Scalar* from = sent.data() + ow * columns + kh * run + begin;
          Scalar* to = row + at + begin;
          if (end - begin == 9)  // 3 taps of 3 colours
            for (std::int64_t i = 0; i < 9; ++i) to[i] += from[i];
          else
            for (std::int64_t i = 0; i < end - begin; ++i) to[i] += from[i];
        }
      }
    }
  });
}

void narrow_weight_gradient(const ConvShape& s, const Scalar* x, const Scalar* dy, Scalar beta,
                            Scalar* dw) {
  const RowWalker walk(s);
  const std::int64_t size = s.weights(), rows = s.batch * s.out_h;
  const std::int64_t per_part = std::max<std::int64_t>((rows + 7) / 8, 16);
  const std::int64_t parts = (rows + per_part - 1) / per_part;
  Scratch partial(parts * size);
  Scalar* sums = partial.data();
  parallel_for(rows, per_part, [&](std::int64_t begin, std::int64_t end) {
    Scalar* sum = sums + begin / per_part * size;
    std::fill(sum, sum + size, Scalar{0});
    for (std::int64_t row = begin; row < end; ++row)
      walk(x, row / s.out_h, row % s.out_h, [&](const OutputRun& run) {
        const std::int64_t depth = run.taps * s.in_c;
        const Scalar* gradient = dy + (row * s.out_w + run.first) * s.out_c;
        for (std::int64_t kh = 0; kh < run.rows; ++kh) {
          const Scalar* values = run.x + kh * run.x_row;
          Scalar* target = sum + (run.tap + kh * run.tap_row) * s.in_c * s.out_c;
          for_each_block<2>(s.out_c, [&]<class V, int kVectors>(std::int64_t co) {
            std::int64_t k = 0;  // 9 = 3 taps of 3 colours; 18 registers of sums
            for (; k + 9 <= depth; k += 9)
              outer_product<V, kVectors, 9>(run, values + k, gradient + co, s.out_c,
                                            target + k * s.out_c + co);
            for (; k + 3 <= depth; k += 3)
              outer_product<V, kVectors, 3>(run, values + k, gradient + co, s.out_c,
                                            target + k * s.out_c + co);
            for (; k < depth; ++k)
              outer_product<V, kVectors, 1>(run, values + k, gradient + co, s.out_c,
                                            target + k * s.out_c + co);
          });
        }
      });
  });
  if (beta == 0) std::fill(dw, dw + size, Scalar{0});
  for (std::int64_t part = 0; part < parts; ++part)
    for (std::int64_t i = 0; i < size; ++i) dw[i] += sums[part * size + i];
}

}  // namespace boxgrad
