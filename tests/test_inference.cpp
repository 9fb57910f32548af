// layers/inference.h: networks that only answer.
#include "core/autograd.h"
#include "core/gradcheck.h"
#include "detection/models/mobilenet_v1.h"
#include "detection/models/vgg16.h"
#include "layers/inference.h"
#include "layers/sequential.h"
#include "tests/catch.h"

using namespace boxgrad;

TEST_CASE("FrozenConv2d answers as its Conv2d does", "[inference]") {
  manual_seed(1);
  for (const ConvAlgorithm algorithm : {ConvAlgorithm::automatic, ConvAlgorithm::winograd2,
                                        ConvAlgorithm::winograd4, ConvAlgorithm::im2col})
    for (const bool bias : {true, false}) {
      const nn::Conv2d conv(
          17, 35, 3,
          {.padding = 1, .activation = Activation::relu, .bias = bias, .algorithm = algorithm});
      nn::FrozenConv2d frozen(conv);
      // Small and large maps, which take tiles of different sizes, in turn.
      for (const std::int64_t side : {5, 31, 5, 31}) {
        const Tensor x = Tensor::randn({2, side, side + 2, 17});
        CHECK(relative_error(frozen.forward(x), conv2d(x, conv.weight, conv.bias, conv.options)) <
              1e-4);
      }
    }
}

TEST_CASE("FrozenConv2d uses the very filters that conv2d would transform", "[inference]") {
  manual_seed(1);
  for (const ConvAlgorithm algorithm : {ConvAlgorithm::winograd2, ConvAlgorithm::winograd4}) {
    const nn::Conv2d conv(16, 40, 3, {.padding = 1, .algorithm = algorithm});
    nn::FrozenConv2d frozen(conv);
    const Tensor x = Tensor::randn({1, 12, 12, 16});
    for (int run = 0; run < 2; ++run) {
      const Tensor a = frozen.forward(x), b = conv2d(x, conv.weight, conv.bias, conv.options);
      CHECK(std::ranges::equal(a.data(), b.data()));
    }
  }
}

TEST_CASE("FrozenConv2d keeps its numbers to itself and lets gradients through", "[inference]") {
  manual_seed(1);
  nn::Conv2d conv(16, 16, 3, {.padding = 1});
  nn::FrozenConv2d frozen(conv);
  const Tensor x = Tensor::randn({1, 8, 8, 16}).requires_grad_();
  const Tensor before = frozen.forward(x).detach();
  frozen.forward(x).backward(before);
  CHECK(x.has_grad());
  for (Scalar& value : conv.weight.data()) value = 0;
  CHECK(relative_error(frozen.forward(x), before) == 0);
  CHECK(frozen.parameters().empty());
  CHECK_FALSE(conv.weight.has_grad());
}

TEST_CASE("FrozenConv2d refuses an algorithm that does not cover the shape",
          "[inference][errors]") {
  const Tensor x({1, 8, 8, 16});
  for (const ConvAlgorithm algorithm : {ConvAlgorithm::winograd2, ConvAlgorithm::winograd4}) {
    const auto refused = Catch::StartsWith(
        concat("conv2d: algorithm ", to_string(algorithm), " does not cover input [1, 8, 8, 16]"));
    for (const nn::Conv2d& conv : {nn::Conv2d(16, 16, 3, {.stride = 2, .algorithm = algorithm}),
                                   nn::Conv2d(16, 16, 1, {.algorithm = algorithm}),
                                   nn::Conv2d(16, 16, 3, {.groups = 4, .algorithm = algorithm})})
      CHECK_THROWS_WITH(nn::FrozenConv2d(conv).forward(x), refused);
  }
}

TEST_CASE("prepare_for_inference keeps a network's answers", "[inference]") {
  manual_seed(2);
  const NoGradGuard guard;
  detection::MobileNetV1 mobilenet({.width = 0.25, .separable = false});
  detection::Vgg16 vgg({.width = 0.25});
  for (nn::Module* net : std::initializer_list<nn::Module*>{&mobilenet, &vgg}) {
    const Tensor images = Tensor::randn({1, 64, 64, 3});
    net->train();
    (*net)(images);  // statistics that are not those of a new layer
    net->eval();
    const Tensor expected = (*net)(images);
    nn::prepare_for_inference(*net);
    CHECK_FALSE(net->is_training());
    CHECK(relative_error((*net)(images), expected) < 1e-4);
    int frozen = 0;
    net->visit([&](const std::string&, nn::Module& module) {
      frozen += dynamic_cast<nn::FrozenConv2d*>(&module) != nullptr;
    });
    CHECK(frozen >= 8);
  }
}

TEST_CASE("prepare_for_inference keeps a shared layer shared, and says what it cannot replace",
          "[inference][errors]") {
  const auto conv = std::make_shared<nn::Conv2d>(16, 16, 3, Conv2dOptions{.padding = 1});
  nn::Sequential net;
  net.append(conv);
  net.append(conv);
  nn::prepare_for_inference(net);
  CHECK(&net[0] == &net[1]);
  CHECK(dynamic_cast<nn::FrozenConv2d*>(&net[1]) != nullptr);
  CHECK_THROWS_WITH(nn::prepare_for_inference(*conv),
                    "prepare_for_inference: the model is itself a Conv2d; use FrozenConv2d");
}
