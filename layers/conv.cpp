#include "layers/conv.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "core/autograd.h"
#include "core/check.h"
#include "layers/kernels/bias_activation.h"
#include "layers/kernels/conv2d_direct.h"
#include "layers/kernels/depthwise.h"
#include "layers/kernels/few_outputs.h"
#include "layers/kernels/im2col.h"
#include "layers/kernels/narrow.h"
#include "layers/kernels/pointwise.h"
#include "layers/kernels/winograd.h"

namespace boxgrad {

namespace {

/// PyTorch's rule for one axis.
std::int64_t out_size(std::int64_t size, std::int64_t before, std::int64_t after,
                      std::int64_t kernel, std::int64_t stride, std::int64_t dilation,
                      const Shape& x, const Shape& weight) {
  const std::int64_t room = size + before + after, reach = dilation * (kernel - 1) + 1;
  check(reach <= room, "conv2d: the padded map must be at least as large as the filter (", reach,
        " with dilation ", dilation, "), got ", room, " for input ", x, " and weight ", weight);
  return (room - reach) / stride + 1;
}

/// What SAME puts before and behind one axis; the odd zero comes behind.
struct Zeros {
  std::int64_t before, after;
};
Zeros same_zeros(std::int64_t size, std::int64_t kernel, std::int64_t stride,
                 std::int64_t dilation) {
  const std::int64_t outputs = (size + stride - 1) / stride, reach = dilation * (kernel - 1) + 1;
  const std::int64_t total = std::max<std::int64_t>((outputs - 1) * stride + reach - size, 0);
  return {total / 2, total - total / 2};
}

void check_options(const Conv2dOptions& o) {
  // Bounds that keep every sum and product below far from overflow; BLAS counts in 32 bits anyway.
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  const auto in_range = [](std::int64_t value, std::int64_t least) {
    return value >= least && value <= kMost;
  };
  check(in_range(o.stride.h, 1) && in_range(o.stride.w, 1), "conv2d: stride must be from 1 to ",
        kMost, ", got ", o.stride.h, " and ", o.stride.w);
  check(in_range(o.dilation.h, 1) && in_range(o.dilation.w, 1),
        "conv2d: dilation must be from 1 to ", kMost, ", got ", o.dilation.h, " and ",
        o.dilation.w);
  const Padding& p = o.padding;
  check(in_range(p.top, 0) && in_range(p.bottom, 0) && in_range(p.left, 0) && in_range(p.right, 0),
        "conv2d: padding must be from 0 to ", kMost, ", got top ", p.top, ", bottom ", p.bottom,
        ", left ", p.left, ", right ", p.right);
  check(!o.same_padding || (p.top == 0 && p.bottom == 0 && p.left == 0 && p.right == 0),
        "conv2d: same_padding chooses the padding itself; leave padding at 0");
  check(o.groups >= 1, "conv2d: groups must be >= 1, got ", o.groups);
}

void forward(ConvAlgorithm algorithm, const ConvShape& s, const Scalar* x, const Scalar* w,
             const BiasActivation& epilogue, Scalar* y) {
  switch (algorithm) {
    case ConvAlgorithm::depthwise:
      return depthwise_forward(s, x, w, epilogue, y);
    case ConvAlgorithm::pointwise:
      return pointwise_forward(s, x, w, epilogue, y);
    case ConvAlgorithm::im2col:
      return im2col_forward(s, x, w, epilogue, y);
    case ConvAlgorithm::narrow:
      return narrow_forward(s, x, w, epilogue, y);
    case ConvAlgorithm::few_outputs:
      return few_outputs_forward(s, x, w, epilogue, y);
    case ConvAlgorithm::winograd2:
      return winograd_forward(2, s, x, w, epilogue, y);
    case ConvAlgorithm::winograd4:
      return winograd_forward(4, s, x, w, epilogue, y);
    case ConvAlgorithm::automatic:  // conv_algorithm() has put another in its place
    case ConvAlgorithm::direct:
      conv2d_direct(s, x, w, y);
      epilogue.apply(y, s.out_pixels(), s.out_c);
  }
}

void input_gradient(ConvAlgorithm algorithm, const ConvShape& s, const Scalar* dy, const Scalar* w,
                    GradSlot& slot) {
  const auto [dx, beta] = slot.target();
  switch (algorithm) {
    case ConvAlgorithm::depthwise:
      return depthwise_input_gradient(s, dy, w, beta, dx);
    case ConvAlgorithm::pointwise:
      return pointwise_input_gradient(s, dy, w, beta, dx);
    case ConvAlgorithm::narrow:
      return narrow_input_gradient(s, dy, w, beta, dx);
    case ConvAlgorithm::few_outputs:
    case ConvAlgorithm::im2col:
      return im2col_input_gradient(s, dy, w, beta, dx);
    case ConvAlgorithm::winograd2:
      return winograd_input_gradient(2, s, dy, w, beta, dx);
    case ConvAlgorithm::winograd4:
      return winograd_input_gradient(4, s, dy, w, beta, dx);
    case ConvAlgorithm::automatic:
    case ConvAlgorithm::direct:
      return conv2d_direct_input_gradient(s, dy, w, beta, dx);
  }
}

void weight_gradient(ConvAlgorithm algorithm, const ConvShape& s, const Scalar* x, const Scalar* dy,
                     GradSlot& slot) {
  const auto [dw, beta] = slot.target();
  switch (algorithm) {
    case ConvAlgorithm::depthwise:
      return depthwise_weight_gradient(s, x, dy, beta, dw);
    case ConvAlgorithm::pointwise:
      return pointwise_weight_gradient(s, x, dy, beta, dw);
    case ConvAlgorithm::im2col:
      return im2col_weight_gradient(s, x, dy, beta, dw);
    case ConvAlgorithm::narrow:
      return narrow_weight_gradient(s, x, dy, beta, dw);
    case ConvAlgorithm::few_outputs:
      return few_outputs_weight_gradient(s, x, dy, beta, dw);
    case ConvAlgorithm::winograd2:
      return winograd_weight_gradient(2, s, x, dy, beta, dw);
    case ConvAlgorithm::winograd4:
      return winograd_weight_gradient(4, s, x, dy, beta, dw);
    case ConvAlgorithm::automatic:
    case ConvAlgorithm::direct:
      return conv2d_direct_weight_gradient(s, x, dy, beta, dw);
  }
}

}  // namespace

ConvShape conv_shape(const Shape& x, const Shape& weight, const Conv2dOptions& o) {
  check(x.rank() == 4, "conv2d: input must have shape [N, H, W, C], got ", x);
  check(weight.rank() == 4, "conv2d: weight must have shape [KH, KW, C_in/groups, C_out], got ",
        weight);
  check_options(o);
  ConvShape s;
  s.batch = x[0], s.in_h = x[1], s.in_w = x[2], s.in_c = x[3];
  s.kernel_h = weight[0], s.kernel_w = weight[1], s.out_c = weight[3];
  s.groups = o.groups;
  check(weight.numel() > 0, "conv2d: weight must not be empty, got ", weight);
  check(s.in_c % s.groups == 0 && s.out_c % s.groups == 0, "conv2d: groups must divide ", s.in_c,
        " input and ", s.out_c, " output channels, got ", s.groups);
  check(s.group_in() == weight[2], "conv2d: weight expects ", weight[2] * s.groups,
        " input channels, got input of shape ", x);
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  check(weight.numel() / s.out_c <= kMost && s.out_c <= kMost,
        "conv2d: KH * KW * C_in/groups and C_out must be below 2^31, got weight ", weight);
  check(s.in_h <= kMost && s.in_w <= kMost, "conv2d: H and W must be below 2^31, got input ", x);
  s.stride_h = o.stride.h, s.stride_w = o.stride.w;
  s.dilation_h = o.dilation.h, s.dilation_w = o.dilation.w;
  Padding pad = o.padding;
  if (o.same_padding) {
    const Zeros h = same_zeros(s.in_h, s.kernel_h, s.stride_h, s.dilation_h);
    const Zeros w = same_zeros(s.in_w, s.kernel_w, s.stride_w, s.dilation_w);
    pad = {h.before, h.after, w.before, w.after};
  }
  s.pad_top = pad.top, s.pad_left = pad.left;
  s.out_h = out_size(s.in_h, pad.top, pad.bottom, s.kernel_h, s.stride_h, s.dilation_h, x, weight);
  s.out_w = out_size(s.in_w, pad.left, pad.right, s.kernel_w, s.stride_w, s.dilation_w, x, weight);
  return s;
}

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& o) {
  const ConvShape s = conv_shape(x.shape(), weight.shape(), o);
  check(!bias.defined() || bias.shape() == Shape{s.out_c}, "conv2d: bias must have shape ",
        Shape{s.out_c}, ", got ", bias.defined() ? bias.shape() : Shape{});
  check(o.activation == Activation::none || o.activation == Activation::relu ||
            o.activation == Activation::relu6,
        "conv2d: a fused activation must be none, relu or relu6; call the others after conv2d");
  const ConvAlgorithm algorithm = conv_algorithm(s, o.algorithm);

  Tensor y = Tensor::empty({s.batch, s.out_h, s.out_w, s.out_c});
  forward(algorithm, s, x.data().data(), weight.data().data(),
          {bias.defined() ? bias.data().data() : nullptr, o.activation}, y.data().data());

  const auto dx = x.grad_slot(), dw = weight.grad_slot();
  const auto db = bias.defined() ? bias.grad_slot() : nullptr;
  // What backward reads: x for dw, w for dx, y for the slope of the activation.
  const Tensor x_kept = dw ? x.detach() : Tensor(), w_kept = dx ? weight.detach() : Tensor();
  const Tensor y_kept = o.activation != Activation::none ? y.detach() : Tensor();
  std::vector<Tensor> inputs = {x, weight};
  if (bias.defined()) inputs.push_back(bias);
  if (ops_are_observed()) remark_on_op(explain_conv_algorithm(s, o.algorithm));
  return from_op("conv2d", y, std::move(inputs),
                 [s, algorithm, activation = o.activation, x_kept, w_kept, y_kept, dx, dw,
                  db](const Tensor& dy) {
                   // dz and db in one pass over dy; without an activation dz is dy.
                   const Scalar* dz = dy.data().data();
                   std::unique_ptr<Buffer> masked;
                   if (y_kept.defined()) {
                     masked = std::make_unique<Buffer>(dy.numel(), Buffer::Fill::none);
                     dz = masked->data();
                   }
                   if (db || masked) {
                     const auto [db_data, beta] = db ? db->target() : GradSlot::Target{nullptr, 0};
                     bias_activation_gradient(
                         activation, dy.data().data(), masked ? y_kept.data().data() : nullptr,
                         s.out_pixels(), s.out_c, masked ? masked->data() : nullptr, beta, db_data);
                   }
                   if (dw) weight_gradient(algorithm, s, x_kept.data().data(), dz, *dw);
                   if (dx) input_gradient(algorithm, s, dz, w_kept.data().data(), *dx);
                 });
}

