#include "detection/proposals/gaussian_filter.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"

namespace boxgrad::detection {
namespace {

/// to[i] += factor * from[i], the loop that all filtering is made of.
void add_scaled(Scalar factor, const Scalar* __restrict from, Scalar* __restrict to,
                std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) to[i] += factor * from[i];
}

}  // namespace

std::vector<Scalar> gaussian_kernel(double sigma) {
  check(sigma >= 0 && sigma <= 100, "gaussian_kernel: sigma must be from 0 to 100 pixels, got ",
        sigma);
  const int radius = static_cast<int>(std::ceil(4 * sigma));
  std::vector<double> weights;
  double sum = 0;
  for (int i = -radius; i <= radius; ++i) {
    weights.push_back(i == 0 ? 1 : std::exp(-0.5 * i * i / (sigma * sigma)));
    sum += weights.back();
  }
  std::vector<Scalar> kernel;
  for (const double w : weights) kernel.push_back(static_cast<Scalar>(w / sum));
  return kernel;
}

std::vector<Scalar> gaussian_derivative_kernel(double sigma) {
  check(sigma > 0, "gaussian_derivative_kernel: sigma must be > 0, got ", sigma);
  std::vector<Scalar> kernel = gaussian_kernel(sigma);
  const int radius = static_cast<int>(kernel.size() / 2);
  double moment = 0;
  for (int i = -radius; i <= radius; ++i)
    moment += i * i * static_cast<double>(kernel[static_cast<std::size_t>(i + radius)]);
  for (int i = -radius; i <= radius; ++i)
    kernel[static_cast<std::size_t>(i + radius)] *= static_cast<Scalar>(i / moment);
  return kernel;
}

Tensor filter_separable(const Tensor& planes, std::span<const Scalar> kernel_x,
                        std::span<const Scalar> kernel_y) {
  check(planes.rank() == 3 && planes.numel() > 0,
        "filter_separable: planes must be [H, W, C] without an empty axis, got ", planes.shape());
  check(kernel_x.size() % 2 == 1 && kernel_y.size() % 2 == 1,
        "filter_separable: kernels must have an odd number of values, got ", kernel_x.size(),
        " and ", kernel_y.size());
  const std::int64_t height = planes.size(0), width = planes.size(1), channels = planes.size(2);
  const std::size_t row = static_cast<std::size_t>(width * channels);
  const std::int64_t radius_x = static_cast<std::int64_t>(kernel_x.size() / 2);
  const std::int64_t radius_y = static_cast<std::int64_t>(kernel_y.size() / 2);
  const Scalar* in = planes.data().data();

  Tensor result({height, width, channels});
  Scalar* out = result.data().data();
  std::vector<Scalar> sums(row);
  std::vector<Scalar> padded(static_cast<std::size_t>((width + 2 * radius_x) * channels));
  for (std::int64_t y = 0; y < height; ++y) {
    std::ranges::fill(sums, Scalar{0});
    for (std::size_t j = 0; j < kernel_y.size(); ++j) {
      const std::int64_t from =
          std::clamp<std::int64_t>(y + static_cast<std::int64_t>(j) - radius_y, 0, height - 1);
      add_scaled(kernel_y[j], in + from * width * channels, sums.data(), row);
    }
    for (std::int64_t x = 0; x < width + 2 * radius_x; ++x) {
      const std::int64_t from = std::clamp<std::int64_t>(x - radius_x, 0, width - 1);
      std::copy_n(&sums[static_cast<std::size_t>(from * channels)], channels,
                  &padded[static_cast<std::size_t>(x * channels)]);
    }
    for (std::size_t i = 0; i < kernel_x.size(); ++i)
      add_scaled(kernel_x[i], &padded[i * static_cast<std::size_t>(channels)],
                 out + y * width * channels, row);
  }
  return result;
}

}  // namespace boxgrad::detection
