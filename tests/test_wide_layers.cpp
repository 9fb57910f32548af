// Layers of VGG16 and MobileNet with all their channels, against PyTorch: layers/conv.h, linear.h,
// batch_norm.h, pool.h, separable_batch_norm.h.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/autograd.h"
#include "core/gradcheck.h"
#include "layers/conv.h"
#include "layers/linear.h"
#include "layers/pool.h"
#include "layers/separable_batch_norm.h"
#include "tests/catch.h"

using namespace boxgrad;

namespace {

struct GoldenPicked {
  double largest, sum;
  std::vector<double> values;
};
struct GoldenWide {
  std::string name;
  std::int64_t batch, side, in, out, kernel, stride, groups;
  GoldenPicked y, dx, dw, db;
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

/// Greatest error of the picked elements over the tensor's greatest value; or, if that is more, the
/// error of the sum over all elements, which grows with the root of their number.
double error(const Tensor& t, const GoldenPicked& golden) {
  const std::int64_t step = std::max<std::int64_t>(1, t.numel() / 40);
  REQUIRE(golden.values.size() >= static_cast<std::size_t>(std::min<std::int64_t>(40, t.numel())));
  double worst = 0;
  for (std::size_t i = 0; i < golden.values.size(); ++i) {
    const double difference = std::abs(
        static_cast<double>(t.data()[i * static_cast<std::size_t>(step)]) - golden.values[i]);
    if (!std::isfinite(difference)) return HUGE_VAL;  // max() would drop a NaN
    worst = std::max(worst, difference);
  }
  double sum = 0;
  const Tensor factors = numbers(t.shape(), 999);
  for (std::size_t i = 0; i < t.data().size(); ++i)
    sum += static_cast<double>(t.data()[i]) * static_cast<double>(factors.data()[i]);
  const double off = std::abs(sum - golden.sum) / std::sqrt(static_cast<double>(t.numel()));
  return std::isfinite(off) ? std::max(worst, off) / golden.largest : HUGE_VAL;
}

}  // namespace

TEST_CASE("convolutions with many channels equal PyTorch's", "[conv][wide]") {
  std::int64_t seed = 0;
  for (const GoldenWide& g : kGoldenWide) {
    std::vector<Tensor> by_im2col;  // y, dx, dw, db, for all elements of the others
    for (const ConvAlgorithm algorithm : {ConvAlgorithm::im2col, ConvAlgorithm::automatic,
                                          ConvAlgorithm::winograd2, ConvAlgorithm::winograd4}) {
      const Conv2dOptions options{
          .stride = g.stride, .padding = g.kernel / 2, .groups = g.groups, .algorithm = algorithm};
      const Tensor x = numbers({g.batch, g.side, g.side, g.in}, 3 * seed).requires_grad_();
      const Tensor w =
          numbers({g.kernel, g.kernel, g.in / g.groups, g.out}, 3 * seed + 1).requires_grad_();
      const Tensor b = numbers({g.out}, 1000 + seed).requires_grad_();
      const ConvShape shape = conv_shape(x.shape(), w.shape(), options);
      if (!conv_algorithm_covers(algorithm, shape)) continue;
      INFO(g.name << ", " << to_string(algorithm));
      const Tensor y = conv2d(x, w, b, options);
      y.backward(numbers(y.shape(), 3 * seed + 2));
      const bool large_tiles = conv_algorithm(shape, algorithm) == ConvAlgorithm::winograd4;
      const double tolerance = large_tiles ? 1e-4 : 1e-5;
      const std::vector<Tensor> got = {y.detach(), x.grad(), w.grad(), b.grad()};
      const GoldenPicked* golden[] = {&g.y, &g.dx, &g.dw, &g.db};
      for (std::size_t i = 0; i < got.size(); ++i) {
        INFO("y, dx, dw, db: number " << i);
        CHECK(error(got[i], *golden[i]) < tolerance);
        if (!by_im2col.empty())
          CHECK(relative_error(got[i], by_im2col[i]) < (sizeof(Scalar) == 4 ? tolerance : 1e-11));
      }
      if (by_im2col.empty()) by_im2col = got;
    }
    ++seed;
  }
  CHECK(seed == 19);
}

TEST_CASE("linear, batch norm, max pool and MobileNet's block with many channels equal PyTorch's",
          "[wide]") {
  using Leaves = std::vector<Tensor>;
  const auto statistics = [](std::int64_t channels, const Tensor& w, const Tensor& gamma,
                             const Tensor& beta, std::int64_t groups) {
    return ConvNormArguments{w,
                             gamma,
                             beta,
                             Tensor({channels}),
                             Tensor::ones({channels}),
                             {.padding = w.size(0) / 2, .groups = groups},
                             {.activation = Activation::relu}};
  };
  const auto dense = [](const Leaves& t) { return linear(t[0], t[1], t[2], Activation::relu); };
  const auto norm = [](const Leaves& t) {
    const std::int64_t n = t[1].numel();
    return batch_norm(t[0], t[1], t[2], Tensor({n}), Tensor::ones({n}),
                      {.activation = Activation::relu});
  };
  const auto pool = [](const Leaves& t) { return max_pool2d(t[0], 2); };
  const auto block = [&](const Leaves& t) {
    const std::int64_t in = t[2].numel(), out = t[5].numel();
    return separable_batch_norm(t[0], statistics(in, t[1], t[2], t[3], in),
                                statistics(out, t[4], t[5], t[6], 1));
  };
  struct Case {
    std::string name;
    std::function<Tensor(const Leaves&)> op;
    std::vector<Shape> shapes;
  };
  const auto block_shapes = [](const Shape& x, std::int64_t out) {
    const std::int64_t in = x[3];
    return std::vector<Shape>{x, {3, 3, 1, in}, {in}, {in}, {1, 1, in, out}, {out}, {out}};
  };
  const std::vector<Case> cases = {{"linear 4096-1024", dense, {{33, 4096}, {4096, 1024}, {1024}}},
                                   {"linear one row", dense, {{1, 4096}, {4096, 512}, {512}}},
                                   {"batch norm 64", norm, {{2, 30, 29, 64}, {64}, {64}}},
                                   {"batch norm 512", norm, {{2, 14, 14, 512}, {512}, {512}}},
                                   {"max pool 64", pool, {{2, 30, 28, 64}}},
                                   {"max pool 512", pool, {{1, 14, 14, 512}}},
                                   {"block 32-64", block, block_shapes({2, 33, 31, 32}, 64)},
                                   {"block 512-512", block, block_shapes({2, 14, 14, 512}, 512)}};
  REQUIRE(cases.size() == kGoldenWideOps.size());
  std::int64_t seed = 100;
  for (const Case& c : cases) {
    const std::vector<GoldenPicked>& golden = kGoldenWideOps.at(c.name);
    Leaves leaves;
    for (std::size_t i = 0; i < c.shapes.size(); ++i)
      leaves.push_back(numbers(c.shapes[i], seed + static_cast<std::int64_t>(i)).requires_grad_());
    const Tensor y = c.op(leaves);
    y.backward(numbers(y.shape(), seed + 9));
    REQUIRE(golden.size() == leaves.size() + 1);
    INFO(c.name);
    CHECK(error(y, golden[0]) < 1e-5);
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      INFO("gradient of input " << i);
      CHECK(error(leaves[i].grad(), golden[i + 1]) < 1e-5);
    }
    seed += 10;
  }
}
