#include "layers/kernels/pointwise.h"

#include <algorithm>

#include "core/blas.h"
#include "core/parallel.h"

namespace boxgrad {

void pointwise_forward(const ConvShape& s, const Scalar* x, const Scalar* w,
                       const BiasActivation& epilogue, Scalar* y) {
  const std::int64_t pixels = s.out_pixels(), in = s.in_c, out = s.out_c;
  // Blocks of rows whose inputs and outputs stay in cache until bias and activation are applied,
  // but enough rows that fetching the filter again for each block does not count.
  const std::int64_t fit = (1 << 18) / (in + out);
  const std::int64_t block =
      std::max<std::int64_t>(std::min(std::max<std::int64_t>(fit, 256), (pixels + 7) / 8), 32);
  parallel_for(pixels, block, [&](std::int64_t begin, std::int64_t end) {
    gemm_serial(Trans::no, Trans::no, end - begin, out, in, 1, x + begin * in, in, w, out, 0,
                y + begin * out, out);
    epilogue.apply(y + begin * out, end - begin, out);
  });
}

void pointwise_input_gradient(const ConvShape& s, const Scalar* dy, const Scalar* w, Scalar beta,
                              Scalar* dx) {
  gemm(Trans::no, Trans::yes, s.in_pixels(), s.in_c, s.out_c, 1, dy, s.out_c, w, s.out_c, beta, dx,
       s.in_c);
}

void pointwise_weight_gradient(const ConvShape& s, const Scalar* x, const Scalar* dy, Scalar beta,
                               Scalar* dw) {
  gemm(Trans::yes, Trans::no, s.in_c, s.out_c, s.in_pixels(), 1, x, s.in_c, dy, s.out_c, beta, dw,
       s.out_c);
}

}  // namespace boxgrad
