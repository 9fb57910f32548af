#include "layers/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "core/autograd.h"
#include "layers/kernels/channel_norm.h"

namespace boxgrad {

namespace {

using Vector = std::vector<Scalar>;

/// Rows (positions) per block: about 64 KiB of floats, so that a block is still in L2 when it is
/// read a second time. Fixed by the shape, as partial sums are added block by block.
std::int64_t rows_per_block(std::int64_t channels) {
  return std::max<std::int64_t>(4, kElementwiseGrain / std::max<std::int64_t>(channels, 1) / 4 * 4);
}

/// The two sums per channel of a kernel over all rows: kernel(first row, rows, first, second) fills
/// one block's sums, which are kept apart and added in double, in order.
template <class Kernel>
std::pair<std::vector<double>, std::vector<double>> channel_sums(std::int64_t rows,
                                                                 std::int64_t channels,
                                                                 Kernel kernel) {
  const std::int64_t block = rows_per_block(channels);
  const std::int64_t blocks = (rows + block - 1) / block;
  Vector partial(static_cast<std::size_t>(2 * blocks * channels));
  parallel_for(rows, block, [&](std::int64_t begin, std::int64_t end) {
    Scalar* first = partial.data() + begin / block * 2 * channels;
    kernel(begin, end - begin, first, first + channels);
  });
  const auto n = static_cast<std::size_t>(channels);
  std::vector<double> first(n, 0.0), second(n, 0.0);
  for (std::size_t b = 0; b < static_cast<std::size_t>(blocks); ++b)
    for (std::size_t c = 0; c < n; ++c) {
      first[c] += static_cast<double>(partial[2 * b * n + c]);
      second[c] += static_cast<double>(partial[(2 * b + 1) * n + c]);
    }
  return {first, second};
}

/// What forward and backward share: y = activation(scale x + shift), xh = inv_std (x - mean).
struct Affine {
  Vector scale, shift, inv_std, mean;
  kernels::ChannelAffine pointers() const { return {scale.data(), shift.data(), mean.data()}; }
};

/// Both backwards. The activation's mask is found again from x, which is read anyway, so that y
/// need not be kept or read.
void backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Affine& affine,
              GradSlot* dx, GradSlot* dw, GradSlot* db, bool batch_statistics,
              Activation activation, std::int64_t rows, std::int64_t channels) {
  const Scalar *g = dy.data().data(), *in = x.data().data();
  const auto n = static_cast<std::size_t>(channels);
  std::vector<double> sum_g(n, 0.0), sum_gx(n, 0.0);
  if (dw || db || (dx && batch_statistics))
    std::tie(sum_g, sum_gx) = channel_sums(
        rows, channels, [&](std::int64_t row, std::int64_t count, Scalar* first, Scalar* second) {
          kernels::gradient_sums(activation, in + row * channels, g + row * channels,
                                 affine.pointers(), count, channels, first, second);
        });
  for (std::size_t c = 0; c < n; ++c) sum_gx[c] *= static_cast<double>(affine.inv_std[c]);
  if (db) db->accumulate([&](std::size_t c) { return static_cast<Scalar>(sum_g[c]); });
  if (dw) dw->accumulate([&](std::size_t c) { return static_cast<Scalar>(sum_gx[c]); });
  if (!dx) return;

  // dx = a g + b x + d: three numbers per channel instead of the formula per element.
  Vector a(n), b(n, Scalar{0}), d(n, Scalar{0});
  const auto w = weight.data();
  for (std::size_t c = 0; c < n; ++c) {
    const auto inv_std = static_cast<double>(affine.inv_std[c]);
    a[c] = w[c] * affine.inv_std[c];
    if (!batch_statistics) continue;
    const double per_row = static_cast<double>(a[c]) / static_cast<double>(rows);
    const double slope = per_row * sum_gx[c] * inv_std;
    b[c] = static_cast<Scalar>(-slope);
    d[c] = static_cast<Scalar>(slope * static_cast<double>(affine.mean[c]) - per_row * sum_g[c]);
  }
  const auto [out, beta] = dx->target();
  parallel_for(rows, rows_per_block(channels),
               [&, out = out, beta = beta](std::int64_t begin, std::int64_t end) {
                 const std::int64_t i = begin * channels;
                 kernels::affine_backward(activation, in + i, g + i, affine.pointers(), a.data(),
                                          b.data(), d.data(), end - begin, channels, beta, out + i);
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
  const auto w = weight.data(), b = bias.data();
  for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
    affine.scale.push_back(w[c] * affine.inv_std[c]);
    affine.shift.push_back(b[c] - affine.mean[c] * affine.scale[c]);
  }
  Tensor y = Tensor::empty(x.shape());
  const Scalar* in = x.data().data();
  Scalar* out = y.data().data();
  parallel_for(rows, rows_per_block(channels), [&](std::int64_t begin, std::int64_t end) {
    kernels::affine_forward(activation, in + begin * channels, affine.pointers(), end - begin,
                            channels, out + begin * channels);
  });

  return from_op(op, y, {x, weight, bias},
                 [x = x.detach(), weight = weight.detach(), affine = std::move(affine),
                  dx = x.grad_slot(), dw = weight.grad_slot(), db = bias.grad_slot(),
                  batch_statistics, activation, rows, channels](const Tensor& dy) {
                   backward(dy, x, weight, affine, dx.get(), dw.get(), db.get(), batch_statistics,
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
  const auto [s1, s2] = channel_sums(
      rows, channels, [&](std::int64_t row, std::int64_t count, Scalar* first, Scalar* second) {
        kernels::moment_sums(in + row * channels, origin, count, channels, first, second);
      });
  Affine affine;
  const double m = static_cast<double>(rows), keep = 1 - static_cast<double>(options.momentum);
  const auto mean = running_mean.data(), var = running_var.data();
  for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
    const double offset = s1[c] / m, v = std::max(0.0, s2[c] / m - offset * offset);
    const double mu = static_cast<double>(origin[c]) + offset;
    affine.mean.push_back(static_cast<Scalar>(mu));
    affine.inv_std.push_back(
        static_cast<Scalar>(1 / std::sqrt(v + static_cast<double>(options.eps))));
    mean[c] = static_cast<Scalar>(keep * static_cast<double>(mean[c]) + (1 - keep) * mu);
    var[c] = static_cast<Scalar>(keep * static_cast<double>(var[c]) + (1 - keep) * v * m / (m - 1));
  }
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
      weight_(add_parameter("weight", Tensor::ones({channels}))),
      bias_(add_parameter("bias", Tensor({channels}))),
      running_mean_(add_buffer("running_mean", Tensor({channels}))),
      running_var_(add_buffer("running_var", Tensor::ones({channels}))) {}

Tensor BatchNorm2d::forward(const Tensor& x) {
  if (is_training() && !frozen)
    return batch_norm(x, weight_, bias_, running_mean_, running_var_, options_);
  return batch_norm_frozen(x, weight_, bias_, running_mean_, running_var_, options_);
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
