#include "layers/l2_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/autograd.h"
#include "layers/kernels/simd.h"

namespace boxgrad {

namespace {

/// The sum of term.operator()<V>(c) over all channels, in one register of partial sums. The order
/// of the additions follows from the number of channels alone.
template <class Term>
Scalar sum_over_channels(std::int64_t channels, Term&& term) {
  Vec lanes{};
  Scalar sum = 0;
  for_each_vector(channels, [&]<class V>(std::int64_t c) {
    V value;
    term(value, c);
    if constexpr (kWidth < V >> 1)
      lanes += value;
    else
      sum += value;
  });
  for (std::int64_t lane = 0; lane < kLanes; ++lane) sum += lanes[lane];
  return sum;
}

}  // namespace

Tensor l2_norm(const Tensor& x, const Tensor& weight, Scalar eps) {
  const std::int64_t channels = x.size(-1);
  check(weight.shape() == Shape{channels}, "l2_norm: weight must have shape [", channels,
        "] for x of shape ", x.shape(), ", got ", weight.shape());
  check(eps > 0, "l2_norm: eps must be > 0, got ", eps);
  const std::int64_t rows = channels > 0 ? x.numel() / channels : 0;
  const std::int64_t block =
      std::max<std::int64_t>(1, kElementwiseGrain / std::max<std::int64_t>(channels, 1));

  Tensor y = Tensor::empty(x.shape()), inverse = Tensor::empty({rows});
  const Scalar *in = x.data().data(), *w = weight.data().data();
  Scalar *out = y.data().data(), *r = inverse.data().data();
  parallel_for(rows, block, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const Scalar* __restrict from = in + row * channels;
      Scalar* __restrict to = out + row * channels;
      const Scalar squares = sum_over_channels(channels, [&](auto& value, std::int64_t c) {
        load(value, from + c);
        value *= value;
      });
      const Scalar scale = r[row] = 1 / std::sqrt(squares + eps);
      for (std::int64_t c = 0; c < channels; ++c) to[c] = w[c] * (from[c] * scale);
    }
  });

  return from_op(
      "l2_norm", y, {x, weight},
      [x = x.detach(), weight = weight.detach(), inverse, dx = x.grad_slot(),
       dw = weight.grad_slot(), channels, rows, block](const Tensor& dy) {
        const Scalar *in = x.data().data(), *w = weight.data().data(), *r = inverse.data().data();
        const Scalar* dy_data = dy.data().data();
        const auto [dx_data, beta] = dx ? dx->target() : GradSlot::Target{nullptr, 0};
        // One partial dw per block of rows, added in order below.
        const std::int64_t blocks = (rows + block - 1) / block;
        std::vector<Scalar> partial(static_cast<std::size_t>(dw ? blocks * channels : 0),
                                    Scalar{0});
        parallel_for(rows, block, [&, dx_data = dx_data, beta = beta](auto begin, auto end) {
          for (std::int64_t row = begin; row < end; ++row) {
            const Scalar* __restrict from = in + row * channels;
            const Scalar* __restrict g = dy_data + row * channels;
            const Scalar scale = r[row];
            if (dw) {
              Scalar* __restrict sum = partial.data() + begin / block * channels;
              for (std::int64_t c = 0; c < channels; ++c) sum[c] += g[c] * (from[c] * scale);
            }
            if (!dx_data) continue;
            // How much of the gradient points along x: that part cannot change the direction.
            const Scalar along =
                scale * scale * sum_over_channels(channels, [&](auto& value, std::int64_t c) {
                  auto factor = value;
                  load(value, from + c);
                  load(factor, g + c);
                  value *= factor;
                  load(factor, w + c);
                  value *= factor;
                });
            Scalar* __restrict to = dx_data + row * channels;
            if (beta == 0)
              for (std::int64_t c = 0; c < channels; ++c)
                to[c] = scale * (g[c] * w[c] - from[c] * along);
            else
              for (std::int64_t c = 0; c < channels; ++c)
                to[c] += scale * (g[c] * w[c] - from[c] * along);
          }
        });
        if (!dw) return;
        dw->accumulate([&](std::size_t c) {
          double sum = 0;
          for (std::size_t i = c; i < partial.size(); i += static_cast<std::size_t>(channels))
            sum += static_cast<double>(partial[i]);
          return static_cast<Scalar>(sum);
        });
      });
}

nn::L2Norm::L2Norm(std::int64_t channels, Scalar scale, Scalar eps) : eps(eps) {
  check(channels >= 1, "L2Norm: channels must be >= 1, got ", channels);
  weight = add_parameter("weight", Tensor::full({channels}, scale));
}

}  // namespace boxgrad
