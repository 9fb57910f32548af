#include "layers/conv_norm.h"

#include <utility>

#include "core/check.h"
#include "layers/conv_batch_norm.h"

namespace boxgrad::nn {

namespace {

Conv2dOptions without_tail(Conv2dOptions options) {
  options.bias = false;
  options.activation = Activation::none;
  return options;
}

}  // namespace

ConvNorm::ConvNorm(std::int64_t in_channels, std::int64_t out_channels, PerAxis kernel,
                   const Conv2dOptions& conv, const BatchNormOptions& norm)
    : conv_(add_module(
          "conv", std::make_shared<Conv2d>(in_channels, out_channels, kernel, without_tail(conv)))),
      norm_(add_module("norm", std::make_shared<BatchNorm2d>(out_channels, norm))) {}

Tensor ConvNorm::forward(const Tensor& x) {
  const auto* conv = dynamic_cast<const Conv2d*>(&conv_.module());
  const auto* norm = dynamic_cast<const BatchNorm2d*>(&norm_.module());
  const bool one_op =
      conv != nullptr && !conv->bias.defined() && norm != nullptr &&
      norm->uses_batch_statistics() && !OutputTap::wants("conv") && !OutputTap::wants("norm") &&
      conv2d_batch_norm_fuses(conv_shape(x.shape(), conv->weight.shape(), conv->options),
                              conv->options);
  if (!one_op) return norm_(conv_(x));
  return conv2d_batch_norm(x, conv->weight, norm->weight, norm->bias, norm->running_mean,
                           norm->running_var, conv->options, norm->options());
}

std::shared_ptr<Conv2d> ConvNorm::folded() const {
  const Conv2d& conv = conv_.as<Conv2d>();
  const BatchNorm2d& norm = norm_.as<BatchNorm2d>();
  auto [weight, bias] = fold_batch_norm(conv.weight, conv.bias, norm);
  Conv2dOptions options = conv.options;
  options.activation = norm.options().activation;
  return std::make_shared<Conv2d>(std::move(weight), std::move(bias), options);
}

std::shared_ptr<Module> make_conv(std::int64_t in_channels, std::int64_t out_channels,
                                  PerAxis kernel, Conv2dOptions conv, ConvTail tail,
                                  const BatchNormOptions& norm) {
  if (tail == ConvTail::norm)
    return std::make_shared<ConvNorm>(in_channels, out_channels, kernel, conv, norm);
  conv.bias = tail == ConvTail::bias;
  conv.activation = conv.bias ? norm.activation : Activation::none;
  return std::make_shared<Conv2d>(in_channels, out_channels, kernel, conv);
}

int fold_batch_norms(Module& model) {
  check(dynamic_cast<ConvNorm*>(&model) == nullptr,
        "fold_batch_norms: the model is itself a ConvNorm; use its folded()");
  return model.replace_each([](Module& module) -> std::shared_ptr<Module> {
    const auto* conv_norm = dynamic_cast<ConvNorm*>(&module);
    return conv_norm == nullptr ? nullptr : conv_norm->folded();
  });
}

}  // namespace boxgrad::nn
