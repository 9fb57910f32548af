#include "layers/separable_batch_norm.h"

#include <utility>

#include "core/autograd.h"
#include "core/check.h"
#include "layers/conv_norm_stage.h"

namespace boxgrad {

using namespace conv_norm_stage;

namespace {

ConvShape plain_shape(const Shape& x, const ConvNormArguments& a) {
  Conv2dOptions plain = a.conv;
  plain.activation = Activation::none;
  return conv_shape(x, a.weight.shape(), plain);
}

Shape output_shape(const ConvShape& s) { return {s.batch, s.out_h, s.out_w, s.out_c}; }

bool is(ConvAlgorithm kind, const ConvShape& s, const ConvNormArguments& a) {
  // One channel into one is both kinds, and may be taken for either unless one was forced.
  return fused_algorithm(s, a.conv) == kind ||
         (a.conv.algorithm == ConvAlgorithm::automatic && conv_algorithm_covers(kind, s));
}

}  // namespace

bool separable_batch_norm_fuses(const Shape& x, const ConvNormArguments& depthwise,
                                const ConvNormArguments& pointwise) {
  const ConvShape first = plain_shape(x, depthwise);
  return is(ConvAlgorithm::depthwise, first, depthwise) &&
         is(ConvAlgorithm::pointwise, plain_shape(output_shape(first), pointwise), pointwise);
}

Tensor separable_batch_norm(const Tensor& x, const ConvNormArguments& depthwise,
                            const ConvNormArguments& pointwise) {
  const char* op = "separable_batch_norm";
  check(separable_batch_norm_fuses(x.shape(), depthwise, pointwise), op,
        ": needs a depthwise and a 1x1 convolution that are not forced to another algorithm, got "
        "weights of shape ",
        depthwise.weight.shape(), " and ", pointwise.weight.shape(), " for x of shape ", x.shape());
  const ConvShape first = plain_shape(x.shape(), depthwise);
  const ConvShape second = plain_shape(output_shape(first), pointwise);
  check_norm(op, "depthwise.", first, depthwise);
  check_norm(op, "pointwise.", second, pointwise);
  ConvNormStage d = convolve_and_measure(ConvAlgorithm::depthwise, first,
                                         {x.data().data(), first.in_c}, depthwise);
  ConvNormStage p =
      convolve_and_measure(ConvAlgorithm::pointwise, second,
                           {d.z.data().data(), second.in_c, &d.affine, d.activation}, pointwise);
  Tensor y = Tensor::empty(p.z.shape());
  apply_norm(p, y.data().data());

  if (ops_are_observed())
    remark_on_op(
        "separable: the first batch norm is applied to a block when the product reads it, without "
        "a "
        "map between them");
  return from_op(
      op, y,
      {x, depthwise.weight, pointwise.weight, depthwise.gamma, depthwise.beta, pointwise.gamma,
       pointwise.beta},
      [d = std::move(d), p = std::move(p), x = depthwise.weight.grad_slot() ? x.detach() : Tensor(),
       dx = x.grad_slot(), dw_d = depthwise.weight.grad_slot(), dw_p = pointwise.weight.grad_slot(),
       dgamma_d = depthwise.gamma.grad_slot(), dbeta_d = depthwise.beta.grad_slot(),
       dgamma_p = pointwise.gamma.grad_slot(),
       dbeta_p = pointwise.beta.grad_slot()](const Tensor& dy) {
        const std::int64_t rows = p.shape.out_pixels();
        const Scalar* g = dy.data().data();
        ChannelSums sums = norm_gradient_sums(p, g);
        kernels::weight_gradients(sums, p.affine, dgamma_p.get(), dbeta_p.get());
        const bool through = dx || dw_d || dgamma_d || dbeta_d;
        if (!through && !dw_p) return;

        // du is a map: batch norm's gradient needs its sums before it can go on.
        Tensor du = through ? Tensor::empty(d.z.shape()) : Tensor();
        BlockSums du_sums(through ? rows : 0, p.shape.in_c, kernels::rows_per_block(p.shape.out_c));
        pointwise_stage_gradients(p, kernels::input_gradient(sums, p.affine, rows, true), g,
                                  {d.z.data().data(), p.shape.in_c, &d.affine, d.activation},
                                  {through ? du.data().data() : nullptr, 0}, dw_p.get(),
                                  through ? &du_sums : nullptr);
        if (!through) return;

        sums = du_sums.total();
        kernels::weight_gradients(sums, d.affine, dgamma_d.get(), dbeta_d.get());
        if (!dx && !dw_d) return;
        depthwise_stage_gradients(d, kernels::input_gradient(sums, d.affine, rows, true),
                                  du.data().data(), dw_d ? x.data().data() : nullptr, dx.get(),
                                  dw_d.get());
      });
}

}  // namespace boxgrad
