#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace boxgrad {

/// A map enlarged (or shrunk) by repeating its cells:
///
///   y[n, i, j, c] = x[n, floor(i H / height), floor(j W / width), c]
///   dx[n, h, w, c] = sum of dy over the cells that repeat (h, w)
///
/// x       [N, H, W, C], H and W at least 1
/// returns [N, height, width, C]
/// throws  std::invalid_argument for other axes, or a height or width < 1
///
/// The top-down path of a feature pyramid (Lin et al., CVPR 2017, section 3). Equals
/// torch.nn.functional.interpolate(mode="nearest", size=(height, width)) on permuted axes.
Tensor upsample_nearest(const Tensor& x, std::int64_t height, std::int64_t width);

}  // namespace boxgrad
