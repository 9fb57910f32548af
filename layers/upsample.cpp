#include "layers/upsample.h"

#include <algorithm>
#include <vector>

#include "core/autograd.h"
#include "core/check.h"
#include "core/parallel.h"

namespace boxgrad {

Tensor upsample_nearest(const Tensor& x, std::int64_t height, std::int64_t width) {
  check(x.rank() == 4 && x.size(1) > 0 && x.size(2) > 0,
        "upsample_nearest: x must be [N, H, W, C] with H and W > 0, got ", x.shape());
  check(height >= 1 && width >= 1, "upsample_nearest: height and width must be >= 1, got ", height,
        " x ", width);
  const std::int64_t n = x.size(0), h = x.size(1), w = x.size(2), c = x.size(3);
  Tensor y = Tensor::empty({n, height, width, c});
  const Scalar* in = x.data().data();
  Scalar* out = y.data().data();
  parallel_for(
      n * height, std::max<std::int64_t>(1, 16384 / (width * std::max<std::int64_t>(c, 1))),
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
          const std::int64_t from = row / height * h + row % height * h / height;
          for (std::int64_t j = 0; j < width; ++j)
            std::copy_n(in + (from * w + j * w / width) * c, c, out + (row * width + j) * c);
        }
      });
  return from_op(
      "upsample_nearest", y, {x},
      [dx = x.grad_slot(), n, h, w, c, height, width](const Tensor& dy) {
        const Scalar* g = dy.data().data();
        const auto [data, beta] = dx->target();
        // Cell (p, q) is repeated in rows ceil(p height / h) .. ceil((p + 1) height / h) - 1.
        const auto first = [](std::int64_t cell, std::int64_t to, std::int64_t from) {
          return (cell * to + from - 1) / from;
        };
        parallel_for(n * h, 1, [&, data = data, beta = beta](std::int64_t row, std::int64_t) {
          const std::int64_t image = row / h, p = row % h;
          Scalar* to = data + row * w * c;
          if (beta == 0) std::fill_n(to, w * c, Scalar{0});
          for (std::int64_t i = first(p, height, h); i < first(p + 1, height, h); ++i)
            for (std::int64_t q = 0; q < w; ++q)
              for (std::int64_t j = first(q, width, w); j < first(q + 1, width, w); ++j) {
                const Scalar* from = g + ((image * height + i) * width + j) * c;
                for (std::int64_t k = 0; k < c; ++k) to[q * c + k] += from[k];
              }
        });
      });
}

}  // namespace boxgrad
