#include <algorithm>
#include <cmath>
#include <limits>

#include "core/ops.h"
#include "layers/activation.h"
#include "layers/batch_norm.h"
#include "layers/conv.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/sequential.h"
#include "tests/check_gradients.h"

using namespace boxgrad;

namespace {

// Reference values: tests/golden/layers.py.
const Tensor kInput({2, 4}, {-2, -0.5, 0, 1, 3, 7, -1, 0.25});
const Tensor kGradient({2, 4}, {1, -2, 3, -4, 5, -6, 7, -8});
// Without the kinks at 0 and 6.
const Tensor kSmooth({2, 4}, {-2, -0.5, 0.3, 1, 3, 7, -1, 0.25});

using V = std::vector<Scalar>;

Tensor normal(Shape shape, std::uint64_t seed) {
  Random random(seed);
  return Tensor::randn(std::move(shape), random);
}

template <class F>
void check_op(F f, const Tensor& y, const Tensor& dx) {
  Tensor x = kInput.clone().requires_grad_();
  const Tensor out = f(x);
  CHECK(relative_error(out, y) < 2e-6);
  out.backward(kGradient);
  CHECK(relative_error(x.grad(), dx) < 2e-6);
}

}  // namespace

TEST_CASE("relu, relu6, leaky_relu", "[activation]") {
  check_op([](const Tensor& x) { return relu(x); }, Tensor({2, 4}, {0, 0, 0, 1, 3, 7, 0, 0.25}),
           Tensor({2, 4}, {0, 0, 0, -4, 5, -6, 0, -8}));
  check_op([](const Tensor& x) { return relu6(x); }, Tensor({2, 4}, {0, 0, 0, 1, 3, 6, 0, 0.25}),
           Tensor({2, 4}, {0, 0, 0, -4, 5, 0, 0, -8}));
  check_op([](const Tensor& x) { return leaky_relu(x, Scalar(0.1)); },
           Tensor({2, 4}, {-0.2, -0.05, 0, 1, 3, 7, -0.1, 0.25}),
           Tensor({2, 4}, {0.1, -0.2, 0.3, -4, 5, -6, 0.7, -8}));
}

TEST_CASE("sigmoid, softmax, log_softmax match torch", "[activation]") {
  check_op([](const Tensor& x) { return sigmoid(x); },
           Tensor({2, 4}, {0.11920292, 0.37754067, 0.5, 0.73105858, 0.95257413, 0.99908895,
                           0.26894142, 0.56217650}),
           Tensor({2, 4}, {0.10499359, -0.47000742, 0.75, -0.78644773, 0.22588330, -0.00546133,
                           1.37628353, -1.96907266}));
  check_op([](const Tensor& x) { return softmax(x); },
           Tensor({2, 4}, {0.03034323, 0.13598892, 0.22420782, 0.60946004, 0.01795964, 0.98056329,
                           0.00032894, 0.00114812}),
           Tensor({2, 4}, {0.09123758, 0.00093170, 1.12257521, -1.21474448, 0.19397248, -0.19565776,
                           0.00421061, -0.00252533}));
  check_op([](const Tensor& x) { return log_softmax(x); },
           Tensor({2, 4}, {-3.49518190, -1.99518190, -1.49518190, -0.49518190, -4.01962808,
                           -0.01962808, -8.01962808, -6.76962808}),
           Tensor({2, 4}, {1.06068646, -1.72802217, 3.44841564, -2.78107992, 5.03591929,
                           -4.03887341, 7.00065788, -7.99770376}));
}

TEST_CASE("activations of extreme numbers", "[activation]") {
  const Scalar nan = std::numeric_limits<Scalar>::quiet_NaN();
  CHECK(sigmoid(Tensor({4}, {-1e4, 1e4, -800, 800})).to_vector() == V{0, 1, 0, 1});
  CHECK(softmax(Tensor({2}, {1e4, -1e4})).to_vector() == V{1, 0});
  CHECK(log_softmax(Tensor({2}, {1e4, -1e4})).to_vector() == V{0, -2e4});
  for (const auto f :
       {+[](const Tensor& x) { return relu(x); }, +[](const Tensor& x) { return relu6(x); },
        +[](const Tensor& x) { return leaky_relu(x); }, +[](const Tensor& x) { return sigmoid(x); },
        +[](const Tensor& x) { return softmax(x); },
        +[](const Tensor& x) { return log_softmax(x); }}) {
    CHECK(std::isnan(f(Tensor({1}, nan)).item()));
    CHECK(f(Tensor({0, 3})).shape() == Shape{0, 3});
  }
}

TEST_CASE("activations: gradients", "[activation][gradcheck]") {
  check_gradients([](const auto& x) { return relu(x[0]); }, {kSmooth});
  check_gradients([](const auto& x) { return relu6(x[0]); }, {kSmooth});
  check_gradients([](const auto& x) { return leaky_relu(x[0], Scalar(0.2)); }, {kSmooth});
  for (const Shape& shape : {Shape{1}, Shape{3, 4}, Shape{2, 1, 3, 2}}) {
    check_gradients([](const auto& x) { return sigmoid(x[0]); }, {normal(shape, 1)});
    check_gradients([](const auto& x) { return softmax(x[0]); }, {normal(shape, 2)});
    check_gradients([](const auto& x) { return log_softmax(x[0]); }, {normal(shape, 3)});
  }
}

