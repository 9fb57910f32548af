#include <vector>

#include "core/autograd.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "layers/conv_batch_norm.h"
#include "layers/conv_norm.h"
#include "layers/sequential.h"
#include "tests/check_gradients.h"

using namespace boxgrad;

namespace {

/// y, dx, dw, dgamma, dbeta and the running statistics of the fused op, or of the two.
std::vector<Tensor> run(bool fused, const Shape& x_shape, std::int64_t out, const PerAxis kernel,
                        const Conv2dOptions& conv, Activation activation) {
  Random random(5);
  Tensor x = Tensor::randn(x_shape, random) + Scalar(2);  // a mean far from 0
  Tensor w =
      Tensor::randn({kernel.h, kernel.w, x_shape[3] / conv.groups, out}, random) * Scalar(0.2);
  Tensor gamma = Tensor::randn({out}, random), beta = Tensor::randn({out}, random) + Scalar(1);
  Tensor mean({out}), var = Tensor::ones({out});
  for (Tensor* t : {&x, &w, &gamma, &beta}) *t = t->detach(), t->requires_grad_();
  const BatchNormOptions norm{.activation = activation};
  const Tensor y = fused ? conv2d_batch_norm(x, {w, gamma, beta, mean, var, conv, norm})
                         : batch_norm(conv2d(x, w, {}, conv), gamma, beta, mean, var, norm);
  y.backward(Tensor::randn(y.shape(), random));
  return {y, x.grad(), w.grad(), gamma.grad(), beta.grad(), mean, var};
}

}  // namespace

TEST_CASE("conv2d_batch_norm equals conv2d and batch_norm", "[conv_batch_norm]") {
  const double tolerance = sizeof(Scalar) == 4 ? 2e-5 : 1e-12;
  const auto check_same = [&](const Shape& x, std::int64_t out, PerAxis kernel,
                              const Conv2dOptions& conv, Activation activation) {
    INFO("x " << x << ", out " << out << ", activation " << static_cast<int>(activation));
    const auto fused = run(true, x, out, kernel, conv, activation);
    const auto apart = run(false, x, out, kernel, conv, activation);
    for (std::size_t i = 0; i < fused.size(); ++i) {
      INFO("result " << i);
      CHECK(relative_error(fused[i], apart[i]) < tolerance);
    }
  };
  for (const Activation activation : {Activation::none, Activation::relu, Activation::relu6})
    for (const std::int64_t out : {1, 5, 16, 40}) {
      check_same({2, 3, 4, 7}, out, 1, {}, activation);     // dz at once
      check_same({2, 19, 23, 7}, out, 1, {}, activation);   // dz by blocks
      check_same({3, 61, 90, 20}, out, 1, {}, activation);  // several blocks in each part
    }
  check_same({2, 9, 8, 3}, 6, 3, {.stride = 2, .padding = 1}, Activation::relu);  // two ops
  CHECK_FALSE(fused_algorithm(conv_shape({2, 9, 8, 3}, {3, 3, 3, 6}, {}), {}));
  const ConvShape one = conv_shape({2, 9, 8, 3}, {1, 1, 3, 6}, {});
  CHECK(fused_algorithm(one, {}));
  CHECK(fused_algorithm(one, {.algorithm = ConvAlgorithm::pointwise}));
  CHECK_FALSE(fused_algorithm(one, {.algorithm = ConvAlgorithm::direct}));
  const ConvShape single = conv_shape({2, 9, 8, 1}, {1, 1, 1, 1}, {});  // both kinds
  CHECK(fused_algorithm(single, {.algorithm = ConvAlgorithm::pointwise}) ==
        ConvAlgorithm::pointwise);
  check_same({2, 9, 8, 1}, 1, 1, {.algorithm = ConvAlgorithm::pointwise}, Activation::relu);
}

