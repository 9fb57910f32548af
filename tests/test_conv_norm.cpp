#include <memory>

#include "layers/conv_norm.h"
#include "layers/sequential.h"
#include "tests/check_gradients.h"

using namespace boxgrad;
using nn::ConvTail;

namespace {

/// Something else than the 0, 1, 0, 1 that batch norm starts with.
void shake(nn::Module& model) {
  Random random(3);
  for (const auto& [name, tensor] : model.state_dict())
    for (Scalar& v : Tensor(tensor).data()) v += Scalar(0.3) * Scalar(random.uniform());
}

}  // namespace

TEST_CASE("ConvNorm is convolution, batch norm, activation", "[conv_norm]") {
  const BatchNormOptions norm{.eps = Scalar(1e-3), .activation = Activation::relu6};
  nn::ConvNorm both(3, 4, 3, {.stride = 2, .padding = 1}, norm);
  shake(both);
  const auto state = both.state_dict();
  REQUIRE(state.size() == 5);
  CHECK(state[0].first == "conv.weight");
  CHECK(state[1].first == "norm.weight");
  const Tensor x = Tensor::randn({2, 6, 5, 3});
  const Tensor mean = state[3].second.clone(), var = state[4].second.clone();
  const Tensor z = conv2d(x, state[0].second, {}, {.stride = 2, .padding = 1});
  both.eval();
  CHECK(relative_error(both(x), batch_norm_frozen(z, state[1].second, state[2].second, mean, var,
                                                  norm)) < 1e-5);
  both.train();
  CHECK(relative_error(both(x), batch_norm(z, state[1].second, state[2].second, mean, var, norm)) ==
        0);
}

TEST_CASE("ConvNorm with frozen statistics is one convolution", "[conv_norm]") {
  struct Case {
    std::int64_t in, out, kernel;
    Conv2dOptions conv;
  };
  for (const Case& c : {Case{4, 4, 3, {.padding = 1, .groups = 4}}, Case{3, 5, 1, {}},
                        Case{3, 4, 3, {.stride = 2, .padding = 1}}}) {
    nn::ConvNorm both(c.in, c.out, c.kernel, c.conv, {.activation = Activation::relu6});
    shake(both);
    dynamic_cast<nn::BatchNorm2d*>(both.find("norm"))->frozen = true;
    const auto state = both.state_dict();
    Tensor x = Tensor::randn({2, 6, 5, c.in});
    x.requires_grad_();
    Tensor w = state[0].second, gamma = state[1].second, beta = state[2].second;
    const Tensor dy = Tensor::randn(both(x).shape());
    const auto gradients = [&](const Tensor& y) {
      for (Tensor* t : {&x, &w, &gamma, &beta}) t->zero_grad();
      y.backward(dy);
      return std::vector<Tensor>{x.grad().clone(), w.grad().clone(), gamma.grad().clone(),
                                 beta.grad().clone()};
    };
    Conv2dOptions conv = c.conv;
    conv.bias = false;
    const Tensor expected = batch_norm_frozen(conv2d(x, w, {}, conv), gamma, beta, state[3].second,
                                              state[4].second, {.activation = Activation::relu6});
    for (const bool training : {true, false}) {
      both.train(training);
      CHECK(relative_error(both(x), expected) < 1e-5);
    }
    both.train();
    const Tensor y = both(x);
    const std::vector<Tensor> got = gradients(y), wanted = gradients(expected);
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(relative_error(got[i], wanted[i]) < 1e-5);
  }
}

TEST_CASE("make_conv: norm, bias or nothing", "[conv_norm]") {
  const BatchNormOptions norm{.activation = Activation::relu};
  // The options that belong to the tail are the tail's, whatever the convolution's say.
  const Conv2dOptions conv{.activation = Activation::relu6, .bias = true};
  CHECK(nn::make_conv(3, 4, 1, conv, ConvTail::norm, norm)->parameter_count() == 12 + 8);
  const auto with_bias = nn::make_conv(3, 4, 1, conv, ConvTail::bias, norm);
  CHECK(with_bias->parameter_count() == 12 + 4);
  CHECK(dynamic_cast<nn::Conv2d&>(*with_bias).options.activation == Activation::relu);
  const auto plain = nn::make_conv(3, 4, 1, conv, ConvTail::none, norm);
  CHECK(plain->parameter_count() == 12);
  CHECK(dynamic_cast<nn::Conv2d&>(*plain).options.activation == Activation::none);
}

