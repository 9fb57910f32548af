#include <algorithm>

#include "core/autograd.h"
#include "core/ops.h"

namespace boxgrad {

Tensor index_select(const Tensor& x, int axis, const std::vector<std::int64_t>& index) {
  axis = normalize_axis(axis, x.rank(), "index_select");
  const std::int64_t extent = x.size(axis);
  for (const std::int64_t i : index)
    check(i >= 0 && i < extent, "index_select: index must be from 0 to ", extent - 1,
          " along axis ", axis, " of ", x.shape(), ", got ", i);
  std::vector<std::int64_t> extents = x.shape().extents();
  std::int64_t outer = 1, inner = 1;
  for (int i = 0; i < x.rank(); ++i) (i < axis ? outer : inner) *= i == axis ? 1 : x.size(i);
  extents[static_cast<std::size_t>(axis)] = static_cast<std::int64_t>(index.size());
  Tensor y = Tensor::empty(Shape(std::move(extents)));
  const Scalar* in = x.data().data();
  Scalar* out = y.data().data();
  for (std::int64_t o = 0; o < outer; ++o)
    for (const std::int64_t i : index) {
      std::copy_n(in + (o * extent + i) * inner, inner, out);
      out += inner;
    }

  return from_op(
      "index_select", y, {x}, [dx = x.grad_slot(), index, outer, extent, inner](const Tensor& dy) {
        const Scalar* g = dy.data().data();
        Scalar* out = dx->zeroed().data();
        for (std::int64_t o = 0; o < outer; ++o)
          for (const std::int64_t i : index) {  // an element that was taken twice adds up
            Scalar* target = out + (o * extent + i) * inner;
            for (std::int64_t k = 0; k < inner; ++k) target[k] += g[k];
            g += inner;
          }
      });
}

Tensor gather(const Tensor& x, const std::vector<std::int64_t>& index) {
  const std::int64_t length = x.size(-1), rows = static_cast<std::int64_t>(index.size());
  std::vector<std::int64_t> extents(x.shape().begin(), x.shape().end() - 1);
  const Shape shape(extents.empty() ? std::vector<std::int64_t>{1} : extents);
  check(shape.numel() == rows, "gather: needs one index per row of ", x.shape(), ", that is ",
        shape.numel(), ", got ", rows);
  for (const std::int64_t i : index)
    check(i >= 0 && i < length, "gather: index must be from 0 to ", length - 1, ", got ", i);
  Tensor y = Tensor::empty(shape);
  const auto in = x.data();
  const auto out = y.data();
  for (std::size_t row = 0; row < index.size(); ++row)
    out[row] = in[row * static_cast<std::size_t>(length) + static_cast<std::size_t>(index[row])];

  return from_op("gather", y, {x}, [dx = x.grad_slot(), index, length](const Tensor& dy) {
    const auto g = dy.data();
    const auto out = dx->zeroed();
    for (std::size_t row = 0; row < index.size(); ++row)
      out[row * static_cast<std::size_t>(length) + static_cast<std::size_t>(index[row])] += g[row];
  });
}

}  // namespace boxgrad