TEST_CASE("conv2d_batch_norm equals the two ops where each channel has its own filter",
          "[conv_batch_norm]") {
  const double tolerance = sizeof(Scalar) == 4 ? 2e-5 : 1e-12;
  const auto check_same = [&](const Shape& x, PerAxis kernel, Conv2dOptions conv) {
    INFO("x " << x << ", kernel " << kernel.h << " x " << kernel.w << ", stride " << conv.stride.h
              << " x " << conv.stride.w << ", dilation " << conv.dilation.h);
    conv.groups = x[3];
    REQUIRE(fused_algorithm(conv_shape(x, {kernel.h, kernel.w, 1, x[3]}, conv), conv));
    const auto fused = run(true, x, x[3], kernel, conv, Activation::relu);
    const auto apart = run(false, x, x[3], kernel, conv, Activation::relu);
    for (std::size_t i = 0; i < fused.size(); ++i) {
      INFO("result " << i);
      CHECK(relative_error(fused[i], apart[i]) < tolerance);
    }
  };
  for (const std::int64_t images : {1, 3, 8, 9})  // stretches of an image, whole images
    for (const std::int64_t channels : {1, 6, 40}) {
      check_same({images, 9, 10, channels}, 3, {.padding = 1});
      check_same({images, 9, 10, channels}, 3, {.stride = 2, .padding = 1});
      check_same({images, 3, 40, channels}, 3, {.padding = 1});  // fewer rows than stretches
    }
  check_same({2, 40, 17, 16}, 3, {.padding = 1});
  check_same({2, 40, 17, 16}, 3, {.stride = 2});  // no padding: some inputs are never read
  check_same({2, 12, 9, 8}, {5, 3}, {.stride = {3, 1}, .padding = {1, 2}});
  check_same({2, 14, 11, 8}, 3, {.padding = 2, .dilation = 2});
  check_same({2, 7, 7, 8}, 1, {.stride = 2});  // taps that most rows never meet
  check_same({1, 2, 2, 4}, 3, {.padding = 1});
  const ConvShape s = conv_shape({2, 9, 8, 4}, {3, 3, 1, 4}, {.groups = 4});
  CHECK(fused_algorithm(s, {.algorithm = ConvAlgorithm::depthwise}));
  CHECK_FALSE(fused_algorithm(s, {.algorithm = ConvAlgorithm::direct}));
}

TEST_CASE("conv2d_batch_norm gradient", "[conv_batch_norm][gradcheck]") {
  for (const std::int64_t stride : {1, 2}) {  // depthwise
    Random random(4);
    const Tensor x = Tensor::randn({2, 5, 4, 3}, random), w = Tensor::randn({3, 3, 1, 3}, random);
    const Tensor gamma({3}, {Scalar(0.1), Scalar(0.1), Scalar(0.1)});
    const Tensor beta({3}, {Scalar(3), Scalar(-3), Scalar(9)});
    check_gradients(
        [&](const auto& t) {
          return conv2d_batch_norm(t[0], {t[1],
                                          t[2],
                                          t[3],
                                          Tensor({3}),
                                          Tensor::ones({3}),
                                          {.stride = stride, .padding = 1, .groups = 3},
                                          {.activation = Activation::relu6}});
        },
        {x, w, gamma, beta});
  }

  Random random(3);
  for (const Shape& shape : {Shape{2, 3, 2, 3}, Shape{1, 8, 9, 2}})
    for (const Activation activation : {Activation::none, Activation::relu, Activation::relu6}) {
      const std::int64_t in = shape[3];
      const Tensor x = Tensor::randn(shape, random), w = Tensor::randn({1, 1, in, 3}, random);
      // Offsets that keep every value away from the kinks at 0 and 6.
      const Tensor gamma({3}, {Scalar(0.1), Scalar(0.1), Scalar(0.1)});
      const Tensor beta({3}, {Scalar(3), Scalar(-3), Scalar(9)});
      check_gradients(
          [&](const auto& t) {
            return conv2d_batch_norm(
                t[0],
                {t[1], t[2], t[3], Tensor({3}), Tensor::ones({3}), {}, {.activation = activation}});
          },
          {x, w, gamma, beta});
    }
}

TEST_CASE("conv2d_batch_norm: only the gradients that are wanted", "[conv_batch_norm]") {
  const auto once = [](int wanted, bool depthwise) {
    Random random(7);
    const std::int64_t in = depthwise ? 5 : 4;
    std::vector<Tensor> t = {
        Tensor::randn({2, 9, 8, in}, random),
        Tensor::randn(depthwise ? Shape{3, 3, 1, 5} : Shape{1, 1, 4, 5}, random),
        Tensor::randn({5}, random), Tensor::randn({5}, random)};
    for (int i = 0; i < 4; ++i)
      if (wanted & (1 << i)) t[static_cast<std::size_t>(i)].requires_grad_();
    const Tensor y = conv2d_batch_norm(
        t[0],
        {t[1], t[2], t[3], Tensor({5}), Tensor::ones({5}), {.groups = depthwise ? 5 : 1}, {}});
    y.backward(Tensor::randn(y.shape(), random));
    return t;
  };
  for (const bool depthwise : {false, true}) {
    const auto all = once(15, depthwise);
    for (int i = 0; i < 4; ++i) {
      const auto k = static_cast<std::size_t>(i);
      const auto one = once(1 << i, depthwise);
      CHECK(relative_error(one[k].grad(), all[k].grad()) == 0);
      CHECK_FALSE(one[(k + 1) % 4].has_grad());
    }
  }
}

