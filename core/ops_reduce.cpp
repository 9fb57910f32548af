#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/broadcast.h"
#include "core/ops.h"

namespace boxgrad {

namespace {

/// The two shapes of a reduction's result: with the reduced axes as 1 (which broadcasts against
/// the input) and as the caller wants it.
struct Reduced {
  Shape kept, result;
  std::int64_t count;  ///< input elements per output element
};

Reduced reduced_shape(const Tensor& x, const std::vector<int>& axes, bool keepdim, const char* op) {
  std::vector<bool> reduce(static_cast<std::size_t>(x.rank()), axes.empty());
  for (const int axis : axes) {
    const auto a = static_cast<std::size_t>(normalize_axis(axis, x.rank(), op));
    check(!reduce[a], op, ": axis ", axis, " is named twice");
    reduce[a] = true;
  }
  std::vector<std::int64_t> kept, result;
  std::int64_t count = 1;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const bool gone = reduce[static_cast<std::size_t>(axis)];
    kept.push_back(gone ? 1 : x.size(axis));
    if (gone) count *= x.size(axis);
    if (!gone || keepdim) result.push_back(kept.back());
  }
  if (result.empty()) result.push_back(1);
  return {Shape(kept), Shape(result), count};
}

/// Sum times `scale`: the sum itself or the mean.
Tensor scaled_sum(const char* op, const Tensor& x, const Reduced& shapes, Scalar scale) {
  // Sums are kept in double: a float runs out of digits after a few million addends.
  std::vector<double> total(static_cast<std::size_t>(shapes.kept.numel()), 0.0);
  const BroadcastRows walk(x.shape(), shapes.kept, op);
  const Scalar* in = x.data().data();
  const std::int64_t length = walk.length();
  if (x.numel() > 0) {
    for (std::int64_t row = 0; row < walk.rows(); ++row) {
      const Scalar* from = in + walk.offset(0, row);
      double* to = total.data() + walk.offset(1, row);
      if (walk.stride(1) == 0) {
        double sum = 0;
        for (std::int64_t i = 0; i < length; ++i) sum += static_cast<double>(from[i]);
        *to += sum;
      } else {
        for (std::int64_t i = 0; i < length; ++i) to[i] += static_cast<double>(from[i]);
      }
    }
  }
  Tensor y = Tensor::empty(shapes.result);
  std::ranges::transform(total, y.data().begin(), [scale](double sum) {
    return static_cast<Scalar>(sum * static_cast<double>(scale));
  });

  return from_op(op, y, {x}, [dx = x.grad_slot(), kept = shapes.kept, scale](const Tensor& dy) {
    const BroadcastRows walk(dx->shape(), kept, "sum");
    const Scalar* g = dy.data().data();
    const std::int64_t length = walk.length(), step = walk.stride(1);
    const auto [out, beta] = dx->target();
    if (dx->shape().numel() == 0) return;
    for (std::int64_t row = 0; row < walk.rows(); ++row) {
      const Scalar* from = g + walk.offset(1, row);
      Scalar* to = out + walk.offset(0, row);
      if (beta == 0)
        for (std::int64_t i = 0; i < length; ++i) to[i] = scale * from[i * step];
      else
        for (std::int64_t i = 0; i < length; ++i) to[i] += scale * from[i * step];
    }
  });
}

}  // namespace

Tensor sum(const Tensor& x, std::vector<int> axes, bool keepdim) {
  return scaled_sum("sum", x, reduced_shape(x, axes, keepdim, "sum"), 1);
}

Tensor mean(const Tensor& x, std::vector<int> axes, bool keepdim) {
  const Reduced shapes = reduced_shape(x, axes, keepdim, "mean");
  check(shapes.count > 0, "mean: nothing to average, shape ", x.shape());
  return scaled_sum("mean", x, shapes, Scalar{1} / static_cast<Scalar>(shapes.count));
}

Tensor max(const Tensor& x, std::vector<int> axes, bool keepdim) {
  const Reduced shapes = reduced_shape(x, axes, keepdim, "max");
  check(shapes.count > 0, "max: nothing to compare, shape ", x.shape());
  Tensor y = Tensor::empty(shapes.result);
  const Scalar* in = x.data().data();
  Scalar* best = y.data().data();
  std::vector<std::int64_t> winner(static_cast<std::size_t>(y.numel()), -1);
  const BroadcastRows walk(x.shape(), shapes.kept, "max");
  for (std::int64_t row = 0; row < walk.rows() && x.numel() > 0; ++row) {
    const std::int64_t from_row = walk.offset(0, row), to_row = walk.offset(1, row);
    for (std::int64_t i = 0; i < walk.length(); ++i) {
      const std::int64_t from = from_row + i, to = to_row + i * walk.stride(1);
      std::int64_t& index = winner[static_cast<std::size_t>(to)];
      // The first element enters whatever it is; a number replaces NaN; then strictly larger wins.
      if (index < 0 || in[from] > best[to] || (std::isnan(best[to]) && !std::isnan(in[from]))) {
        best[to] = in[from];
        index = from;
      }
    }
  }

  return from_op("max", y, {x}, [dx = x.grad_slot(), winner](const Tensor& dy) {
    const auto g = dy.data();
    const auto out = dx->zeroed();
    for (std::size_t i = 0; i < winner.size(); ++i)
      out[static_cast<std::size_t>(winner[i])] += g[i];
  });
}

}  // namespace boxgrad
