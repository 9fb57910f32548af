#include "layers/kernels/batch_moments.h"

#include <cmath>

namespace boxgrad::kernels {

BlockSums::BlockSums(std::int64_t rows, std::int64_t channels, std::int64_t block)
    : block_(block),
      channels_(channels),
      partial_(static_cast<std::size_t>((rows + block_ - 1) / block_ * 2 * channels)) {}

ChannelSums BlockSums::total() const {
  const auto n = static_cast<std::size_t>(channels_);
  ChannelSums sums{std::vector<double>(n, 0.0), std::vector<double>(n, 0.0)};
  for (std::size_t i = 0; i < partial_.size(); i += 2 * n)
    for (std::size_t c = 0; c < n; ++c) {
      sums.first[c] += static_cast<double>(partial_[i + c]);
      sums.second[c] += static_cast<double>(partial_[i + n + c]);
    }
  return sums;
}

void Affine::set_scale(const Scalar* weight, const Scalar* bias) {
  for (std::size_t c = 0; c < mean.size(); ++c) {
    scale.push_back(weight[c] * inv_std[c]);
    shift.push_back(bias[c] - mean[c] * scale[c]);
  }
}

Affine batch_statistics(const ChannelSums& moments, const Scalar* origin, std::int64_t rows,
                        const BatchNormOptions& options, Tensor running_mean, Tensor running_var) {
  Affine affine;
  const double m = static_cast<double>(rows), keep = 1 - static_cast<double>(options.momentum);
  const auto mean = running_mean.data(), var = running_var.data();
  for (std::size_t c = 0; c < moments.first.size(); ++c) {
    const double offset = moments.first[c] / m;
    const double v = std::max(0.0, moments.second[c] / m - offset * offset);
    const double mu = static_cast<double>(origin[c]) + offset;
    affine.mean.push_back(static_cast<Scalar>(mu));
    affine.inv_std.push_back(
        static_cast<Scalar>(1 / std::sqrt(v + static_cast<double>(options.eps))));
    mean[c] = static_cast<Scalar>(keep * static_cast<double>(mean[c]) + (1 - keep) * mu);
    var[c] = static_cast<Scalar>(keep * static_cast<double>(var[c]) + (1 - keep) * v * m / (m - 1));
  }
  return affine;
}

void weight_gradients(ChannelSums& sums, const Affine& affine, GradSlot* weight, GradSlot* bias) {
  for (std::size_t c = 0; c < sums.second.size(); ++c)
    sums.second[c] *= static_cast<double>(affine.inv_std[c]);
  if (bias) bias->accumulate([&](std::size_t c) { return static_cast<Scalar>(sums.first[c]); });
  if (weight)
    weight->accumulate([&](std::size_t c) { return static_cast<Scalar>(sums.second[c]); });
}

InputGradient input_gradient(const ChannelSums& sums, const Affine& affine, std::int64_t rows,
                             bool batch_statistics) {
  InputGradient dx{affine.scale, {}, {}};
  if (!batch_statistics) return dx;
  const std::size_t n = affine.mean.size();
  dx.b.resize(n), dx.d.resize(n);
  for (std::size_t c = 0; c < n; ++c) {
    const double per_row = static_cast<double>(dx.a[c]) / static_cast<double>(rows);
    const double slope = per_row * sums.second[c] * static_cast<double>(affine.inv_std[c]);
    dx.b[c] = static_cast<Scalar>(-slope);
    dx.d[c] =
        static_cast<Scalar>(slope * static_cast<double>(affine.mean[c]) - per_row * sums.first[c]);
  }
  return dx;
}

}  // namespace boxgrad::kernels
