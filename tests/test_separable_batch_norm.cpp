#include <vector>

#include "core/autograd.h"
#include "core/memory.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "detection/models/separable_block.h"
#include "layers/conv_norm.h"
#include "layers/count.h"
#include "layers/separable_batch_norm.h"
#include "layers/sequential.h"
#include "tests/check_gradients.h"

using namespace boxgrad;

namespace {

constexpr int kTensors = 7;  // x, then weight, gamma, beta of both

/// Leaves, and the two convolutions made of them.
struct Pair {
  std::vector<Tensor> leaves;
  ConvNormArguments depthwise, pointwise;
};

void connect(Pair& pair, const Conv2dOptions& conv, Activation activation) {
  const std::vector<Tensor>& t = pair.leaves;
  const auto arguments = [&](std::size_t i, const Conv2dOptions& options) {
    const std::int64_t channels = t[i].size(-1);
    return ConvNormArguments{t[i],
                             t[i + 1],
                             t[i + 2],
                             Tensor({channels}),
                             Tensor::ones({channels}),
                             options,
                             {.activation = activation}};
  };
  pair.depthwise = arguments(1, conv);
  pair.pointwise = arguments(4, {});
}

Pair make_pair(const Shape& x, std::int64_t out, std::int64_t kernel, Conv2dOptions conv,
               Activation activation, int wanted = (1 << kTensors) - 1) {
  Random random(5);
  const std::int64_t in = x[3];
  conv.groups = in;
  const auto normal = [&](Shape shape, Scalar scale, Scalar offset) {
    return (Tensor::randn(std::move(shape), random) * scale + offset).detach();
  };
  Pair pair;
  pair.leaves = {normal(x, 1, 2),    normal({kernel, kernel, 1, in}, 0.3, 0), normal({in}, 1, 0),
                 normal({in}, 1, 1), normal({1, 1, in, out}, 0.3, 0),         normal({out}, 1, 0),
                 normal({out}, 1, 1)};
  for (int i = 0; i < kTensors; ++i)
    if (wanted & (1 << i)) pair.leaves[static_cast<std::size_t>(i)].requires_grad_();
  connect(pair, conv, activation);
  return pair;
}

Tensor apart(const Tensor& x, const ConvNormArguments& d, const ConvNormArguments& p) {
  const auto one = [](const Tensor& in, const ConvNormArguments& a) {
    return batch_norm(conv2d(in, a.weight, {}, a.conv), a.gamma, a.beta, a.running_mean,
                      a.running_var, a.norm);
  };
  return one(one(x, d), p);
}

/// y, all gradients, all running statistics.
std::vector<Tensor> run(bool fused, Pair pair) {
  const Tensor y =
      (fused ? separable_batch_norm : apart)(pair.leaves[0], pair.depthwise, pair.pointwise);
  Random random(9);
  y.backward(Tensor::randn(y.shape(), random));
  std::vector<Tensor> results = {y};
  for (const Tensor& leaf : pair.leaves)
    if (leaf.requires_grad()) results.push_back(leaf.grad());
  for (const ConvNormArguments* a : {&pair.depthwise, &pair.pointwise})
    results.insert(results.end(), {a->running_mean, a->running_var});
  return results;
}

}  // namespace

TEST_CASE("separable_batch_norm equals its four ops", "[separable_batch_norm]") {
  const double tolerance = sizeof(Scalar) == 4 ? 5e-5 : 1e-11;
  const auto check_same = [&](const Shape& x, std::int64_t out, std::int64_t kernel,
                              const Conv2dOptions& conv, Activation activation) {
    INFO("x " << x << ", out " << out << ", kernel " << kernel << ", stride " << conv.stride.h
              << ", activation " << static_cast<int>(activation));
    const auto one = run(true, make_pair(x, out, kernel, conv, activation));
    const auto four = run(false, make_pair(x, out, kernel, conv, activation));
    REQUIRE(one.size() == 12);
    for (std::size_t i = 0; i < one.size(); ++i) {
      INFO("result " << i);
      // Without an activation the second batch norm takes away what beta of the first adds: a
      // gradient of 0, of which both have only the rounding.
      if (activation == Activation::none && i == 4) continue;
      CHECK(relative_error(one[i], four[i]) < tolerance);
    }
  };
  for (const Activation activation : {Activation::none, Activation::relu, Activation::relu6})
    for (const std::int64_t out : {1, 5, 40})
      for (const std::int64_t stride : {1, 2}) {
        check_same({2, 5, 4, 7}, out, 3, {.stride = stride, .padding = 1}, activation);  // at once
        check_same({2, 35, 33, 6}, out, 3, {.stride = stride, .padding = 1}, activation);  // parts
      }
  check_same({3, 61, 90, 20}, 24, 3, {.padding = 1}, Activation::relu);  // blocks in each part
  check_same({2, 9, 8, 40}, 16, 5, {.padding = 2}, Activation::relu);
  check_same({1, 12, 11, 3}, 4, 3, {.stride = 2, .same_padding = true}, Activation::relu6);
}

