#include <algorithm>

#include "core/autograd.h"
#include "core/broadcast.h"
#include "core/ops.h"

namespace boxgrad {

namespace {

/// y = f(a, b) with broadcasting.
template <class F>
Tensor map2(const char* op, const Tensor& a, const Tensor& b, F f) {
  const BroadcastRows walk(a.shape(), b.shape(), op);
  Tensor y = Tensor::empty(broadcast_shape(a.shape(), b.shape(), op));
  const Scalar *pa = a.data().data(), *pb = b.data().data();
  Scalar* py = y.data().data();
  const std::int64_t length = walk.length(), sa = walk.stride(0), sb = walk.stride(1);
  if (y.numel() == 0) return y;
  if (walk.rows() == 1) {  // one long row: cut the row itself
    parallel_for(length, kElementwiseGrain, [=](std::int64_t begin, std::int64_t end) {
      if (sa == 1 && sb == 1)
        for (std::int64_t i = begin; i < end; ++i) py[i] = f(pa[i], pb[i]);
      else
        for (std::int64_t i = begin; i < end; ++i) py[i] = f(pa[i * sa], pb[i * sb]);
    });
    return y;
  }
  const std::int64_t grain = std::max<std::int64_t>(1, kElementwiseGrain / length);
  parallel_for(walk.rows(), grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const Scalar *ra = pa + walk.offset(0, row), *rb = pb + walk.offset(1, row);
      Scalar* out = py + row * length;
      for (std::int64_t i = 0; i < length; ++i) out[i] = f(ra[i * sa], rb[i * sb]);
    }
  });
  return y;
}

/// Collects the gradient of operand `which` (0: a, 1: b) of shapes a and b: df(i, ia, ib) is what
/// output element i contributes, computed from elements ia and ib. An operand that was repeated to
/// fit gets the sum over its copies.
template <class F>
void accumulate_operand(GradSlot& slot, int which, const Shape& a, const Shape& b, F df) {
  if (a == b) {
    slot.accumulate([=](std::size_t i) { return df(i, i, i); });
    return;
  }
  const BroadcastRows walk(a, b, "broadcast");
  const std::int64_t length = walk.length(), sa = walk.stride(0), sb = walk.stride(1);
  Scalar* out = slot.zeroed().data();
  if (a.numel() == 0 || b.numel() == 0) return;
  for (std::int64_t row = 0; row < walk.rows(); ++row) {
    const std::int64_t ia = walk.offset(0, row), ib = walk.offset(1, row), iy = row * length;
    Scalar* target = out + (which == 0 ? ia : ib);
    const auto value = [&](std::int64_t i) {
      return df(static_cast<std::size_t>(iy + i), static_cast<std::size_t>(ia + i * sa),
                static_cast<std::size_t>(ib + i * sb));
    };
    if (walk.stride(which) == 0) {
      double sum = 0;  // in double, as a row can be a whole image long
      for (std::int64_t i = 0; i < length; ++i) sum += static_cast<double>(value(i));
      *target += static_cast<Scalar>(sum);
    } else {
      for (std::int64_t i = 0; i < length; ++i) target[i] += value(i);
    }
  }
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  return from_op(
      "add", map2("add", a, b, [](Scalar x, Scalar y) { return x + y; }), {a, b},
      [a_shape = a.shape(), b_shape = b.shape(), da = a.grad_slot(),
       db = b.grad_slot()](const Tensor& dy) {
        const Scalar* g = dy.data().data();
        const auto df = [g](std::size_t i, std::size_t, std::size_t) { return g[i]; };
        if (da)
          a_shape == dy.shape() ? da->add(dy) : accumulate_operand(*da, 0, a_shape, b_shape, df);
        if (db)
          b_shape == dy.shape() ? db->add(dy) : accumulate_operand(*db, 1, a_shape, b_shape, df);
      });
}

Tensor sub(const Tensor& a, const Tensor& b) {
  return from_op(
      "sub", map2("sub", a, b, [](Scalar x, Scalar y) { return x - y; }), {a, b},
      [a_shape = a.shape(), b_shape = b.shape(), da = a.grad_slot(),
       db = b.grad_slot()](const Tensor& dy) {
        const Scalar* g = dy.data().data();
        if (da)
          accumulate_operand(*da, 0, a_shape, b_shape,
                             [g](std::size_t i, std::size_t, std::size_t) { return g[i]; });
        if (db)
          accumulate_operand(*db, 1, a_shape, b_shape,
                             [g](std::size_t i, std::size_t, std::size_t) { return -g[i]; });
      });
}

// An operand is kept for the gradient of the other one.
Tensor mul(const Tensor& a, const Tensor& b) {
  return from_op(
      "mul", map2("mul", a, b, [](Scalar x, Scalar y) { return x * y; }), {a, b},
      [a_shape = a.shape(), b_shape = b.shape(), a = b.requires_grad() ? a.detach() : Tensor(),
       b = a.requires_grad() ? b.detach() : Tensor(), da = a.grad_slot(),
       db = b.grad_slot()](const Tensor& dy) {
        const Scalar* g = dy.data().data();
        const Scalar *x = db ? a.data().data() : nullptr, *y = da ? b.data().data() : nullptr;
        if (da)
          accumulate_operand(
              *da, 0, a_shape, b_shape,
              [=](std::size_t i, std::size_t, std::size_t ib) { return g[i] * y[ib]; });
        if (db)
          accumulate_operand(
              *db, 1, a_shape, b_shape,
              [=](std::size_t i, std::size_t ia, std::size_t) { return g[i] * x[ia]; });
      });
}

Tensor div(const Tensor& a, const Tensor& b) {
  return from_op("div", map2("div", a, b, [](Scalar x, Scalar y) { return x / y; }), {a, b},
                 [a_shape = a.shape(), a = b.requires_grad() ? a.detach() : Tensor(),
                  b = b.detach(), da = a.grad_slot(), db = b.grad_slot()](const Tensor& dy) {
                   const Scalar *g = dy.data().data(), *y = b.data().data();
                   const Scalar* x = db ? a.data().data() : nullptr;
                   if (da)
                     accumulate_operand(
                         *da, 0, a_shape, b.shape(),
                         [=](std::size_t i, std::size_t, std::size_t ib) { return g[i] / y[ib]; });
                   if (db)
                     accumulate_operand(*db, 1, a_shape, b.shape(),
                                        [=](std::size_t i, std::size_t ia, std::size_t ib) {
                                          return -g[i] * x[ia] / (y[ib] * y[ib]);
                                        });
                 });
}

}  // namespace boxgrad
