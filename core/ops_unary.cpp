#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/ops.h"

namespace boxgrad {

namespace {

/// y_i = f(x_i) for every element, threaded.
template <class F>
Tensor map(const Tensor& x, F f) {
  Tensor y = Tensor::empty(x.shape());
  const Scalar* in = x.data().data();
  Scalar* out = y.data().data();
  parallel_for(x.numel(), kElementwiseGrain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) out[i] = f(in[i]);
  });
  return y;
}

}  // namespace

Tensor neg(const Tensor& x) {
  return from_op("neg", map(x, [](Scalar v) { return -v; }), {x},
                 [dx = x.grad_slot()](const Tensor& dy) {
                   const auto g = dy.data();
                   dx->accumulate([=](std::size_t i) { return -g[i]; });
                 });
}

Tensor square(const Tensor& x) {
  return from_op("square", map(x, [](Scalar v) { return v * v; }), {x},
                 [x = x.detach(), dx = x.grad_slot()](const Tensor& dy) {
                   const auto g = dy.data(), v = x.data();
                   dx->accumulate([=](std::size_t i) { return 2 * v[i] * g[i]; });
                 });
}

Tensor exp(const Tensor& x) {
  const Tensor y = map(x, [](Scalar v) { return std::exp(v); });
  return from_op("exp", y, {x}, [y = y.detach(), dx = x.grad_slot()](const Tensor& dy) {
    const auto g = dy.data(), e = y.data();
    dx->accumulate([=](std::size_t i) { return g[i] * e[i]; });
  });
}

Tensor log(const Tensor& x) {
  return from_op("log", map(x, [](Scalar v) { return std::log(v); }), {x},
                 [x = x.detach(), dx = x.grad_slot()](const Tensor& dy) {
                   const auto g = dy.data(), v = x.data();
                   dx->accumulate([=](std::size_t i) { return g[i] / v[i]; });
                 });
}

Tensor sqrt(const Tensor& x) {
  const Tensor y = map(x, [](Scalar v) { return std::sqrt(v); });
  return from_op("sqrt", y, {x}, [y = y.detach(), dx = x.grad_slot()](const Tensor& dy) {
    const auto g = dy.data(), root = y.data();
    dx->accumulate([=](std::size_t i) { return g[i] / (2 * root[i]); });
  });
}

Tensor clamp(const Tensor& x, Scalar low, Scalar high) {
  check(low <= high, "clamp: low must be <= high, got ", low, " and ", high);
  // A comparison with NaN is false, so that NaN stays NaN.
  const auto clip = [low, high](Scalar v) { return v < low ? low : v > high ? high : v; };
  return from_op(
      "clamp", map(x, clip), {x},
      [x = x.detach(), dx = x.grad_slot(), low, high](const Tensor& dy) {
        const auto g = dy.data(), v = x.data();
        const Scalar a = low, b = high;
        dx->accumulate([=](std::size_t i) { return v[i] >= a && v[i] <= b ? g[i] : Scalar{0}; });
      });
}

}  // namespace boxgrad
