#pragma once

#include "core/check.h"
#include "core/ops.h"
#include "layers/module.h"

namespace boxgrad {

/// [N, ...] -> [N, all the rest], the same numbers under another shape. A map [N, H, W, C] gives
/// features in the order h, w, c; torch's NCHW gives c, h, w, so that pretrained weights of the
/// layer behind it are reordered once, at import (docs/conventions.md). Equals torch.flatten(x, 1).
inline Tensor flatten(const Tensor& x) {
  check(x.rank() >= 2, "flatten: x must be [N, ...], got ", x.shape());
  std::int64_t features = 1;  // written out, as -1 has no answer when N is 0
  for (int axis = 1; axis < x.rank(); ++axis) features *= x.size(axis);
  return reshape(x, {x.size(0), features});
}

namespace nn {

struct Flatten : Module {
  Tensor forward(const Tensor& x) override { return flatten(x); }
};

}  // namespace nn

}  // namespace boxgrad
