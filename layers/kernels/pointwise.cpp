#include "layers/kernels/pointwise.h"

#include <algorithm>

#include "core/blas.h"
#include "core/parallel.h"

namespace boxgrad {

namespace {

/// Which filter gradients are summed by transposed_gemm: up to 256 x 256. Measured, it makes 115 to
/// 170 GFLOP/s of them where BLAS makes 80 to 170; above, BLAS makes 180.
bool own_weight_gradient(const ConvShape& s) {
  return kPackedIsFast && s.in_c * s.out_c <= 256 * 256;
}

}  // namespace

RowProduct::RowProduct(std::int64_t in, std::int64_t out, const Scalar* w, bool transposed)
    : in_(in), out_(out), w_(w), transposed_(transposed) {
  if (!kPackedIsFast) return;
  if (transposed)
    packed_.emplace(out, in, Strided{w, 1, out});
  else
    packed_.emplace(in, out, Strided{w, out, 1});
}

void RowProduct::operator()(std::int64_t rows, const Scalar* a, Scalar* c, bool add) const {
  const std::int64_t depth = transposed_ ? out_ : in_, columns = transposed_ ? in_ : out_;
  if (packed_)
    packed_gemm(rows, {a, depth, 1}, *packed_, c, columns, add);
  else
    gemm_serial(Trans::no, transposed_ ? Trans::yes : Trans::no, rows, columns, depth, 1, a, depth,
                w_, out_, add ? 1 : 0, c, columns);
}

std::int64_t RowProduct::block(std::int64_t rows) const {
  // BLAS copies the whole filter for each block, and wants many rows for that.
  const std::int64_t least = packed_ ? 28 : 192;
  const std::int64_t blocks = std::clamp<std::int64_t>(rows / least, 2, 8);
  const std::int64_t fit = std::max<std::int64_t>((1 << 18) / (in_ + out_), least);
  return std::max<std::int64_t>(std::min((rows + blocks - 1) / blocks, fit), 1);
}

void pointwise_forward(const ConvShape& s, const Scalar* x, const Scalar* w,
                       const BiasActivation& epilogue, Scalar* y) {
  const RowProduct multiply(s.in_c, s.out_c, w, false);
  const std::int64_t pixels = s.out_pixels();
  parallel_for(pixels, multiply.block(pixels), [&](std::int64_t begin, std::int64_t end) {
    multiply(end - begin, x + begin * s.in_c, y + begin * s.out_c, false);
    epilogue.apply(y + begin * s.out_c, end - begin, s.out_c);
  });
}

void pointwise_input_gradient(const ConvShape& s, const Scalar* dy, const Scalar* w, Scalar beta,
                              Scalar* dx) {
  if (!kPackedIsFast)
    return gemm(Trans::no, Trans::yes, s.in_pixels(), s.in_c, s.out_c, 1, dy, s.out_c, w, s.out_c,
                beta, dx, s.in_c);
  const RowProduct multiply(s.in_c, s.out_c, w, true);
  const std::int64_t pixels = s.in_pixels();
  parallel_for(pixels, multiply.block(pixels), [&](std::int64_t begin, std::int64_t end) {
    multiply(end - begin, dy + begin * s.out_c, dx + begin * s.in_c, beta != 0);
  });
}

void add_weight_gradient(const ConvShape& s, std::int64_t rows, const Scalar* x, const Scalar* dy,
                         Scalar* dw, bool add) {
  if (!own_weight_gradient(s))
    return gemm_serial(Trans::yes, Trans::no, s.in_c, s.out_c, rows, 1, x, s.in_c, dy, s.out_c,
                       add ? 1 : 0, dw, s.out_c);
  constexpr std::int64_t kRows = 224;  // they stay in the L2 cache while tiles of dw go by
  for (std::int64_t row = 0; row < rows; row += kRows)
    transposed_gemm(s.in_c, s.out_c, std::min(kRows, rows - row), x + row * s.in_c,
                    dy + row * s.out_c, dw, add || row > 0);
}

void pointwise_weight_gradient(const ConvShape& s, const Scalar* x, const Scalar* dy, Scalar beta,
                               Scalar* dw) {
  const std::int64_t rows = s.in_pixels(), size = s.weights();
  if (!own_weight_gradient(s))
    return gemm(Trans::yes, Trans::no, s.in_c, s.out_c, rows, 1, x, s.in_c, dy, s.out_c, beta, dw,
                s.out_c);
  // At most eight parts of the rows with a sum of their own, added in order.
  const std::int64_t per_part = std::max<std::int64_t>((rows + 7) / 8, 64);
  const std::int64_t parts = (rows + per_part - 1) / per_part;
  Scratch partial(parts * size);
  Scalar* sums = partial.data();
  parallel_for(rows, per_part, [&](std::int64_t begin, std::int64_t end) {
    add_weight_gradient(s, end - begin, x + begin * s.in_c, dy + begin * s.out_c,
                        sums + begin / per_part * size, false);
  });
  parallel_for(size, 16384, [&](std::int64_t begin, std::int64_t end) {
    if (beta == 0) std::fill(dw + begin, dw + end, Scalar{0});
    for (std::int64_t part = 0; part < parts; ++part)
      for (std::int64_t i = begin; i < end; ++i) dw[i] += sums[part * size + i];
  });
}

}  // namespace boxgrad