nn::Conv2d::Conv2d(std::int64_t in_channels, std::int64_t out_channels, PerAxis kernel,
                   const Conv2dOptions& o)
    : options(o) {
  check(in_channels >= 1 && out_channels >= 1, "Conv2d: channels must be >= 1, got ", in_channels,
        " in and ", out_channels, " out");
  check(kernel.h >= 1 && kernel.w >= 1, "Conv2d: kernel must be >= 1, got ", kernel.h, " and ",
        kernel.w);
  check(o.groups >= 1 && in_channels % o.groups == 0 && out_channels % o.groups == 0,
        "Conv2d: groups must divide ", in_channels, " input and ", out_channels,
        " output channels, got ", o.groups);
  const Shape shape{kernel.h, kernel.w, in_channels / o.groups, out_channels};
  const double bound = 1 / std::sqrt(static_cast<double>(shape.numel() / out_channels));
  const auto uniform = [&](Shape extents) {
    Tensor t(std::move(extents));
    for (Scalar& value : t.data())
      value = static_cast<Scalar>(default_random().uniform(-bound, bound));
    return t;
  };
  weight = add_parameter("weight", uniform(shape));
  if (o.bias) bias = add_parameter("bias", uniform({out_channels}));
}

nn::Conv2d::Conv2d(Tensor given_weight, Tensor given_bias, const Conv2dOptions& o) : options(o) {
  check(given_weight.defined() && given_weight.rank() == 4 && given_weight.numel() > 0,
        "Conv2d: weight must have shape [KH, KW, C_in/groups, C_out], got ",
        given_weight.defined() ? given_weight.shape() : Shape{});
  check(!given_bias.defined() || given_bias.shape() == Shape{given_weight.size(3)},
        "Conv2d: bias must have shape ", Shape{given_weight.size(3)}, ", got ",
        given_bias.defined() ? given_bias.shape() : Shape{});
  options.bias = given_bias.defined();
  weight = add_parameter("weight", std::move(given_weight));
  if (options.bias) bias = add_parameter("bias", std::move(given_bias));
}

}  // namespace boxgrad
