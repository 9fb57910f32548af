#include "layers/pool.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <vector>

#include "core/autograd.h"
#include "layers/kernels/pool.h"

namespace boxgrad {

namespace {

void check_map(const char* op, const Tensor& x) {
  check(x.rank() == 4 && x.size(1) > 0 && x.size(2) > 0, op,
        ": input must have shape [N, H, W, C] with H, W > 0, got ", x.shape());
}

/// The windows along one axis by PyTorch's rule.
PoolAxis windows(const char* op, const char* axis, std::int64_t cells, std::int64_t kernel,
                 std::int64_t stride, std::int64_t padding, bool ceil_mode) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  if (stride == 0) stride = kernel;
  check(kernel >= 1 && kernel <= kMost, op, ": kernel must be from 1 to ", kMost, ", got ", kernel,
        " for ", axis);
  check(stride >= 1 && stride <= kMost, op, ": stride must be from 0 (as the kernel) to ", kMost,
        ", got ", stride, " for ", axis);
  check(padding >= 0 && 2 * padding <= kernel, op,
        ": padding must be from 0 to half the kernel, got ", padding, " for ", axis,
        " with kernel ", kernel);
  const std::int64_t room = cells + 2 * padding - kernel;
  check(room >= 0, op, ": the padded map must be at least as large as the kernel (", kernel,
        "), got ", axis, " ", cells, " with padding ", padding);
  std::int64_t count = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  if (ceil_mode && (count - 1) * stride >= cells + padding) --count;

  PoolAxis result;
  result.cells = cells;
  for (std::int64_t i = 0; i < count; ++i)
    result.add(i * stride - padding, i * stride - padding + kernel);
  result.finish();
  return result;
}

std::vector<Scalar> reciprocals(const std::vector<std::int64_t>& counts) {
  std::vector<Scalar> result;
  for (const std::int64_t count : counts) result.push_back(Scalar{1} / static_cast<Scalar>(count));
  return result;
}

/// How many cells of each window lie on the map.
std::vector<std::int64_t> covered(const PoolAxis& axis) {
  std::vector<std::int64_t> counts;
  for (std::size_t i = 0; i < axis.begin.size(); ++i) counts.push_back(axis.end[i] - axis.begin[i]);
  return counts;
}

Tensor average(const char* op, const Tensor& x, PoolShape s, std::vector<Scalar> scale_h,
               std::vector<Scalar> scale_w) {
  Tensor y = Tensor::empty({s.batch, s.h.windows(), s.w.windows(), s.channels});
  average_pool_forward(s, scale_h, scale_w, x.data().data(), y.data().data());

  return from_op(op, y, {x},
                 [s = std::move(s), scale_h = std::move(scale_h), scale_w = std::move(scale_w),
                  dx = x.grad_slot()](const Tensor& dy) {
                   const auto [dx_data, beta] = dx->target();
                   average_pool_backward(s, scale_h, scale_w, dy.data().data(), beta, dx_data);
                 });
}

}  // namespace

Tensor max_pool2d(const Tensor& x, PerAxis kernel, const MaxPool2dOptions& o) {
  check_map("max_pool2d", x);
  PoolShape s{
      x.size(0), x.size(3),
      windows("max_pool2d", "height", x.size(1), kernel.h, o.stride.h, o.padding.h, o.ceil_mode),
      windows("max_pool2d", "width", x.size(2), kernel.w, o.stride.w, o.padding.w, o.ceil_mode)};
  check(kernel.h <= 256 && kernel.w <= 256 && kernel.h * kernel.w <= 256,
        "max_pool2d: kernel must have at most 256 cells, got ", kernel.h, " x ", kernel.w,
        "; max() in core/ops.h covers whole axes");

  Tensor y = Tensor::empty({s.batch, s.h.windows(), s.w.windows(), s.channels});
  const auto dx = grad_enabled() ? x.grad_slot() : nullptr;
  // A byte per output instead of x and y themselves is all that backward needs.
  std::shared_ptr<std::uint8_t[]> argmax;
  if (dx) argmax.reset(new std::uint8_t[static_cast<std::size_t>(y.numel())]);
  max_pool_forward(s, kernel.w, x.data().data(), y.data().data(), argmax.get());

  return from_op("max_pool2d", y, {x},
                 [s = std::move(s), kernel_w = kernel.w, argmax, dx](const Tensor& dy) {
                   const auto [dx_data, beta] = dx->target();
                   max_pool_backward(s, kernel_w, dy.data().data(), argmax.get(), beta, dx_data);
                 });
}

Tensor avg_pool2d(const Tensor& x, PerAxis kernel, const AvgPool2dOptions& o) {
  check_map("avg_pool2d", x);
  PoolShape s{
      x.size(0), x.size(3),
      windows("avg_pool2d", "height", x.size(1), kernel.h, o.stride.h, o.padding.h, o.ceil_mode),
      windows("avg_pool2d", "width", x.size(2), kernel.w, o.stride.w, o.padding.w, o.ceil_mode)};
  const auto counts = [&](const PoolAxis& axis, std::int64_t size, std::int64_t padding) {
    if (!o.count_include_pad) return covered(axis);
    std::vector<std::int64_t> cells;  // of the padded map; ceil_mode's last window ends with it
    for (const std::int64_t origin : axis.origin)
      cells.push_back(std::min(origin + size, axis.cells + padding) - origin);
    return cells;
  };
  std::vector<Scalar> scale_h = reciprocals(counts(s.h, kernel.h, o.padding.h));
  std::vector<Scalar> scale_w = reciprocals(counts(s.w, kernel.w, o.padding.w));
  return average("avg_pool2d", x, std::move(s), std::move(scale_h), std::move(scale_w));
}

Tensor adaptive_avg_pool2d(const Tensor& x, PerAxis out) {
  check_map("adaptive_avg_pool2d", x);
  const auto parts = [](std::int64_t cells, std::int64_t count) {
    PoolAxis axis;
    axis.cells = cells;
    for (std::int64_t i = 0; i < count; ++i)
      axis.add(i * cells / count, ((i + 1) * cells + count - 1) / count);
    axis.finish();
    return axis;
  };
  constexpr std::int64_t kMost = 1 << 20;  // keeps the products above far from overflow
  check(out.h >= 1 && out.w >= 1 && out.h <= kMost && out.w <= kMost,
        "adaptive_avg_pool2d: out must be from 1 to ", kMost, ", got ", out.h, " and ", out.w);
  PoolShape s{x.size(0), x.size(3), parts(x.size(1), out.h), parts(x.size(2), out.w)};
  std::vector<Scalar> scale_h = reciprocals(covered(s.h)), scale_w = reciprocals(covered(s.w));
  return average("adaptive_avg_pool2d", x, std::move(s), std::move(scale_h), std::move(scale_w));
}

Tensor global_avg_pool2d(const Tensor& x) {
  check_map("global_avg_pool2d", x);
  return adaptive_avg_pool2d(x, 1);
}

}  // namespace boxgrad
