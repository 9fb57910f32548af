#include <memory>
#include <string>
#include <vector>

#include "core/ops.h"
#include "layers/batch_norm.h"
#include "layers/conv.h"
#include "layers/count.h"
#include "layers/pool.h"
#include "layers/sequential.h"
#include "tests/catch.h"

using namespace boxgrad;

namespace {

/// MobileNet v1 without its classifier: 3x3 and 13 depthwise-separable blocks.
nn::Sequential& add_mobilenet(nn::Sequential& net) {
  const auto conv = [&](std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
                        std::int64_t groups) {
    net.append(std::make_shared<nn::Conv2d>(
        in, out, kernel,
        Conv2dOptions{.stride = stride, .padding = kernel / 2, .groups = groups, .bias = false}));
    net.append(std::make_shared<nn::BatchNorm2d>(out));
  };
  conv(3, 32, 3, 2, 1);
  std::int64_t in = 32;
  for (const auto& [out, stride] : std::vector<std::pair<int, int>>{{64, 1},
                                                                    {128, 2},
                                                                    {128, 1},
                                                                    {256, 2},
                                                                    {256, 1},
                                                                    {512, 2},
                                                                    {512, 1},
                                                                    {512, 1},
                                                                    {512, 1},
                                                                    {512, 1},
                                                                    {512, 1},
                                                                    {1024, 2},
                                                                    {1024, 1}}) {
    conv(in, in, 3, stride, in);
    conv(in, out, 1, 1, 1);
    in = out;
  }
  return net;
}

}  // namespace

TEST_CASE("count_layers: one convolution by hand", "[count]") {
  nn::Sequential net(
      std::make_shared<nn::Conv2d>(4, 6, 3, Conv2dOptions{.padding = 1, .groups = 2}),
      std::make_shared<nn::MaxPool2d>(2));
  const nn::ModelCount count = nn::count_layers(net, Shape{2, 4, 6, 4});
  REQUIRE(count.layers.size() == 2);
  CHECK(count.layers[0].path == "0");
  CHECK(count.layers[0].ops == "conv2d");
  CHECK(count.layers[0].output == Shape{2, 4, 6, 6});
  CHECK(count.layers[0].parameters == 3 * 3 * 2 * 6 + 6);
  CHECK(count.layers[0].multiply_adds == 2 * 4 * 6 * 6 * (3 * 3 * 2));
  CHECK(count.layers[1].multiply_adds == 0);
  CHECK(count.parameters == net.parameter_count());
  CHECK(count.table() ==
        "layer  ops         output        parameters  multiply-adds\n"
        "0      conv2d      [2, 4, 6, 6]         114          5,184\n"
        "1      max_pool2d  [2, 2, 3, 6]           0              0\n"
        "total                                   114          5,184\n");
}

TEST_CASE("count_layers agrees with MobileNet's paper", "[count]") {
  // Howard et al. 2017, table 8: 569 M multiply-adds and 4.2 M parameters on 224 x 224, of which
  // the classifier has 1024 * 1000 and 1,025,000. On 32 x 32 every map has 1/49 of the cells.
  nn::Sequential net;
  const nn::ModelCount count = nn::count_layers(add_mobilenet(net), Shape{1, 32, 32, 3});
  CHECK(count.parameters == 4231976 - 1025000);
  CHECK(count.multiply_adds * 49 == 568740352 - 1024000);
}

TEST_CASE("count_layers leaves modes and statistics as they were", "[count]") {
  auto frozen = std::make_shared<nn::BatchNorm2d>(3);
  nn::Sequential net(frozen, std::make_shared<nn::BatchNorm2d>(3));
  frozen->eval();
  nn::count_layers(net, Shape{1, 2, 2, 3});
  CHECK(net.is_training());
  CHECK_FALSE(frozen->is_training());
  CHECK(net[1].is_training());
  for (const auto& [name, tensor] : net.state_dict())
    if (name.ends_with("running_var")) CHECK(tensor.to_vector() == std::vector<Scalar>{1, 1, 1});
  CHECK_THROWS(nn::count_layers(net, Shape{1, 2, 2, 5}));
  CHECK(net.is_training());
  CHECK_FALSE(frozen->is_training());
}

TEST_CASE("count_layers: shared layers hold once and work twice", "[count]") {
  const auto tower = std::make_shared<nn::Conv2d>(2, 2, 1, Conv2dOptions{.bias = false});
  struct Heads : nn::Module {
    explicit Heads(const std::shared_ptr<nn::Module>& shared)
        : a(add_module("a", shared)), b(add_module("b", shared)) {}
    nn::Child a, b;
    void run(const Tensor& x) { matmul(a(b(x)).view_as({4, 2}), Tensor({2, 3})); }
  } heads(tower);
  const nn::ModelCount count = nn::count_layers(heads, [&] { heads.run(Tensor({1, 2, 2, 2})); });
  REQUIRE(count.layers.size() == 3);
  CHECK(count.layers[0].path == "b");
  CHECK(count.layers[0].parameters == 0);
  CHECK(count.layers[1].path == "a");
  CHECK(count.layers[1].parameters == 4);
  CHECK(count.layers[2].path == "");
  CHECK(count.multiply_adds == 16 + 16 + 4 * 2 * 3);
}
