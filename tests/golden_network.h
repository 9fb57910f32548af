#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "core/ops.h"
#include "layers/module.h"
#include "tests/check_gradients.h"

/// Whole networks beside PyTorch's: what tests/golden/networks.py and its like print, and how it is
/// compared.
namespace boxgrad {

struct GoldenNetwork {
  std::int64_t seed;
  struct Sample {
    const char* name;
    std::vector<Scalar> values;
  };
  std::vector<Sample> outputs, gradients;
};

/// numbers() of tests/golden/networks.py: a hash of (index, seed) in [-1, 1).
inline Tensor numbers(const Shape& shape, std::int64_t seed) {
  Tensor t(shape);
  std::uint32_t i = 0;
  for (Scalar& value : t.data()) {
    std::uint32_t h = i++ * 0x9E3779B1u + static_cast<std::uint32_t>(seed) * 0x85EBCA77u;
    h = (h ^ (h >> 16)) * 0x7FEB352Du;
    h = (h ^ (h >> 15)) * 0x846CA68Bu;
    h = (h ^ (h >> 16)) >> 12;
    value = static_cast<Scalar>(h) / (1 << 19) - 1;
  }
  return t;
}

/// The weights of the same script.
inline void fill(nn::Module& model, std::int64_t seed) {
  std::int64_t tensor_seed = 1000 * seed + 10;
  for (const auto& [name, tensor] : model.state_dict()) {
    double scale = 0.1, offset = 0;
    if (name.ends_with("running_var"))
      offset = 1, scale = 0.5;
    else if (name.ends_with("norm.weight"))
      offset = 1, scale = 0.25;
    else if (tensor.rank() > 1)
      scale = std::sqrt(6.0 * static_cast<double>(tensor.size(-1)) /
                        static_cast<double>(tensor.numel()));
    const Tensor u = numbers(tensor.shape(), tensor_seed++);
    Tensor target = tensor;
    for (std::size_t i = 0; i < u.data().size(); ++i)
      target.data()[i] = static_cast<Scalar>(offset + scale * static_cast<double>(u.data()[i]));
  }
}

/// max |a - b| / max |b| over the numbers that were kept of b.
inline double sample_error(const Tensor& t, const std::vector<Scalar>& golden) {
  const auto step = static_cast<std::size_t>(std::max<std::int64_t>(1, t.numel() / 200));
  std::vector<Scalar> kept;
  for (std::size_t i = 0; i < t.data().size(); i += step) kept.push_back(t.data()[i]);
  const Shape shape{static_cast<std::int64_t>(kept.size())};
  REQUIRE(kept.size() == golden.size());
  return relative_error(Tensor(shape, kept), Tensor(shape, golden));
}

/// Compares outputs with the golden ones, then goes back from them and compares the gradients.
inline void check_golden(const GoldenNetwork& golden, const std::vector<Tensor>& outputs,
                         nn::Module& model, const Tensor& images, double tolerance) {
  REQUIRE(outputs.size() == golden.outputs.size());
  Tensor total({1});
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    INFO(golden.outputs[i].name);
    CHECK(sample_error(outputs[i], golden.outputs[i].values) < tolerance);
    total = total + sum(outputs[i] * numbers(outputs[i].shape(), 1000 * golden.seed + 2 +
                                                                     static_cast<std::int64_t>(i)));
  }
  if (golden.gradients.empty()) return;
  total.backward();
  for (const auto& [name, values] : golden.gradients) {
    INFO("gradient of " << name);
    Tensor at = images;
    for (const auto& [path, tensor] : model.parameters())
      if (path == name || path == concat("backbone.", name)) at = tensor;
    REQUIRE(at.has_grad());
    CHECK(sample_error(at.grad(), values) < tolerance);
  }
}

}  // namespace boxgrad
