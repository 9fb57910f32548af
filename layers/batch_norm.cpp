#include "layers/batch_norm.h"

#include <cmath>
#include <vector>

#include "core/autograd.h"
#include "layers/kernels/batch_moments.h"

namespace boxgrad {

namespace {

using kernels::Affine, kernels::ChannelSums, kernels::channel_sums, kernels::rows_per_block;

/// Both backwards. `seen` leads from x to what the activation was applied to: its mask is found again
/// from x, which is read anyway, so that y need not be kept or read.
void backward(const Tensor& dy, const Tensor& x, const kernels::ChannelAffine& seen,
              const Affine& affine, GradSlot* dx, GradSlot* dw, GradSlot* db, bool batch_statistics,
              Activation activation, std::int64_t rows, std::int64_t channels) {
  const Scalar *g = dy.data().data(), *in = x.data().data();
  ChannelSums sums;
  if (dw || db || (dx && batch_statistics)) {
    sums = channel_sums(
        rows, channels, [&](std::int64_t row, std::int64_t count, Scalar* first, Scalar* second) {
          kernels::gradient_sums(activation, in + row * channels, g + row * channels, seen, count,
                                 channels, first, second);
        });
    kernels::weight_gradients(sums, affine, dw, db);
  }
  if (!dx) return;
  const kernels::InputGradient terms =
      kernels::input_gradient(sums, affine, rows, batch_statistics);
  const auto [out, beta] = dx->target();
  parallel_for(rows, rows_per_block(channels),
               [&, out = out, beta = beta](std::int64_t begin, std::int64_t end) {
                 const std::int64_t i = begin * channels;
                 kernels::affine_backward(activation, in + i, g + i, seen, terms.a.data(),
                                          batch_statistics ? terms.b.data() : nullptr,
                                          batch_statistics ? terms.d.data() : nullptr, end - begin,
                                          channels, beta, out + i);
               });
}

std::int64_t check_shapes(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias,
                          const Tensor& mean, const Tensor& var) {
  const std::int64_t channels = x.size(-1);
  for (const auto& [name, tensor] : {std::pair{"weight", &weight}, std::pair{"bias", &bias},
                                     std::pair{"mean", &mean}, std::pair{"var", &var}})
    check(tensor->shape() == Shape{channels}, op, ": ", name, " must have shape [", channels,
          "] for x of shape ", x.shape(), ", got ", tensor->shape());
  return channels;
}

Tensor normalize(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias,
                 Affine affine, bool batch_statistics, Activation activation, std::int64_t rows,
                 std::int64_t channels) {
  affine.set_scale(weight.data().data(), bias.data().data());
  Tensor y = Tensor::empty(x.shape());
  const Scalar* in = x.data().data();
  Scalar* out = y.data().data();
  parallel_for(rows, rows_per_block(channels), [&](std::int64_t begin, std::int64_t end) {
    kernels::affine_forward(activation, in + begin * channels, affine.pointers(), end - begin,
                            channels, out + begin * channels);
  });

  if (!batch_statistics && !weight.requires_grad())
    // Nothing asks for x. The mask can be found from y, which the next layer keeps anyway; without
    // an activation there is none, and dy stands in for what is read and not used.
    return from_op(
        op, y, {x, weight, bias},
        [y = activation == Activation::none ? Tensor() : y.detach(), affine = std::move(affine),
         dx = x.grad_slot(), db = bias.grad_slot(), activation, rows, channels](const Tensor& dy) {
          const std::vector<Scalar> one(affine.scale.size(), 1), zero(affine.scale.size(), 0);
          backward(dy, y.defined() ? y : dy, {one.data(), zero.data(), affine.mean.data()}, affine,
                   dx.get(), nullptr, db.get(), false, activation, rows, channels);
        });
  return from_op(
      op, y, {x, weight, bias},
      [x = x.detach(), affine = std::move(affine), dx = x.grad_slot(), dw = weight.grad_slot(),
       db = bias.grad_slot(), batch_statistics, activation, rows, channels](const Tensor& dy) {
        backward(dy, x, affine.pointers(), affine, dx.get(), dw.get(), db.get(), batch_statistics,
                 activation, rows, channels);
      });
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor running_mean,
                  Tensor running_var, const BatchNormOptions& options) {
  const std::int64_t channels =
      check_shapes("batch_norm", x, weight, bias, running_mean, running_var);
  const std::int64_t rows = channels > 0 ? x.numel() / channels : 0;
  check(rows >= 2, "batch_norm: needs at least 2 positions to have a variance, got x of shape ",
        x.shape());

  // Sums of differences from the first row: a variance far smaller than the mean would drown in
  // the rounding of plain squares.
  const Scalar *in = x.data().data(), *origin = in;
  const ChannelSums moments = channel_sums(
      rows, channels, [&](std::int64_t row, std::int64_t count, Scalar* first, Scalar* second) {
        kernels::moment_sums(in + row * channels, origin, count, channels, first, second);
      });
  Affine affine =
      kernels::batch_statistics(moments, origin, rows, options, running_mean, running_var);
  return normalize("batch_norm", x, weight, bias, std::move(affine), true, options.activation, rows,
                   channels);
}

Tensor batch_norm_frozen(const Tensor& x, const Tensor& weight, const Tensor& bias,
                         const Tensor& mean, const Tensor& var, const BatchNormOptions& options) {
  const std::int64_t channels = check_shapes("batch_norm_frozen", x, weight, bias, mean, var);
  Affine affine;
  affine.mean = mean.to_vector();
  for (const Scalar v : var.data())
    affine.inv_std.push_back(static_cast<Scalar>(
        1 / std::sqrt(static_cast<double>(v) + static_cast<double>(options.eps))));
  return normalize("batch_norm_frozen", x, weight, bias, std::move(affine), false,
                   options.activation, channels > 0 ? x.numel() / channels : 0, channels);
}

namespace nn {

BatchNorm2d::BatchNorm2d(std::int64_t channels, const BatchNormOptions& options)
    : options_(options),
      weight(add_parameter("weight", Tensor::ones({channels}))),
      bias(add_parameter("bias", Tensor({channels}))),
      running_mean(add_buffer("running_mean", Tensor({channels}))),
      running_var(add_buffer("running_var", Tensor::ones({channels}))) {}

Tensor BatchNorm2d::forward(const Tensor& x) {
  if (uses_batch_statistics())
    return batch_norm(x, weight, bias, running_mean, running_var, options_);
  return batch_norm_frozen(x, weight, bias, running_mean, running_var, options_);
}

std::pair<Tensor, Tensor> fold_batch_norm(const Tensor& weight, const Tensor& bias,
                                          const BatchNorm2d& bn) {
  const StateDict state = bn.state_dict();  // weight, bias, running_mean, running_var
  const auto gamma = state[0].second.data(), beta = state[1].second.data();
  const auto mean = state[2].second.data(), var = state[3].second.data();
  const std::size_t channels = gamma.size();
  check(weight.rank() == 4 && weight.size(3) == static_cast<std::int64_t>(channels),
        "fold_batch_norm: weight must be [KH, KW, C_in / groups, ", channels, "], got ",
        weight.shape());
  Tensor w = weight.clone(), b = bias.defined() ? bias.clone() : Tensor({weight.size(3)});
  const auto filters = w.data(), offsets = b.data();
  for (std::size_t c = 0; c < channels; ++c) {
    const Scalar s = gamma[c] / std::sqrt(var[c] + bn.options().eps);
    for (std::size_t i = c; i < filters.size(); i += channels) filters[i] *= s;
    offsets[c] = (offsets[c] - mean[c]) * s + beta[c];
  }
  return {w, b};
}

}  // namespace nn
}  // namespace boxgrad
