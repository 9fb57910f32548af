#include "layers/activation.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/check.h"
#include "layers/kernels/fast_exp.h"

namespace boxgrad {

namespace {

/// y_i = value(x_i), dx_i = slope(dy_i, y_i).
template <class Value, class Slope>
Tensor activation(const char* op, const Tensor& x, Value value, Slope slope) {
  Tensor y = Tensor::empty(x.shape());
  const Scalar* in = x.data().data();
  Scalar* out = y.data().data();
  parallel_for(x.numel(), kElementwiseGrain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) out[i] = value(in[i]);
  });
  return from_op(op, y, {x}, [y = y.detach(), dx = x.grad_slot(), slope](const Tensor& dy) {
    const Scalar *g = dy.data().data(), *out = y.data().data();
    dx->accumulate([=](std::size_t i) { return slope(g[i], out[i]); });
  });
}

/// Rows of the last axis.
struct SoftmaxRows {
  std::int64_t count, length, grain;
};

SoftmaxRows rows_of(const char* op, const Tensor& x) {
  const std::int64_t length = x.size(-1);
  check(length > 0, op, ": the last axis must not be empty, got shape ", x.shape());
  return {x.numel() / length, length, std::max<std::int64_t>(1, kElementwiseGrain / length)};
}

Scalar highest(const Scalar* row, std::int64_t length) {
  Scalar high = row[0];
  for (std::int64_t l = 1; l < length; ++l) high = row[l] > high ? row[l] : high;
  return high;
}

/// dx_l = f(dy_l, y_l, s) where s = sum_k g(dy_k, y_k), for each row.
template <class Term, class Slope>
void row_gradient(const SoftmaxRows& rows, const Tensor& dy, const Tensor& y, GradSlot& slot,
                  Term term, Slope slope) {
  const auto [dx, beta] = slot.target();
  const Scalar *dy_data = dy.data().data(), *y_data = y.data().data();
  parallel_for(rows.count, rows.grain,
               [&, dx = dx, beta = beta](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t r = begin; r < end; ++r) {
                   const Scalar* g = dy_data + r * rows.length;
                   const Scalar* out = y_data + r * rows.length;
                   Scalar* to = dx + r * rows.length;
                   Scalar sum = 0;
                   for (std::int64_t l = 0; l < rows.length; ++l) sum += term(g[l], out[l]);
                   for (std::int64_t l = 0; l < rows.length; ++l)
                     to[l] = (beta == 0 ? 0 : to[l]) + slope(g[l], out[l], sum);
                 }
               });
}

}  // namespace

// A comparison with NaN is false: written so that NaN passes through all of them.

Tensor relu(const Tensor& x) {
  return activation(
      "relu", x, [](Scalar v) { return v < 0 ? Scalar{0} : v; },
      [](Scalar g, Scalar y) { return y > 0 ? g : Scalar{0}; });
}

Tensor relu6(const Tensor& x) {
  return activation(
      "relu6", x,
      [](Scalar v) {
        const Scalar low = v < 0 ? Scalar{0} : v;
        return low > 6 ? Scalar{6} : low;
      },
      [](Scalar g, Scalar y) { return y > 0 && y < 6 ? g : Scalar{0}; });
}

Tensor leaky_relu(const Tensor& x, Scalar slope) {
  // The sign of the input follows from the output only then.
  check(slope >= 0, "leaky_relu: slope must be >= 0, got ", slope);
  return activation(
      "leaky_relu", x, [slope](Scalar v) { return v > 0 ? v : slope * v; },
      [slope](Scalar g, Scalar y) { return y > 0 ? g : slope * g; });
}

Tensor sigmoid(const Tensor& x) {
  return activation(
      "sigmoid", x,
      [](Scalar v) {
        const Scalar e = kernels::fast_exp(-std::abs(v));  // never overflows
        return (v < 0 ? e : 1) / (1 + e);
      },
      [](Scalar g, Scalar y) { return g * y * (1 - y); });
}

Tensor softmax(const Tensor& x) {
  const SoftmaxRows rows = rows_of("softmax", x);
  const std::int64_t length = rows.length;
  Tensor y = Tensor::empty(x.shape());
  const Scalar* in = x.data().data();
  Scalar* out = y.data().data();
  parallel_for(rows.count, rows.grain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const Scalar high = highest(in + r * length, length);
      for (std::int64_t i = r * length; i < (r + 1) * length; ++i) out[i] = in[i] - high;
    }
    // In one run over all rows of the chunk: a row of 11 classes is too short for vector code.
    for (std::int64_t i = begin * length; i < end * length; ++i) out[i] = kernels::fast_exp(out[i]);
    for (std::int64_t r = begin; r < end; ++r) {
      Scalar sum = 0;
      for (std::int64_t i = r * length; i < (r + 1) * length; ++i) sum += out[i];
      for (std::int64_t i = r * length; i < (r + 1) * length; ++i) out[i] /= sum;
    }
  });
  return from_op("softmax", y, {x}, [rows, y = y.detach(), dx = x.grad_slot()](const Tensor& dy) {
    row_gradient(
        rows, dy, y, *dx, [](Scalar g, Scalar p) { return g * p; },
        [](Scalar g, Scalar p, Scalar sum) { return p * (g - sum); });
  });
}

Tensor log_softmax(const Tensor& x) {
  const SoftmaxRows rows = rows_of("log_softmax", x);
  const std::int64_t length = rows.length;
  Tensor y = Tensor::empty(x.shape());
  const Scalar* in = x.data().data();
  Scalar* out = y.data().data();
  parallel_for(rows.count, rows.grain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const Scalar* row = in + r * length;
      const Scalar high = highest(row, length);
      Scalar sum = 0;
      for (std::int64_t l = 0; l < length; ++l) sum += kernels::fast_exp(row[l] - high);
      const Scalar log_sum = std::log(sum);
      for (std::int64_t l = 0; l < length; ++l) out[r * length + l] = row[l] - high - log_sum;
    }
  });
  return from_op(
      "log_softmax", y, {x}, [rows, y = y.detach(), dx = x.grad_slot()](const Tensor& dy) {
        row_gradient(
            rows, dy, y, *dx, [](Scalar g, Scalar) { return g; },
            [](Scalar g, Scalar log_p, Scalar sum) { return g - kernels::fast_exp(log_p) * sum; });
      });
}

}  // namespace boxgrad
