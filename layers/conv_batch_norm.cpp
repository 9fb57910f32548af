#include "layers/conv_batch_norm.h"

#include <utility>

#include "core/autograd.h"
#include "layers/conv_norm_stage.h"

namespace boxgrad {

using namespace conv_norm_stage;

std::optional<ConvAlgorithm> fused_algorithm(const ConvShape& shape, const Conv2dOptions& options) {
  const ConvAlgorithm algorithm = conv_algorithm(shape, options.algorithm);
  const bool fuses = algorithm == ConvAlgorithm::pointwise || algorithm == ConvAlgorithm::depthwise;
  return fuses ? std::optional(algorithm) : std::nullopt;
}

Tensor conv2d_batch_norm(const Tensor& x, const ConvNormArguments& a) {
  const Tensor &weight = a.weight, &gamma = a.gamma, &beta = a.beta;
  Conv2dOptions plain = a.conv;
  plain.activation = Activation::none;
  const ConvShape s = conv_shape(x.shape(), weight.shape(), plain);
  const auto algorithm = fused_algorithm(s, plain);
  if (!algorithm)
    return batch_norm(conv2d(x, weight, {}, plain), gamma, beta, a.running_mean, a.running_var,
                      a.norm);
  check_norm("conv2d_batch_norm", "", s, a);
  ConvNormStage f = convolve_and_measure(*algorithm, s, {x.data().data(), s.in_c}, a);
  Tensor y = Tensor::empty(f.z.shape());
  apply_norm(f, y.data().data());

  if (ops_are_observed())
    remark_on_op(
        *algorithm == ConvAlgorithm::depthwise
            ? "depthwise: each channel has its own filter, summed up while it is in cache"
            : "pointwise: a matrix product over all pixels, summed up while it is in cache");
  // The input is kept for the filter's gradient alone.
  return from_op("conv2d_batch_norm", y, {x, weight, gamma, beta},
                 [f = std::move(f), x = weight.grad_slot() ? x.detach() : Tensor(),
                  dx = x.grad_slot(), dw = weight.grad_slot(), dgamma = gamma.grad_slot(),
                  dbeta = beta.grad_slot()](const Tensor& dy) {
                   const Scalar* g = dy.data().data();
                   ChannelSums sums = norm_gradient_sums(f, g);
                   kernels::weight_gradients(sums, f.affine, dgamma.get(), dbeta.get());
                   if (!dx && !dw) return;
                   const InputGradient terms =
                       kernels::input_gradient(sums, f.affine, f.shape.out_pixels(), true);
                   const Scalar* in = dw ? x.data().data() : nullptr;
                   if (f.algorithm == ConvAlgorithm::depthwise)
                     return depthwise_stage_gradients(f, terms, g, in, dx.get(), dw.get());
                   pointwise_stage_gradients(f, terms, g, {in, f.shape.in_c},
                                             dx ? dx->target() : GradSlot::Target{nullptr, 0},
                                             dw.get());
                 });
}

}  // namespace boxgrad