TEST_CASE("separable_batch_norm of a single channel", "[separable_batch_norm]") {
  // Here the 1x1 convolution could be taken for a depthwise one, which reads no pending map.
  const auto pair = [] { return make_pair({2, 9, 8, 1}, 1, 3, {.padding = 1}, Activation::relu); };
  for (const ConvAlgorithm algorithm : {ConvAlgorithm::automatic, ConvAlgorithm::pointwise}) {
    Pair fused = pair();
    fused.pointwise.conv.algorithm = algorithm;
    const auto one = run(true, fused), four = run(false, pair());
    for (std::size_t i = 0; i < one.size(); ++i)
      CHECK(relative_error(one[i], four[i]) < (sizeof(Scalar) == 4 ? 1e-4 : 1e-11));
  }
}

TEST_CASE("separable_batch_norm gradient", "[separable_batch_norm][gradcheck]") {
  for (const Shape& shape : {Shape{2, 3, 2, 2}, Shape{1, 8, 9, 2}}) {  // at once, in parts
    Random random(4);
    // Offsets that keep every value away from the kinks at 0 and 6.
    const Tensor gamma({2}, {Scalar(0.1), Scalar(0.1)}), beta({2}, {Scalar(3), Scalar(-3)});
    const Tensor gamma3({3}, {Scalar(0.1), Scalar(0.1), Scalar(0.1)});
    const Tensor beta3({3}, {Scalar(3), Scalar(-3), Scalar(9)});
    check_gradients(
        [&](const auto& t) {
          Pair pair{{t.begin(), t.end()}, {}, {}};
          connect(pair, {.padding = 1, .groups = 2}, Activation::relu6);
          return separable_batch_norm(t[0], pair.depthwise, pair.pointwise);
        },
        {Tensor::randn(shape, random), Tensor::randn({3, 3, 1, 2}, random), gamma, beta,
         Tensor::randn({1, 1, 2, 3}, random), gamma3, beta3});
  }
}

TEST_CASE("separable_batch_norm: only the gradients that are wanted", "[separable_batch_norm]") {
  for (const Shape& shape : {Shape{2, 5, 4, 7}, Shape{2, 35, 33, 6}}) {
    const auto once = [&](int wanted) {
      Pair pair = make_pair(shape, 5, 3, {.padding = 1}, Activation::relu, wanted);
      run(true, pair);
      return pair.leaves;
    };
    const auto all = once((1 << kTensors) - 1);
    for (std::size_t k = 0; k < kTensors; ++k) {
      INFO("leaf " << k);
      const auto one = once(1 << k);
      // Sums are taken over other blocks where dw is not wanted.
      CHECK(relative_error(one[k].grad(), all[k].grad()) < 1e-5);
      CHECK_FALSE(one[(k + 1) % kTensors].has_grad());
    }
  }
}

TEST_CASE("separable_batch_norm gives the same bits for any number of threads",
          "[separable_batch_norm][threads]") {
  const int before = num_threads();
  for (const Shape& shape : {Shape{3, 61, 40, 20}, Shape{2, 9, 8, 40}}) {
    std::vector<Tensor> first;
    for (const int threads : {1, 2, 3, 4, 8}) {
      set_num_threads(threads);
      const auto got = run(true, make_pair(shape, 40, 3, {.padding = 1}, Activation::relu));
      if (first.empty()) first = got;
      for (std::size_t i = 0; i < got.size(); ++i)
        CHECK(got[i].to_vector() == first[i].to_vector());
    }
  }
  set_num_threads(before);
}

