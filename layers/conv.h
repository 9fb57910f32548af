#pragma once

#include <cstdint>

#include "core/tensor.h"
#include "layers/activation.h"
#include "layers/conv_algorithm.h"
#include "layers/kernels/conv_shape.h"
#include "layers/module.h"
#include "layers/per_axis.h"

namespace boxgrad {

struct Conv2dOptions {
  PerAxis stride = 1;
  Padding padding = 0;
  /// TensorFlow's SAME instead of `padding`: as many zeros as give ceil(size / stride) outputs, the
  /// odd one below and on the right. So a 3x3 filter with stride 2 looks one pixel further right
  /// than with .padding = 1 when the size is even.
  bool same_padding = false;
  PerAxis dilation = 1;  ///< distance of neighbouring taps; 1 is an ordinary filter
  std::int64_t groups = 1;
  Activation activation = Activation::none;  ///< applied to the result while it is in cache
  bool bias = true;                          ///< nn::Conv2d: whether the layer has a bias
  ConvAlgorithm algorithm = ConvAlgorithm::automatic;  ///< tests and benchmarks force one
};

/// 2-d convolution (cross-correlation, as everywhere in deep learning).
///
///   z[n, oh, ow, co] = b[co] + sum over kh, kw, ci of x[n, ih, iw, g * C_in/groups + ci]
///                                                      * w[kh, kw, ci, co]
///   ih = oh * stride.h - padding.top + kh * dilation.h,   iw likewise;   x is 0 outside the map
///   g  = co / (C_out/groups), the group of channels that output channel co belongs to
///   y  = activation(z)
///
///   dz = dy * activation'(z)
///   db[co] = sum of dz[., ., ., co];   dw[kh, kw, ci, co] = sum over n, oh, ow of x * dz
///   dx[n, ih, iw, ci] = sum over the (oh, ow, kh, kw, co) that read it of dz * w
///
/// x        feature map, [N, H, W, C_in]
/// weight   filters, [KH, KW, C_in/groups, C_out]; depthwise is groups = C_in = C_out
/// bias     [C_out], or an undefined Tensor for none
/// returns  [N, out_h, out_w, C_out],
///          out_h = floor((H + padding.top + padding.bottom - dilation.h * (KH - 1) - 1)
///                        / stride.h) + 1
/// throws   std::invalid_argument when shapes do not fit, an option is out of range, the padded map
///          is smaller than the filter, or a forced algorithm does not cover the shape
///
/// Fused activations: none, relu, relu6 (their slope follows from y, so that z is not kept).
/// Equals torch.nn.functional.conv2d on permuted axes: docs/convolution.md.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const Conv2dOptions& options = {});

/// The numbers that fix the convolution of these tensors; throws as conv2d does.
ConvShape conv_shape(const Shape& x, const Shape& weight, const Conv2dOptions& options);

namespace nn {

/// conv2d with its filters: a Module with parameters "weight" [KH, KW, C_in/groups, C_out] and,
/// unless options.bias is false, "bias" [C_out].
///
///   nn::Conv2d conv(64, 128, 3, {.stride = 2, .padding = 1});
///
/// Both start uniform in +-1/sqrt(fan_in), fan_in = KH * KW * C_in/groups, drawn from
/// default_random(): torch.nn.Conv2d's rule. layers/init.h has others.
/// Throws std::invalid_argument for sizes below 1 and groups that do not divide the channels.
class Conv2d : public Module {
 public:
  Conv2d(std::int64_t in_channels, std::int64_t out_channels, PerAxis kernel,
         const Conv2dOptions& options = {});
  /// With given numbers, which it shares; an undefined bias is none, whatever options.bias says.
  Conv2d(Tensor weight, Tensor bias, const Conv2dOptions& options = {});

  Tensor forward(const Tensor& x) override { return conv2d(x, weight, bias, options); }

  Conv2dOptions options;
  Tensor weight, bias;  ///< bias is undefined without one
};

}  // namespace nn

}  // namespace boxgrad
