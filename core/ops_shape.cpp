#include <algorithm>
#include <numeric>

#include "core/autograd.h"
#include "core/ops.h"

namespace boxgrad {

Tensor reshape(const Tensor& x, std::vector<std::int64_t> extents) {
  std::int64_t known = 1, wildcard = -1;
  for (std::size_t axis = 0; axis < extents.size(); ++axis) {
    if (extents[axis] == -1) {
      check(wildcard < 0, "reshape: only one extent may be -1");
      wildcard = static_cast<std::int64_t>(axis);
    } else {
      known = checked_mul(known, extents[axis], "reshape");
    }
  }
  if (wildcard >= 0) {
    check(known > 0 && x.numel() % known == 0, "reshape: ", x.shape(), " has ", x.numel(),
          " elements, which ", known, " does not divide");
    extents[static_cast<std::size_t>(wildcard)] = x.numel() / known;
  }
  return from_op("reshape", x.view_as(Shape(std::move(extents))), {x},
                 [dx = x.grad_slot()](const Tensor& dy) { dx->add(dy); });
}

namespace {

/// Writes x with its axes in another order; visit(from, to) gets the two offsets of an element.
template <class F>
void for_each_permuted(const Shape& from, const std::vector<int>& order, F visit) {
  const std::size_t rank = order.size();
  std::vector<std::int64_t> stride(rank, 1), extent(rank), step(rank), position(rank, 0);
  for (std::size_t axis = rank; axis-- > 1;)
    stride[axis - 1] = stride[axis] * from[static_cast<int>(axis)];
  for (std::size_t axis = 0; axis < rank; ++axis) {
    extent[axis] = from[order[axis]];
    step[axis] = stride[static_cast<std::size_t>(order[axis])];
  }
  std::int64_t offset = 0;
  for (std::int64_t to = 0; to < from.numel(); ++to) {
    visit(offset, to);
    for (std::size_t axis = rank; axis-- > 0;) {  // an odometer: the last axis turns fastest
      offset += step[axis];
      if (++position[axis] < extent[axis]) break;
      offset -= step[axis] * extent[axis];
      position[axis] = 0;
    }
  }
}

}  // namespace

Tensor permute(const Tensor& x, std::vector<int> order) {
  std::vector<int> sorted(order);
  for (int& axis : sorted) axis = normalize_axis(axis, x.rank(), "permute");
  order = sorted;
  std::ranges::sort(sorted);
  std::vector<int> all(static_cast<std::size_t>(x.rank()));
  std::iota(all.begin(), all.end(), 0);
  check(sorted == all, "permute: order must name each axis of ", x.shape(), " once");
  std::vector<std::int64_t> extents;
  for (const int axis : order) extents.push_back(x.size(axis));
  Tensor y = Tensor::empty(Shape(std::move(extents)));
  const Scalar* in = x.data().data();
  Scalar* out = y.data().data();
  for_each_permuted(x.shape(), order,
                    [=](std::int64_t from, std::int64_t to) { out[to] = in[from]; });

  return from_op("permute", y, {x}, [dx = x.grad_slot(), order](const Tensor& dy) {
    const Scalar* g = dy.data().data();
    const auto [out, beta] = dx->target();
    for_each_permuted(dx->shape(), order,
                      [&, out = out, beta = beta](std::int64_t from, std::int64_t to) {
                        out[from] = beta == 0 ? g[to] : out[from] + g[to];
                      });
  });
}

namespace {

/// A tensor seen around one axis: [outer, axis, inner].
struct AroundAxis {
  std::int64_t outer = 1, extent, inner = 1;
  AroundAxis(const Shape& shape, int axis) : extent(shape[axis]) {
    for (int i = 0; i < shape.rank(); ++i) (i < axis ? outer : inner) *= i == axis ? 1 : shape[i];
  }
};

Shape with_extent(const Shape& shape, int axis, std::int64_t extent) {
  std::vector<std::int64_t> extents = shape.extents();
  extents[static_cast<std::size_t>(axis)] = extent;
  return Shape(std::move(extents));
}

}  // namespace

Tensor cat(const std::vector<Tensor>& inputs, int axis) {
  check(!inputs.empty(), "cat: needs at least one tensor");
  const Shape& first = inputs.front().shape();
  axis = normalize_axis(axis, first.rank(), "cat");
  std::int64_t total = 0;
  for (const Tensor& input : inputs) {
    check(input.rank() == first.rank() && with_extent(input.shape(), axis, first[axis]) == first,
          "cat: all inputs must have shape ", first, " except along axis ", axis, ", got ",
          input.shape());
    total += input.size(axis);
  }
  Tensor y = Tensor::empty(with_extent(first, axis, total));
  const AroundAxis whole(y.shape(), axis);
  std::vector<std::shared_ptr<GradSlot>> slots;
  std::int64_t start = 0;  // of this input along the axis
  for (const Tensor& input : inputs) {
    const std::int64_t run = input.size(axis) * whole.inner;
    const Scalar* from = input.data().data();
    Scalar* to = y.data().data() + start * whole.inner;
    for (std::int64_t o = 0; o < whole.outer; ++o)
      std::copy_n(from + o * run, run, to + o * whole.extent * whole.inner);
    start += input.size(axis);
    slots.push_back(input.grad_slot());
  }

  std::vector<std::int64_t> extents;
  for (const Tensor& input : inputs) extents.push_back(input.size(axis));
  return from_op("cat", y, inputs, [slots, extents, whole](const Tensor& dy) {
    std::int64_t start = 0;
    for (std::size_t k = 0; k < slots.size(); start += extents[k++]) {
      if (!slots[k]) continue;
      const std::int64_t run = extents[k] * whole.inner;
      const Scalar* from = dy.data().data() + start * whole.inner;
      const auto [out, beta] = slots[k]->target();
      for (std::int64_t o = 0; o < whole.outer; ++o) {
        const Scalar* g = from + o * whole.extent * whole.inner;
        Scalar* dx = out + o * run;
        if (beta == 0)
          std::copy_n(g, run, dx);
        else
          for (std::int64_t i = 0; i < run; ++i) dx[i] += g[i];
      }
    }
  });
}

Tensor slice(const Tensor& x, int axis, std::int64_t begin, std::int64_t end) {
  axis = normalize_axis(axis, x.rank(), "slice");
  check(0 <= begin && begin <= end && end <= x.size(axis),
        "slice: needs 0 <= begin <= end <= ", x.size(axis), " along axis ", axis, " of ", x.shape(),
        ", got ", begin, " and ", end);
  const AroundAxis whole(x.shape(), axis);
  Tensor y = Tensor::empty(with_extent(x.shape(), axis, end - begin));
  const std::int64_t run = (end - begin) * whole.inner, pitch = whole.extent * whole.inner;
  const std::int64_t first = begin * whole.inner;
  const Scalar* in = x.data().data() + first;
  Scalar* out = y.data().data();
  for (std::int64_t o = 0; o < whole.outer; ++o) std::copy_n(in + o * pitch, run, out + o * run);

  return from_op("slice", y, {x},
                 [dx = x.grad_slot(), outer = whole.outer, run, pitch, first](const Tensor& dy) {
                   const Scalar* g = dy.data().data();
                   Scalar* out = dx->zeroed().data() + first;
                   for (std::int64_t o = 0; o < outer; ++o)
                     for (std::int64_t i = 0; i < run; ++i) out[o * pitch + i] += g[o * run + i];
                 });
}

}  // namespace boxgrad
