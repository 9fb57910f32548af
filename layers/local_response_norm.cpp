#include "layers/local_response_norm.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/check.h"
#include "layers/kernels/scratch.h"

namespace boxgrad {

namespace {

/// sum[c] = the sum of v over channels c - before .. c + after, of those there are.
void sum_neighbours(const Scalar* __restrict v, std::int64_t channels, std::int64_t before,
                    std::int64_t after, Scalar* __restrict sum) {
  std::fill_n(sum, channels, Scalar{0});
  const std::int64_t most = channels - 1;
  for (std::int64_t offset = -std::min(before, most); offset <= std::min(after, most); ++offset) {
    const std::int64_t end = std::min(channels, channels - offset);
    for (std::int64_t c = std::max<std::int64_t>(0, -offset); c < end; ++c) sum[c] += v[c + offset];
  }
}

/// to[c] = d[c]^-beta. The usual beta needs roots only, which are many times faster than pow.
void negative_power(const Scalar* __restrict d, std::int64_t channels, Scalar beta,
                    Scalar* __restrict to) {
  if (beta == Scalar(0.75))
    for (std::int64_t c = 0; c < channels; ++c) {
      const Scalar root = std::sqrt(d[c]);
      to[c] = 1 / (root * std::sqrt(root));
    }
  else
    for (std::int64_t c = 0; c < channels; ++c) to[c] = std::pow(d[c], -beta);
}

}  // namespace

Tensor local_response_norm(const Tensor& x, const LocalResponseNormOptions& o) {
  check(x.rank() >= 1, "local_response_norm: x must have an axis of channels, got ", x.shape());
  check(o.size >= 1, "local_response_norm: size must be >= 1, got ", o.size);
  check(o.alpha >= 0, "local_response_norm: alpha must be >= 0, got ", o.alpha);
  check(std::isfinite(o.beta), "local_response_norm: beta must be finite, got ", o.beta);
  check(o.k > 0, "local_response_norm: k must be > 0, got ", o.k);
  const std::int64_t channels = x.size(-1), rows = channels > 0 ? x.numel() / channels : 0;
  const std::int64_t block =
      std::max<std::int64_t>(1, kElementwiseGrain / std::max<std::int64_t>(channels, 1));
  const std::int64_t before = o.size / 2, after = (o.size - 1) / 2;
  const Scalar scale = o.alpha / static_cast<Scalar>(o.size);

  Tensor y = Tensor::empty(x.shape()), d = Tensor::empty(x.shape());
  const Scalar* in = x.data().data();
  Scalar *out = y.data().data(), *divisors = d.data().data();
  parallel_for(rows, block, [&](std::int64_t begin, std::int64_t end) {
    Scratch scratch(2 * channels);
    Scalar* __restrict squares = scratch.data(), * __restrict power = squares + channels;
    for (std::int64_t row = begin; row < end; ++row) {
      const Scalar* __restrict from = in + row * channels;
      Scalar* __restrict to = out + row * channels, * __restrict divisor =
                                                        divisors + row * channels;
      for (std::int64_t c = 0; c < channels; ++c) squares[c] = from[c] * from[c];
      sum_neighbours(squares, channels, before, after, divisor);
      for (std::int64_t c = 0; c < channels; ++c) divisor[c] = o.k + scale * divisor[c];
      negative_power(divisor, channels, o.beta, power);
      for (std::int64_t c = 0; c < channels; ++c) to[c] = from[c] * power[c];
    }
  });

  return from_op("local_response_norm", y, {x},
                 [x = x.detach(), d, dx = x.grad_slot(), channels, rows, block, before, after,
                  scale, beta = o.beta](const Tensor& dy) {
                   const Scalar *in = x.data().data(), *dy_data = dy.data().data();
                   const Scalar* divisors = d.data().data();
                   const auto target = dx->target();
                   parallel_for(rows, block, [&](std::int64_t begin, std::int64_t end) {
                     Scratch scratch(3 * channels);
                     Scalar* __restrict power = scratch.data(), * __restrict share =
                                                                    power + channels;
                     Scalar* __restrict sum = share + channels;
                     for (std::int64_t row = begin; row < end; ++row) {
                       const Scalar* __restrict from = in + row * channels;
                       const Scalar* __restrict g = dy_data + row * channels;
                       const Scalar* __restrict divisor = divisors + row * channels;
                       Scalar* __restrict to = target.data + row * channels;
                       negative_power(divisor, channels, beta, power);
                       for (std::int64_t c = 0; c < channels; ++c)
                         share[c] = g[c] * from[c] * power[c] / divisor[c];
                       // c is in the sums of those that have it before or after them: the window,
                       // mirrored.
                       sum_neighbours(share, channels, after, before, sum);
                       for (std::int64_t c = 0; c < channels; ++c) {
                         const Scalar value = g[c] * power[c] - 2 * scale * beta * from[c] * sum[c];
                         to[c] = target.beta == 0 ? value : to[c] + value;
                       }
                     }
                   });
                 });
}

}  // namespace boxgrad
