#pragma once

#include "core/tensor.h"
#include "layers/module.h"
#include "layers/per_axis.h"

/// Pooling of feature maps [N, H, W, C]: each channel for itself. Every op throws
/// std::invalid_argument when x has other axes, when H or W is 0 or when an option is out of
/// range; a batch of N = 0 gives an empty result.
namespace boxgrad {

struct MaxPool2dOptions {
  PerAxis stride = 0;      ///< 0: as large as the kernel
  PerAxis padding = 0;     ///< cells around the map that never win; at most half the kernel
  bool ceil_mode = false;  ///< keep a last window that sticks out of the (padded) map
};

/// The largest value of each window:
///
///   y[n, i, j, c] = max of x[n, h, w, c] over the cells of window (i, j) that lie on the map,
///   window (i, j): h in i * stride.h - padding.h + [0, kernel.h), w likewise
///   dx[n, h, w, c] = sum of dy over the windows that (h, w) won
///
/// Ties are won by the first cell in row-major order. NaN wins, so that it is seen where it arises.
///
/// kernel   at most 256 cells: the winner is remembered as one byte per output
/// returns  [N, out_h, out_w, C], out_h = floor((H + 2 padding.h - kernel.h) / stride.h) + 1;
///          with ceil_mode the ceiling, less one if the last window would start behind the map
///
/// Equals torch.nn.functional.max_pool2d on permuted axes. VGG's pool3 in SSD300 (75 -> 38) uses
/// ceil_mode; torchvision's and Caffe's VGG16 otherwise agree.
Tensor max_pool2d(const Tensor& x, PerAxis kernel, const MaxPool2dOptions& options = {});

struct AvgPool2dOptions {
  PerAxis stride = 0;
  PerAxis padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;  ///< whether zeros of the padding count in the average
};

/// The mean of each window: the sum of its cells on the map, divided by the number of its cells on
/// the padded map (count_include_pad) or on the map. Windows and result as in max_pool2d;
///   dx[n, h, w, c] = sum over the windows with (h, w) of dy / their count.
/// Equals torch.nn.functional.avg_pool2d on permuted axes.
Tensor avg_pool2d(const Tensor& x, PerAxis kernel, const AvgPool2dOptions& options = {});

/// The mean over out.h x out.w nearly equal parts of the map, [N, out.h, out.w, C]: part i covers
/// rows floor(i H / out.h) to ceil((i + 1) H / out.h) - 1.
/// Equals torch.nn.functional.adaptive_avg_pool2d on permuted axes.
Tensor adaptive_avg_pool2d(const Tensor& x, PerAxis out);

/// The mean over the whole map, [N, 1, 1, C].
Tensor global_avg_pool2d(const Tensor& x);

namespace nn {

class MaxPool2d : public Module {
 public:
  explicit MaxPool2d(PerAxis kernel, const MaxPool2dOptions& options = {})
      : kernel(kernel), options(options) {}
  Tensor forward(const Tensor& x) override { return max_pool2d(x, kernel, options); }
  PerAxis kernel;
  MaxPool2dOptions options;
};

class AvgPool2d : public Module {
 public:
  explicit AvgPool2d(PerAxis kernel, const AvgPool2dOptions& options = {})
      : kernel(kernel), options(options) {}
  Tensor forward(const Tensor& x) override { return avg_pool2d(x, kernel, options); }
  PerAxis kernel;
  AvgPool2dOptions options;
};

class AdaptiveAvgPool2d : public Module {
 public:
  explicit AdaptiveAvgPool2d(PerAxis out) : out(out) {}
  Tensor forward(const Tensor& x) override { return adaptive_avg_pool2d(x, out); }
  PerAxis out;
};

}  // namespace nn
}  // namespace boxgrad