TEST_CASE("separable_batch_norm keeps three maps, not four", "[separable_batch_norm][memory]") {
  const Pair pair = make_pair({1, 10, 10, 16}, 16, 3, {.padding = 1}, Activation::relu);
  const auto kept = [&](const auto& op) {
    op(pair.leaves[0], pair.depthwise, pair.pointwise);  // working memory stays with the thread
    const std::int64_t before = tensor_bytes();
    const Tensor y = op(pair.leaves[0], pair.depthwise, pair.pointwise);
    return (tensor_bytes() - before) / static_cast<std::int64_t>(sizeof(Scalar));
  };
  CHECK(kept(separable_batch_norm) == 3 * 1600);  // both z, and y
  CHECK(kept(apart) >= 4 * 1600);
}

TEST_CASE("separable_batch_norm explains what does not fit", "[separable_batch_norm][errors]") {
  Pair pair = make_pair({2, 4, 4, 3}, 5, 3, {.padding = 1}, Activation::relu);
  CHECK_THROWS_WITH(
      separable_batch_norm(pair.leaves[0], pair.pointwise, pair.pointwise),
      "separable_batch_norm: needs a depthwise and a 1x1 convolution that are not forced to "
      "another "
      "algorithm, got weights of shape [1, 1, 3, 5] and [1, 1, 3, 5] for x of shape [2, 4, 4, 3]");
  const Tensor wide({2, 4, 4, 7});
  CHECK_THROWS_AS(separable_batch_norm(wide, pair.depthwise, pair.pointwise),
                  std::invalid_argument);
  CHECK_THROWS_AS(separable_batch_norm_fuses(wide.shape(), pair.depthwise, pair.pointwise),
                  std::invalid_argument);
  ConvNormArguments wrong = pair.pointwise;
  wrong.gamma = Tensor({4});
  CHECK_THROWS_WITH(separable_batch_norm(pair.leaves[0], pair.depthwise, wrong),
                    "separable_batch_norm: pointwise.gamma must have shape [5], got [4]");
  for (const Scalar mean : pair.depthwise.running_mean.data()) CHECK(mean == 0);  // nothing moved
  wrong = pair.pointwise;
  wrong.conv.algorithm = ConvAlgorithm::direct;
  CHECK_FALSE(separable_batch_norm_fuses({2, 4, 4, 3}, pair.depthwise, wrong));
  CHECK_THROWS_AS(separable_batch_norm(pair.leaves[0], pair.depthwise, wrong),
                  std::invalid_argument);
  wrong.conv.algorithm = ConvAlgorithm::winograd4;
  CHECK_THROWS_WITH(separable_batch_norm_fuses({2, 4, 4, 3}, pair.depthwise, wrong),
                    Catch::StartsWith("conv2d: algorithm winograd4 does not cover input"));
}

TEST_CASE("SeparableBlock is one op in training, unless someone looks between",
          "[separable_batch_norm]") {
  struct Names : OpObserver {
    std::vector<std::string> names;
    void after_forward(const Op& op) override { names.emplace_back(op.name); }
  };
  using Ops = std::vector<std::string>;
  nn::Sequential model(std::make_shared<detection::SeparableBlock>(
      3, 4, detection::SeparableBlockOptions{.stride = 2}));
  const Tensor x = Tensor::randn({2, 6, 6, 3});
  const auto ops = [&] {
    Names seen;
    model(x);
    return seen.names;
  };
  CHECK(ops() == Ops{"separable_batch_norm"});
  for (const char* path : {"0.depthwise", "0.pointwise", "0.depthwise.norm"}) {
    const nn::OutputTap tap({path});
    CHECK(ops().size() == (std::string(path) == "0.depthwise.norm" ? 3 : 2));
    CHECK(tap.output(path).shape()[1] == 3);
  }
  model.eval();
  CHECK(ops().back() == "batch_norm_frozen");
}

TEST_CASE("op_multiply_adds of a separable_batch_norm are those of its convolutions",
          "[separable_batch_norm][count]") {
  struct Sum : OpObserver {
    std::int64_t multiply_adds = 0;
    void after_forward(const Op& op) override { multiply_adds += nn::op_multiply_adds(op); }
  };
  const Pair pair = make_pair({2, 6, 6, 3}, 4, 3, {.stride = 2, .padding = 1}, Activation::relu);
  const auto count = [&](const auto& op) {
    Sum sum;
    op(pair.leaves[0], pair.depthwise, pair.pointwise);
    return sum.multiply_adds;
  };
  CHECK(count(separable_batch_norm) == 18 * (9 * 3 + 3 * 4));
  CHECK(count(apart) == count(separable_batch_norm));
}