TEST_CASE("conv2d_batch_norm gives the same bits for any number of threads",
          "[conv_batch_norm][threads]") {
  const int before = num_threads();
  for (const bool depthwise : {false, true}) {
    std::vector<Tensor> first;
    for (const int threads : {1, 2, 3, 4, 8}) {
      set_num_threads(threads);
      const auto got = depthwise
                           ? run(true, {3, 61, 40, 20}, 20, 3, {.padding = 1, .groups = 20}, {})
                           : run(true, {3, 61, 90, 20}, 40, 1, {}, Activation::relu);
      if (first.empty()) first = got;
      for (std::size_t i = 0; i < got.size(); ++i)
        CHECK(got[i].to_vector() == first[i].to_vector());
    }
  }
  set_num_threads(before);
}

TEST_CASE("conv2d_batch_norm explains what does not fit", "[conv_batch_norm][errors]") {
  const Tensor x({2, 3, 3, 4}), w({1, 1, 4, 5}), five({5});
  CHECK_THROWS_WITH(conv2d_batch_norm(x, {w, Tensor({4}), five, five, five, {}, {}}),
                    "conv2d_batch_norm: gamma must have shape [5], got [4]");
  CHECK_THROWS_WITH(conv2d_batch_norm(Tensor({1, 1, 1, 4}), {w, five, five, five, five, {}, {}}),
                    "conv2d_batch_norm: needs at least 2 positions to have a variance, got x of "
                    "shape [1, 1, 1, 4]");
  CHECK_THROWS_AS(conv2d_batch_norm(x, {Tensor({1, 1, 3, 5}), five, five, five, five, {}, {}}),
                  std::invalid_argument);
}

TEST_CASE("ConvNorm is one op in training, unless someone looks between", "[conv_batch_norm]") {
  struct Names : OpObserver {
    std::vector<std::string> names;
    void after_forward(const Op& op) override { names.emplace_back(op.name); }
  };
  const auto norm = std::make_shared<nn::ConvNorm>(3, 4, 1, Conv2dOptions{}, BatchNormOptions{});
  nn::Sequential model(norm);
  const Tensor x = Tensor::randn({2, 3, 3, 3});
  const auto ops = [&] {
    Names seen;
    model(x);
    return seen.names;
  };
  CHECK(ops() == std::vector<std::string>{"conv2d_batch_norm"});
  model.eval();
  CHECK(ops() == std::vector<std::string>{"conv2d", "batch_norm_frozen"});
  model.train();
  const nn::OutputTap tap({"0.conv"});
  CHECK(ops() == std::vector<std::string>{"conv2d", "batch_norm"});
  CHECK(tap.output("0.conv").shape() == Shape{2, 3, 3, 4});
}

TEST_CASE("ConvNorm calls its children when one of them was replaced", "[conv_batch_norm]") {
  // The one op would leave out this convolution's own activation.
  Random random(3);
  const auto norm = std::make_shared<nn::ConvNorm>(3, 4, 1, Conv2dOptions{}, BatchNormOptions{});
  nn::Sequential model(norm);
  const auto conv = std::make_shared<nn::Conv2d>(
      3, 4, 1, Conv2dOptions{.activation = Activation::relu, .bias = false});
  for (Scalar& w : conv->weight.data()) w = random.normal();
  model.replace_each([&](nn::Module& module) -> std::shared_ptr<nn::Module> {
    return dynamic_cast<nn::Conv2d*>(&module) ? conv : nullptr;
  });
  const Tensor x = Tensor::randn({2, 3, 3, 3}, random), one = Tensor::ones({4});
  Tensor mean({4}), var = Tensor::ones({4});
  const Tensor expected = batch_norm((*conv)(x), one, Tensor({4}), mean, var, {});
  CHECK(model(x).to_vector() == expected.to_vector());
  CHECK_FALSE(norm->in_training());
}