TEST_CASE("fold_batch_norms changes the layers and not the answers", "[conv_norm]") {
  const BatchNormOptions norm{.activation = Activation::relu};
  const auto shared = std::make_shared<nn::ConvNorm>(4, 4, 1, Conv2dOptions{}, norm);
  nn::Sequential net(
      std::make_shared<nn::ConvNorm>(3, 4, 3, Conv2dOptions{.same_padding = true}, norm),
      std::make_shared<nn::Sequential>(
          std::make_shared<nn::ConvNorm>(4, 4, 3, Conv2dOptions{.padding = 1, .groups = 4}, norm)),
      shared, shared);
  shake(net);
  net.eval();
  const Tensor x = Tensor::randn({2, 5, 6, 3}), before = net(x);
  CHECK(nn::fold_batch_norms(net) == 3);
  CHECK(net.find("0.norm") == nullptr);
  CHECK(net.find("1.0.bias") == nullptr);  // a parameter, not a module
  CHECK(&net[2] == &net[3]);
  CHECK(net.parameter_count() == (108 + 4) + (36 + 4) + (16 + 4));
  CHECK(relative_error(net(x), before) < 1e-5);
  CHECK(nn::fold_batch_norms(net) == 0);
  CHECK_THROWS_WITH(nn::fold_batch_norms(*shared),
                    "fold_batch_norms: the model is itself a ConvNorm; use its folded()");
}

TEST_CASE("conv2d with same_padding", "[conv]") {
  // TensorFlow's rule by hand: (size, kernel, stride) -> zeros before and behind.
  struct Case {
    std::int64_t size, kernel, stride, before, after;
  };
  for (const Case& c :
       {Case{6, 3, 1, 1, 1}, Case{6, 3, 2, 0, 1}, Case{7, 3, 2, 1, 1}, Case{6, 2, 1, 0, 1},
        Case{6, 5, 2, 1, 2}, Case{5, 1, 2, 0, 0}, Case{7, 1, 3, 0, 0}}) {
    INFO(c.size << " wide, filter " << c.kernel << ", stride " << c.stride);
    const Tensor x = Tensor::randn({1, c.size, 9, 2}), w = Tensor::randn({c.kernel, 1, 2, 3});
    const Tensor y = conv2d(x, w, {}, {.stride = {c.stride, 1}, .same_padding = true});
    CHECK(y.size(1) == (c.size + c.stride - 1) / c.stride);
    CHECK(relative_error(
              y, conv2d(x, w, {},
                        {.stride = {c.stride, 1}, .padding = {c.before, c.after, 0, 0}})) == 0);
  }
  CHECK_THROWS_WITH(
      conv2d(Tensor({1, 4, 4, 1}), Tensor({3, 3, 1, 1}), {}, {.padding = 1, .same_padding = true}),
      "conv2d: same_padding chooses the padding itself; leave padding at 0");
}

TEST_CASE("Conv2d from given numbers", "[conv]") {
  const Tensor w = Tensor::randn({3, 3, 2, 4}), b = Tensor::randn({4});
  nn::Conv2d conv(w, b, {.padding = 1, .bias = false});
  CHECK(conv.state_dict()[1].first == "bias");
  const Tensor x = Tensor::randn({1, 4, 4, 2});
  CHECK(relative_error(conv(x), conv2d(x, w, b, {.padding = 1})) == 0);
  CHECK(nn::Conv2d(w, {}).parameter_count() == 72);
  CHECK_THROWS_WITH(nn::Conv2d(Tensor({3, 3}), {}),
                    "Conv2d: weight must have shape [KH, KW, C_in/groups, C_out], got [3, 3]");
  CHECK_THROWS_WITH(nn::Conv2d(w, Tensor({3})), "Conv2d: bias must have shape [4], got [3]");
}
