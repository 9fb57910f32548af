#include <limits>
#include <string>
#include <vector>

#include "core/autograd.h"
#include "core/parallel.h"
#include "layers/pool.h"
#include "tests/check_gradients.h"

using namespace boxgrad;

namespace {

struct GoldenPool {
  std::string kind;
  Shape x;
  PerAxis kernel, stride, padding;
  bool ceil_mode, count_include_pad;
  Shape out;
  std::vector<Scalar> y, dx;
};

/// The inputs of tests/golden/pool.py; different within any small window.
Tensor numbers(const Shape& shape, std::int64_t seed) {
  Tensor t(shape);
  for (std::int64_t i = 0; i < t.numel(); ++i)
    t.data()[static_cast<std::size_t>(i)] =
        static_cast<Scalar>((37 * i + 11 * seed) % 101 - 50) / 50;
  return t;
}

Tensor pool(const GoldenPool& g, const Tensor& x) {
  if (g.kind == "max")
    return max_pool2d(x, g.kernel,
                      {.stride = g.stride, .padding = g.padding, .ceil_mode = g.ceil_mode});
  if (g.kind == "avg")
    return avg_pool2d(x, g.kernel,
                      {.stride = g.stride,
                       .padding = g.padding,
                       .ceil_mode = g.ceil_mode,
                       .count_include_pad = g.count_include_pad});
  return adaptive_avg_pool2d(x, g.kernel);
}

}  // namespace

#include "tests/golden/pool.h"

TEST_CASE("pooling matches torch", "[pool]") {
  for (const GoldenPool& golden : kGoldenPool) {
    INFO(golden.kind << " " << golden.x << " -> " << golden.out << " padding " << golden.padding.h);
    Tensor x = numbers(golden.x, 1);
    x.requires_grad_();
    const Tensor y = pool(golden, x);
    CHECK(relative_error(y, Tensor(golden.out, golden.y)) < 1e-5);
    y.backward(numbers(golden.out, 4));
    CHECK(relative_error(x.grad(), Tensor(golden.x, golden.dx)) < 1e-5);
  }
}

TEST_CASE("pooling gradient", "[pool][gradcheck]") {
  for (const GoldenPool& golden : kGoldenPool) {
    INFO(golden.kind << " " << golden.x << " -> " << golden.out << " padding " << golden.padding.h);
    check_gradients([&](const auto& in) { return pool(golden, in[0]); }, {numbers(golden.x, 1)});
  }
  // More channels than a register holds, and some left over.
  const Tensor wide = numbers({1, 3, 3, 2 * 16 + 3}, 2);
  check_gradients([](const auto& in) { return max_pool2d(in[0], 2, {.stride = 1}); }, {wide});
  check_gradients([](const auto& in) { return avg_pool2d(in[0], 2, {.stride = 1}); }, {wide});
  check_gradients([](const auto& in) { return global_avg_pool2d(in[0]); }, {wide});
}

TEST_CASE("max_pool2d finds the same in registers and one by one", "[pool]") {
  const Tensor x = numbers({2, 9, 7, 37}, 3);
  const Tensor y = max_pool2d(x, {3, 2}, {.stride = {2, 1}, .padding = 1});
  REQUIRE(y.shape() == Shape{2, 5, 8, 37});
  for (std::int64_t n = 0; n < 2; ++n)
    for (std::int64_t i = 0; i < 5; ++i)
      for (std::int64_t j = 0; j < 8; ++j)
        for (std::int64_t c = 0; c < 37; ++c) {
          Scalar best = -std::numeric_limits<Scalar>::infinity();
          for (std::int64_t h = std::max<std::int64_t>(0, 2 * i - 1);
               h < std::min<std::int64_t>(9, 2 * i + 2); ++h)
            for (std::int64_t w = std::max<std::int64_t>(0, j - 1);
                 w < std::min<std::int64_t>(7, j + 1); ++w)
              best = std::max(best, x.at({n, h, w, c}));
          REQUIRE(y.at({n, i, j, c}) == best);
        }
}

