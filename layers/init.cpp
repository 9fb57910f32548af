#include "layers/init.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/check.h"

namespace boxgrad::nn::init {

namespace {

/// t[i] = draw(random), where every element uses `words` of the stream: since the position of
/// each element's words is known, chunks can be drawn at the same time.
template <class Draw>
void fill(Tensor& t, std::uint64_t words, Draw draw) {
  Random& random = default_random();
  const Random start = random;
  const auto at = [&](std::int64_t i) {
    return Random(start.seed(), start.stream(),
                  start.counter() + words * static_cast<std::uint64_t>(i));
  };
  Scalar* x = t.data().data();
  parallel_for(t.numel(), kElementwiseGrain, [&](std::int64_t begin, std::int64_t end) {
    Random local = at(begin);
    for (std::int64_t i = begin; i < end; ++i) x[i] = static_cast<Scalar>(draw(local));
  });
  random = at(t.numel());
}

double fan(const Tensor& weight, FanMode mode) {
  const auto [in, out] = fans(weight.shape());
  return static_cast<double>(mode == FanMode::in ? in : out);
}

double mean_fan(const Tensor& weight) {
  return (fan(weight, FanMode::in) + fan(weight, FanMode::out)) / 2;
}

/// Uniform in +-bound has variance bound^2 / 3.
void uniform_with_variance(Tensor& weight, double variance) {
  const double bound = std::sqrt(3 * variance);
  uniform(weight, -bound, bound);
}

}  // namespace

Fans fans(const Shape& weight) {
  check((weight.rank() == 2 || weight.rank() == 4) && weight.numel() > 0,
        "init: a weight must be [in, out] or [KH, KW, C_in, C_out] and not empty, got ", weight);
  const std::int64_t window = weight.rank() == 4 ? weight[0] * weight[1] : 1;
  return {window * weight[-2], window * weight[-1]};
}

void constant(Tensor t, double value) { std::ranges::fill(t.data(), static_cast<Scalar>(value)); }

void uniform(Tensor t, double low, double high) {
  check(low <= high, "init::uniform: low must be <= high, got ", low, " and ", high);
  fill(t, 2, [=](Random& random) { return random.uniform(low, high); });
}

void gaussian(Tensor t, double std, double mean) {
  check(std::isfinite(std) && std >= 0, "init::gaussian: std must be >= 0, got ", std);
  fill(t, 4, [=](Random& random) { return mean + std * random.normal(); });
}

void xavier_uniform(Tensor weight, double gain) {
  uniform_with_variance(weight, gain * gain / mean_fan(weight));
}
void xavier_normal(Tensor weight, double gain) {
  gaussian(weight, std::abs(gain) / std::sqrt(mean_fan(weight)));
}
void kaiming_uniform(Tensor weight, FanMode mode) {
  uniform_with_variance(weight, 2 / fan(weight, mode));
}
void kaiming_normal(Tensor weight, FanMode mode) {
  gaussian(weight, std::sqrt(2 / fan(weight, mode)));
}

double prior_bias(double probability) {
  check(probability > 0 && probability < 1,
        "prior_bias: the probability must be between 0 and 1, got ", probability);
  return -std::log((1 - probability) / probability);
}

}  // namespace boxgrad::nn::init
