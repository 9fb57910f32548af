// Convolutions of VGG16 and MobileNet with all their channels, against PyTorch: layers/conv.h.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/autograd.h"
#include "layers/conv.h"
#include "tests/catch.h"

using namespace boxgrad;

namespace {

struct GoldenPicked {
  double largest;
  std::vector<double> values;
};
struct GoldenWide {
  std::string name;
  std::int64_t batch, side, in, out, kernel, stride, groups;
  GoldenPicked y, dx, dw;
};

#include "tests/golden/wide_layers.h"

/// The formula of tests/golden/wide_layers.py.
Tensor numbers(const Shape& shape, std::int64_t seed) {
  Tensor t(shape);
  for (std::int64_t i = 0; i < t.numel(); ++i) {
    auto v = static_cast<std::uint32_t>(static_cast<std::uint64_t>(i) * 2654435761u +
                                        static_cast<std::uint64_t>(seed) * 40503u + 12345u);
    v ^= v >> 15;
    v *= 2246822519u;
    v ^= v >> 13;
    t.data()[static_cast<std::size_t>(i)] =
        static_cast<Scalar>((static_cast<double>(v % 2001) - 1000) / 1000);
  }
  return t;
}

/// Greatest error of the picked elements over the tensor's greatest value.
double error(const Tensor& t, const GoldenPicked& golden) {
  const std::int64_t step = std::max<std::int64_t>(1, t.numel() / 40);
  REQUIRE(golden.values.size() >= 40);
  double worst = 0;
  for (std::size_t i = 0; i < golden.values.size(); ++i) {
    const double difference = std::abs(
        static_cast<double>(t.data()[i * static_cast<std::size_t>(step)]) - golden.values[i]);
    if (!std::isfinite(difference)) return HUGE_VAL;  // max() would drop a NaN
    worst = std::max(worst, difference);
  }
  return worst / golden.largest;
}

}  // namespace

TEST_CASE("convolutions with many channels equal PyTorch's", "[conv][wide]") {
  std::int64_t seed = 0;
  for (const GoldenWide& g : kGoldenWide) {
    for (const ConvAlgorithm algorithm : {ConvAlgorithm::automatic, ConvAlgorithm::im2col,
                                          ConvAlgorithm::winograd2, ConvAlgorithm::winograd4}) {
      const Conv2dOptions options{
          .stride = g.stride, .padding = g.kernel / 2, .groups = g.groups, .algorithm = algorithm};
      const Tensor x = numbers({g.batch, g.side, g.side, g.in}, 3 * seed).requires_grad_();
      const Tensor w =
          numbers({g.kernel, g.kernel, g.in / g.groups, g.out}, 3 * seed + 1).requires_grad_();
      if (!conv_algorithm_covers(algorithm, conv_shape(x.shape(), w.shape(), options))) continue;
      INFO(g.name << ", " << to_string(algorithm));
      const Tensor y = conv2d(x, w, {}, options);
      y.backward(numbers(y.shape(), 3 * seed + 2));
      const ConvAlgorithm used =
          algorithm == ConvAlgorithm::automatic
              ? choose_conv_algorithm(conv_shape(x.shape(), w.shape(), options))
              : algorithm;
      const double tolerance = used == ConvAlgorithm::winograd4 ? 1e-4 : 1e-5;
      CHECK(error(y, g.y) < tolerance);
      CHECK(error(x.grad(), g.dx) < tolerance);
      CHECK(error(w.grad(), g.dw) < tolerance);
    }
    ++seed;
  }
  CHECK(seed == 12);
}