TEST_CASE("max_pool2d: ties go to the first cell, NaN and -inf are kept", "[pool]") {
  Tensor x({1, 2, 2, 1}, {1, 1, 1, 1});
  x.requires_grad_();
  max_pool2d(x, 2).backward();
  CHECK(x.grad().to_vector() == std::vector<Scalar>{1, 0, 0, 0});

  const Scalar nan = std::numeric_limits<Scalar>::quiet_NaN();
  const Scalar inf = std::numeric_limits<Scalar>::infinity();
  const Tensor y = max_pool2d(Tensor({1, 1, 4, 1}, {nan, 5, -inf, -inf}), {1, 2});
  CHECK(std::isnan(y.data()[0]));
  CHECK(y.data()[1] == -inf);
  CHECK(std::isnan(max_pool2d(Tensor({1, 1, 2, 1}, {5, nan}), {1, 2}).item()));
}

TEST_CASE("a kernel of 256 cells still has a byte for each", "[pool]") {
  Tensor x({1, 16, 16, 1});
  x.data()[255] = 1;
  x.requires_grad_();
  max_pool2d(x, 16).backward();
  CHECK(x.grad().data()[255] == 1);
  CHECK_THROWS_WITH(max_pool2d(Tensor({1, 20, 20, 1}), {16, 17}),
                    "max_pool2d: kernel must have at most 256 cells, got 16 x 17; max() in "
                    "core/ops.h covers whole axes");
}

TEST_CASE("pooling gives the same bits for any number of threads and adds to gradients", "[pool]") {
  const int before = num_threads();
  const Tensor start = numbers({3, 17, 19, 21}, 5);
  std::vector<std::vector<Scalar>> results;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    Tensor x = start.clone();
    x.requires_grad_();
    const Tensor y = max_pool2d(x, 3, {.stride = 2, .padding = 1});
    y.backward(numbers(y.shape(), 6));
    const Tensor a = avg_pool2d(x, 3, {.stride = 2, .padding = 1});
    a.backward(numbers(a.shape(), 7));
    results.push_back(x.grad().to_vector());
  }
  set_num_threads(before);
  CHECK(results[1] == results[0]);
  CHECK(results[2] == results[0]);
}

TEST_CASE("pooling of an empty batch is empty", "[pool]") {
  Tensor x({0, 4, 4, 3});
  x.requires_grad_();
  const Tensor y = max_pool2d(x, 2);
  CHECK(y.shape() == Shape{0, 2, 2, 3});
  y.backward(Tensor(y.shape()));
  CHECK(global_avg_pool2d(x).shape() == Shape{0, 1, 1, 3});
  CHECK(avg_pool2d(Tensor({1, 4, 4, 0}), 2).shape() == Shape{1, 2, 2, 0});
}

TEST_CASE("pooling explains what does not fit", "[pool][errors]") {
  const Tensor x({1, 4, 6, 3});
  CHECK_THROWS_WITH(max_pool2d(Tensor({4, 6, 3}), 2),
                    "max_pool2d: input must have shape [N, H, W, C] with H, W > 0, got [4, 6, 3]");
  CHECK_THROWS_WITH(
      global_avg_pool2d(Tensor({1, 0, 6, 3})),
      "global_avg_pool2d: input must have shape [N, H, W, C] with H, W > 0, got [1, 0, 6, 3]");
  CHECK_THROWS_WITH(max_pool2d(x, 0),
                    "max_pool2d: kernel must be from 1 to 2147483647, got 0 for height");
  CHECK_THROWS_WITH(avg_pool2d(x, 2, {.stride = {1, -1}}),
                    "avg_pool2d: stride must be from 0 (as the kernel) to 2147483647, got -1 for "
                    "width");
  CHECK_THROWS_WITH(max_pool2d(x, 3, {.padding = 2}),
                    "max_pool2d: padding must be from 0 to half the kernel, got 2 for height with "
                    "kernel 3");
  CHECK_THROWS_WITH(max_pool2d(x, 5),
                    "max_pool2d: the padded map must be at least as large as the kernel (5), got "
                    "height 4 with padding 0");
  CHECK_THROWS_WITH(adaptive_avg_pool2d(x, {0, 1}),
                    "adaptive_avg_pool2d: out must be from 1 to 1048576, got 0 and 1");
}