namespace {

/// A layer's result with an activation inside, or with none, from copies of `inputs`: y or z. Then
/// the gradients of the inputs, after the activation has followed as an op of its own if it is
/// `apart`.
template <class Layer>
std::vector<Tensor> results(const Layer& layer, Activation activation, bool apart,
                            const std::vector<Tensor>& inputs) {
  std::vector<Tensor> leaves;
  for (const Tensor& input : inputs) leaves.push_back(input.clone().requires_grad_());
  Tensor y = layer(leaves, apart ? Activation::none : activation);
  if (apart) {
    // Both kinks must matter, at 0 and at 6.
    const auto [least, most] = std::ranges::minmax(y.data());
    REQUIRE(least < -1);
    REQUIRE(most > 7);
    y = activation == Activation::relu ? relu(y) : relu6(y);
  }
  y.backward(normal(y.shape(), 99));
  std::vector<Tensor> all = {y.detach()};
  for (const Tensor& leaf : leaves) all.push_back(leaf.grad());
  return all;
}

template <class Layer>
void check_fused(const Layer& layer, const std::vector<Tensor>& inputs) {
  for (const Activation activation : {Activation::relu, Activation::relu6}) {
    INFO((activation == Activation::relu ? "relu" : "relu6"));
    const auto fused = results(layer, activation, false, inputs);
    const auto apart = results(layer, activation, true, inputs);
    for (std::size_t i = 0; i < fused.size(); ++i) {
      INFO("y and the gradients of the inputs, number " << i);
      CHECK(relative_error(fused[i], apart[i]) < 1e-5);
    }
  }
}

}  // namespace

TEST_CASE("conv2d with an activation is conv2d, then the activation", "[activation][conv]") {
  int convolutions = 0;
  for (const auto& [kernel, groups] : {std::pair{3, 1}, {3, 20}, {1, 1}})
    for (const ConvAlgorithm algorithm :
         {ConvAlgorithm::direct, ConvAlgorithm::im2col, ConvAlgorithm::pointwise,
          ConvAlgorithm::depthwise, ConvAlgorithm::narrow, ConvAlgorithm::few_outputs,
          ConvAlgorithm::winograd2, ConvAlgorithm::winograd4}) {
      const Tensor x = normal({2, 7, 6, 20}, 1), w = normal({kernel, kernel, 20 / groups, 20}, 2),
                   b = normal({20}, 3) * Scalar(4);
      Conv2dOptions options{.padding = kernel / 2, .groups = groups, .algorithm = algorithm};
      if (!conv_algorithm_covers(algorithm, conv_shape(x.shape(), w.shape(), options))) continue;
      INFO(kernel << " x " << kernel << ", " << groups << " groups, " << to_string(algorithm));
      check_fused(
          [&](const auto& t, Activation activation) {
            options.activation = activation;
            return conv2d(t[0], t[1], t[2], options);
          },
          {x, w, b});
      ++convolutions;
    }
  CHECK(convolutions == 6 + 3 + 5);
}

TEST_CASE("batch norm with an activation is batch norm, then the activation",
          "[activation][batch_norm]") {
  const std::vector<Tensor> inputs = {normal({2, 7, 6, 20}, 1), normal({20}, 2) * Scalar(4),
                                      normal({20}, 3) * Scalar(4)};
  check_fused(
      [](const auto& t, Activation activation) {
        return batch_norm(t[0], t[1], t[2], Tensor({20}), Tensor::ones({20}),
                          {.activation = activation});
      },
      inputs);
  check_fused(
      [](const auto& t, Activation activation) {
        return batch_norm_frozen(t[0], t[1], t[2], normal({20}, 4), Tensor::ones({20}),
                                 {.activation = activation});
      },
      inputs);
}

TEST_CASE("linear with an activation is linear, then the activation", "[activation][linear]") {
  check_fused(
      [](const auto& t, Activation activation) { return linear(t[0], t[1], t[2], activation); },
      {normal({13, 30}, 1), normal({30, 21}, 2), normal({21}, 3)});
}

TEST_CASE("activations and flatten as modules", "[activation]") {
  nn::Sequential net(std::make_shared<nn::ReLU>(), std::make_shared<nn::ReLU6>(),
                     std::make_shared<nn::LeakyReLU>(), std::make_shared<nn::Flatten>());
  CHECK(net(kInput.view_as({2, 2, 2})).to_vector() == V{0, 0, 0, 1, 3, 6, 0, 0.25});
  CHECK(net(kInput.view_as({2, 2, 2})).shape() == Shape{2, 4});
  nn::Sequential probabilities(std::make_shared<nn::Sigmoid>(), std::make_shared<nn::Softmax>());
  CHECK(sum(probabilities(kInput)).item() == Approx(2));
  CHECK(flatten(Tensor({0, 7, 7, 5})).shape() == Shape{0, 245});
  check_gradients([](const auto& x) { return flatten(x[0]); }, {normal({2, 3, 2, 2}, 4)});
}

TEST_CASE("activations explain what does not fit", "[activation][errors]") {
  CHECK_THROWS_WITH(softmax(Tensor({2, 0})),
                    "softmax: the last axis must not be empty, got shape [2, 0]");
  CHECK_THROWS_WITH(leaky_relu(kInput, -1), "leaky_relu: slope must be >= 0, got -1");
  CHECK_THROWS_WITH(flatten(Tensor({3})), "flatten: x must be [N, ...], got [3]");
}
