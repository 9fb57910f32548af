#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/autograd.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "layers/conv.h"
#include "tests/check_gradients.h"

using namespace boxgrad;

namespace {

struct GoldenConv {
  const char* name;
  Shape x, weight;
  Conv2dOptions options;
  Shape out;
  std::vector<Scalar> y, dx, dw, db;
};

/// The inputs of tests/golden/conv.py.
Tensor numbers(const Shape& shape, std::int64_t seed) {
  Tensor t(shape);
  for (std::int64_t i = 0; i < t.numel(); ++i)
    t.data()[static_cast<std::size_t>(i)] =
        static_cast<Scalar>((37 * i + 11 * seed) % 101 - 50) / 50;
  return t;
}

const std::vector<ConvAlgorithm> kAlgorithms = {
    ConvAlgorithm::automatic, ConvAlgorithm::direct,    ConvAlgorithm::im2col,
    ConvAlgorithm::pointwise, ConvAlgorithm::depthwise, ConvAlgorithm::narrow,
    ConvAlgorithm::winograd2, ConvAlgorithm::winograd4, ConvAlgorithm::few_outputs};

}  // namespace

#include "tests/golden/conv.h"

TEST_CASE("conv2d matches torch with every algorithm", "[conv]") {
  for (const GoldenConv& golden : kGoldenConv)
    for (const ConvAlgorithm algorithm : kAlgorithms) {
      INFO(golden.name << ", " << to_string(algorithm));
      Conv2dOptions options = golden.options;
      options.algorithm = algorithm;
      if (!conv_algorithm_covers(algorithm, conv_shape(golden.x, golden.weight, options))) continue;
      Tensor x = numbers(golden.x, 1), weight = numbers(golden.weight, 2);
      Tensor bias = numbers({golden.weight[3]}, 3);
      x.requires_grad_(), weight.requires_grad_(), bias.requires_grad_();
      const Tensor y = conv2d(x, weight, bias, options);
      CHECK(relative_error(y, Tensor(golden.out, golden.y)) < 1e-5);
      y.backward(numbers(golden.out, 4));
      CHECK(relative_error(x.grad(), Tensor(golden.x, golden.dx)) < 1e-5);
      CHECK(relative_error(weight.grad(), Tensor(golden.weight, golden.dw)) < 1e-5);
      CHECK(relative_error(bias.grad(), Tensor(bias.shape(), golden.db)) < 1e-5);
    }
}

TEST_CASE("conv2d gradient of every algorithm and activation", "[conv][gradcheck]") {
  struct Case {
    Shape x, weight;
    Conv2dOptions options;
  };
  const std::vector<Case> cases = {
      {{2, 4, 5, 3}, {3, 3, 3, 2}, {.padding = 1}},
      {{1, 6, 5, 2}, {3, 2, 2, 3}, {.stride = {2, 1}, .padding = {0, 1, 2, 0}}},
      {{1, 5, 6, 4}, {2, 2, 2, 4}, {.padding = 1, .dilation = 2, .groups = 2}},
      {{2, 3, 2, 3}, {1, 1, 3, 4}, {}},
      {{2, 5, 4, 2}, {1, 1, 2, 3}, {.stride = 2}},
      {{2, 5, 4, 3}, {3, 3, 1, 3}, {.padding = 1, .groups = 3}},
      {{1, 6, 5, 3}, {3, 3, 1, 3}, {.stride = 2, .padding = 1, .groups = 3}},
  };
  for (const Case& c : cases)
    for (const ConvAlgorithm algorithm : kAlgorithms)
      for (const Activation activation : {Activation::none, Activation::relu, Activation::relu6}) {
        Conv2dOptions options = c.options;
        options.algorithm = algorithm;
        options.activation = activation;
        if (!conv_algorithm_covers(algorithm, conv_shape(c.x, c.weight, options))) continue;
        INFO("input " << c.x << " weight " << c.weight << ", " << to_string(algorithm)
                      << ", activation " << static_cast<int>(activation));
        // Small weights and three kinds of output channels: clearly below 0, clearly between 0
        // and 6, clearly above 6. No z comes near a kink.
        Tensor weight = numbers(c.weight, 2);
        for (Scalar& w : weight.data()) w *= Scalar{0.05};
        Tensor bias({c.weight[3]});
        for (std::size_t co = 0; co < bias.data().size(); ++co)
          bias.data()[co] = co % 3 == 0 ? Scalar{3} : co % 3 == 1 ? Scalar{-3} : Scalar{9};
        check_gradients([&](const auto& in) { return conv2d(in[0], in[1], in[2], options); },
                        {numbers(c.x, 1), weight, bias});
      }
}

TEST_CASE("conv2d without bias, and gradients that nobody wants", "[conv]") {
  const Tensor x = numbers({1, 4, 4, 2}, 1);
  Tensor weight = numbers({3, 3, 2, 2}, 2);
  CHECK_FALSE(conv2d(x, weight).requires_grad());
  weight.requires_grad_();
  const Tensor y = conv2d(x, weight, {}, {.activation = Activation::relu});
  CHECK(y.shape() == Shape{1, 2, 2, 2});
  sum(y).backward();
  CHECK(weight.has_grad());
  CHECK_FALSE(x.has_grad());
  CHECK(relative_error(y, conv2d(x, weight, Tensor({2}), {.activation = Activation::relu})) == 0);

  Tensor bias({2});
  bias.requires_grad_();
  sum(conv2d(x, weight.detach(), bias)).backward();
  CHECK(bias.grad().to_vector() == std::vector<Scalar>{4, 4});
}

