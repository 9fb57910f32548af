#include "layers/conv_batch_norm.h"

#include <utility>

#include "core/autograd.h"
#include "layers/kernels/conv_norm_stage.h"

namespace boxgrad {

using kernels::ChannelSums, kernels::ConvNormStage, kernels::InputGradient;

namespace {

bool is_depthwise(const ConvShape& s) { return conv_algorithm_covers(ConvAlgorithm::depthwise, s); }

}  // namespace

bool conv2d_batch_norm_fuses(const ConvShape& shape, const Conv2dOptions& conv_options) {
  const ConvAlgorithm algorithm = conv_options.algorithm == ConvAlgorithm::automatic
                                      ? choose_conv_algorithm(shape)
                                      : conv_options.algorithm;
  return (algorithm == ConvAlgorithm::pointwise || algorithm == ConvAlgorithm::depthwise) &&
         conv_algorithm_covers(algorithm, shape);
}

Tensor conv2d_batch_norm(const Tensor& x, const Tensor& weight, const Tensor& gamma,
                         const Tensor& beta, Tensor running_mean, Tensor running_var,
                         const Conv2dOptions& conv_options, const BatchNormOptions& norm_options) {
  Conv2dOptions plain = conv_options;
  plain.activation = Activation::none;
  const ConvShape s = conv_shape(x.shape(), weight.shape(), plain);
  if (!conv2d_batch_norm_fuses(s, plain))
    return batch_norm(conv2d(x, weight, {}, plain), gamma, beta, running_mean, running_var,
                      norm_options);
  const bool depthwise = is_depthwise(s);
  ConvNormStage f = kernels::convolve_and_measure(
      "conv2d_batch_norm", s, {x.data().data(), s.in_c},
      {weight, gamma, beta, running_mean, running_var, conv_options, norm_options});
  Tensor y = Tensor::empty(f.z.shape());
  kernels::apply_norm(f, y.data().data());

  if (ops_are_observed())
    remark_on_op(
        depthwise ? "depthwise: each channel has its own filter, summed up while it is in cache"
                  : "pointwise: a matrix product over all pixels, summed up while it is in cache");
  // The input is kept for the filter's gradient alone.
  return from_op("conv2d_batch_norm", y, {x, weight, gamma, beta},
                 [f = std::move(f), x = weight.grad_slot() ? x.detach() : Tensor(),
                  dx = x.grad_slot(), dw = weight.grad_slot(), dgamma = gamma.grad_slot(),
                  dbeta = beta.grad_slot()](const Tensor& dy) {
                   const Scalar* g = dy.data().data();
                   ChannelSums sums = kernels::norm_gradient_sums(f, g);
                   kernels::weight_gradients(sums, f.affine, dgamma.get(), dbeta.get());
                   if (!dx && !dw) return;
                   const InputGradient terms =
                       kernels::input_gradient(sums, f.affine, f.shape.out_pixels(), true);
                   const Scalar* in = dw ? x.data().data() : nullptr;
                   if (is_depthwise(f.shape))
                     return kernels::depthwise_stage_gradients(f, terms, g, in, dx.get(), dw.get());
                   kernels::pointwise_stage_gradients(
                       f, terms, g, {in, f.shape.in_c},
                       dx ? dx->target() : GradSlot::Target{nullptr, 0}, dw.get());
                 });
}

}  // namespace boxgrad
