#include "layers/conv_norm.h"

#include <cmath>
#include <utility>

#include "core/check.h"
#include "core/ops.h"
#include "layers/separable_batch_norm.h"

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

ConvNorm::Pair ConvNorm::as_made() const {
  const auto* conv = dynamic_cast<const Conv2d*>(&conv_.module());
  const bool plain =
      conv != nullptr && !conv->bias.defined() && conv->options.activation == Activation::none;
  return {plain ? conv : nullptr, dynamic_cast<const BatchNorm2d*>(&norm_.module())};
}

std::optional<ConvNormArguments> ConvNorm::in_training() const {
  const Pair pair = as_made();
  if (!pair || !pair.norm->uses_batch_statistics()) return {};
  const auto& [conv, norm] = pair;
  return ConvNormArguments{conv->weight,      norm->weight,  norm->bias,     norm->running_mean,
                           norm->running_var, conv->options, norm->options()};
}

Tensor ConvNorm::forward(const Tensor& x) {
  const Pair pair = as_made();
  if (!pair || OutputTap::wants("conv") || OutputTap::wants("norm")) return norm_(conv_(x));
  const auto& [conv, norm] = pair;
  const ConvShape shape = conv_shape(x.shape(), conv->weight.shape(), conv->options);
  if (norm->uses_batch_statistics())
    return fused_algorithm(shape, conv->options) ? conv2d_batch_norm(x, *in_training())
                                                 : norm_(conv_(x));
  // Wide filters are as costly to scale as an image or two is to convolve; in evaluation mode,
  // with Winograd, they would have to be transformed anew, too: fold_batch_norms() is for that.
  if (!is_training() && !conv_algorithm_covers(ConvAlgorithm::depthwise, shape))
    return norm_(conv_(x));
  return frozen(x, *conv, *norm);
}

Tensor ConvNorm::frozen(const Tensor& x, const Conv2d& conv, const BatchNorm2d& norm) {
  Tensor inv_std = norm.running_var.detach().clone();
  for (Scalar& v : inv_std.data()) v = 1 / std::sqrt(v + norm.options().eps);
  const Tensor scale = norm.weight * inv_std;
  Conv2dOptions options = conv.options;
  options.activation = norm.options().activation;
  return conv2d(x, conv.weight * scale, norm.bias - norm.running_mean * scale, options);
}

std::shared_ptr<Conv2d> ConvNorm::folded() const {
  const Conv2d& conv = conv_.as<Conv2d>();
  const BatchNorm2d& norm = norm_.as<BatchNorm2d>();
  auto [weight, bias] = fold_batch_norm(conv.weight, conv.bias, norm);
  Conv2dOptions options = conv.options;
  options.activation = norm.options().activation;
  return std::make_shared<Conv2d>(std::move(weight), std::move(bias), options);
}

Tensor separable(const Tensor& x, const Child& depthwise, const Child& pointwise) {
  const auto fusible = [](const Child& child) -> std::optional<ConvNormArguments> {
    for (const char* below : {"", ".conv", ".norm"})
      if (OutputTap::wants(child.name() + below)) return {};
    const auto* conv_norm = dynamic_cast<const ConvNorm*>(&child.module());
    return conv_norm == nullptr ? std::nullopt : conv_norm->in_training();
  };
  const auto first = fusible(depthwise), second = fusible(pointwise);
  if (first && second && separable_batch_norm_fuses(x.shape(), *first, *second))
    return separable_batch_norm(x, *first, *second);
  return pointwise(depthwise(x));
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