TEST_CASE("conv2d of an empty batch is empty", "[conv]") {
  Tensor weight = numbers({3, 3, 2, 2}, 2);
  weight.requires_grad_();
  const Tensor y = conv2d(Tensor({0, 5, 5, 2}), weight, {}, {.padding = 1});
  CHECK(y.shape() == Shape{0, 5, 5, 2});
  sum(y).backward();
  CHECK(weight.grad().to_vector() == std::vector<Scalar>(36, 0));
}

TEST_CASE("Conv2d is conv2d with its own filters", "[conv]") {
  manual_seed(3);
  nn::Conv2d conv(4, 6, {3, 2}, {.stride = 2, .padding = 1, .groups = 2});
  CHECK(conv.weight.shape() == Shape{3, 2, 2, 6});
  CHECK(conv.bias.shape() == Shape{6});
  CHECK(conv.parameter_count() == 72 + 6);
  const double bound = 1 / std::sqrt(12.0);
  double largest = 0, sum_of_squares = 0;
  for (const Scalar w : conv.weight.data()) {
    largest = std::max(largest, std::abs(static_cast<double>(w)));
    sum_of_squares += static_cast<double>(w) * static_cast<double>(w);
  }
  CHECK(largest <= bound);
  CHECK(sum_of_squares / 72 == Approx(bound * bound / 3).epsilon(0.4));

  const Tensor x = numbers({2, 5, 6, 4}, 1);
  const Tensor y = conv(x);
  CHECK(y.shape() == Shape{2, 3, 4, 6});
  CHECK(relative_error(y, conv2d(x, conv.weight, conv.bias, conv.options)) == 0);
  sum(y).backward();
  CHECK(conv.weight.has_grad());
  CHECK(conv.bias.has_grad());

  nn::Conv2d plain(4, 6, 1, {.bias = false});
  CHECK_FALSE(plain.bias.defined());
  CHECK(plain.parameters().size() == 1);
  CHECK_THROWS_WITH(nn::Conv2d(4, 6, 3, {.groups = 4}),
                    "Conv2d: groups must divide 4 input and 6 output channels, got 4");
  CHECK_THROWS_WITH(nn::Conv2d(0, 6, 3), "Conv2d: channels must be >= 1, got 0 in and 6 out");
  CHECK_THROWS_WITH(nn::Conv2d(4, 6, {3, 0}), "Conv2d: kernel must be >= 1, got 3 and 0");
}

TEST_CASE("conv2d explains what does not fit", "[conv][errors]") {
  const Tensor x({1, 5, 6, 4}), w({3, 3, 4, 2});
  CHECK_THROWS_WITH(conv2d(Tensor({5, 6, 4}), w),
                    "conv2d: input must have shape [N, H, W, C], got [5, 6, 4]");
  CHECK_THROWS_WITH(conv2d(x, Tensor({3, 3, 4})),
                    "conv2d: weight must have shape [KH, KW, C_in/groups, C_out], got [3, 3, 4]");
  CHECK_THROWS_WITH(conv2d(x, Tensor({3, 3, 64, 2})),
                    "conv2d: weight expects 64 input channels, got input of shape [1, 5, 6, 4]");
  CHECK_THROWS_WITH(conv2d(x, w, Tensor({3})), "conv2d: bias must have shape [2], got [3]");
  CHECK_THROWS_WITH(conv2d(x, Tensor({3, 3, 2, 2}), {}, {.groups = 3}),
                    "conv2d: groups must divide 4 input and 2 output channels, got 3");
  CHECK_THROWS_WITH(conv2d(x, w, {}, {.groups = 0}), "conv2d: groups must be >= 1, got 0");
  CHECK_THROWS_WITH(conv2d(x, w, {}, {.stride = 0}),
                    "conv2d: stride must be from 1 to 2147483647, got 0 and 0");
  CHECK_THROWS_WITH(conv2d(x, w, {}, {.padding = -1}),
                    "conv2d: padding must be from 0 to 2147483647, got top -1, bottom -1, left -1, "
                    "right -1");
  CHECK_THROWS_WITH(conv2d(x, w, {}, {.dilation = 0}),
                    "conv2d: dilation must be from 1 to 2147483647, got 0 and 0");
  CHECK_THROWS_WITH(
      conv2d(x, Tensor({7, 3, 4, 2})),
      "conv2d: the padded map must be at least as large as the filter (7 with dilation 1), got 5 "
      "for input [1, 5, 6, 4] and weight [7, 3, 4, 2]");
  CHECK_THROWS_WITH(conv2d(x, Tensor({0, 3, 4, 2})),
                    "conv2d: weight must not be empty, got [0, 3, 4, 2]");
  CHECK_THROWS_WITH(
      conv2d(x, w, {}, {.algorithm = ConvAlgorithm::pointwise}),
      "conv2d: algorithm pointwise does not cover input [1, 5, 6, 4] with weight [3, 3, 4, 2] and "
      "these options; use automatic");
  // Sizes whose products would overflow are refused before anything is allocated.
  CHECK_THROWS(conv2d(x, w, {}, {.padding = 2147483647}));
}
