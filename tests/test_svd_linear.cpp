// layers/svd_linear.h: Fast R-CNN's truncated SVD.
#include <cmath>
#include <memory>

#include "core/autograd.h"
#include "core/gradcheck.h"
#include "core/ops.h"
#include "layers/sequential.h"
#include "layers/svd_linear.h"
#include "tests/catch.h"

using namespace boxgrad;

TEST_CASE("SVDLinear of full rank answers as its Linear", "[svd_linear]") {
  manual_seed(1);
  for (const auto& [in, out] : {std::pair{5, 9}, {9, 5}, {6, 6}})
    for (const Activation activation : {Activation::none, Activation::relu}) {
      const nn::Linear layer(in, out, {.activation = activation});
      nn::SVDLinear thin(layer, svd(layer.weight), std::min(in, out));
      const Tensor x = Tensor::randn({4, in});
      CHECK(relative_error(thin.forward(x), linear(x, layer.weight, layer.bias, activation)) <
            1e-4);
    }
}

TEST_CASE("SVDLinear's error is the discarded singular values", "[svd_linear]") {
  // W = diag(3, 2, 1) in [3, 4].
  nn::Linear layer(3, 4, {.bias = false});
  for (Scalar& value : layer.weight.data()) value = 0;
  layer.weight.set({0, 0}, 3);
  layer.weight.set({1, 1}, 2);
  layer.weight.set({2, 2}, 1);
  const Svd decomposition = svd(layer.weight);
  for (const auto& [t, frobenius] : {std::pair{1, 2.236068}, {2, 1.}, {3, 0.}}) {
    nn::SVDLinear thin(layer, decomposition, t);
    CHECK(thin.v.shape() == Shape{3, t});
    CHECK(thin.u.shape() == Shape{t, 4});
    CHECK_FALSE(thin.bias.defined());
    const Tensor identity({3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1}), w = thin.forward(identity);
    double squares = 0;
    for (std::size_t i = 0; i < 12; ++i)
      squares += std::pow(static_cast<double>(w.data()[i] - layer.weight.data()[i]), 2);
    CHECK(std::sqrt(squares) == Approx(frobenius).margin(1e-5));
  }
  CHECK_THROWS_WITH(nn::SVDLinear(layer, decomposition, 4),
                    "SVDLinear: t must be from 1 to 3, got 4");
  CHECK_THROWS_WITH(
      nn::SVDLinear(nn::Linear(4, 3), decomposition, 1),
      "SVDLinear: the decomposition must be of a weight [4, 3], got u [3, 3] and vt [3, 4]");
}

TEST_CASE("ranks: energy and break-even", "[svd_linear]") {
  CHECK(nn::rank_for_energy({3, 2, 1}, 9. / 14) == 1);
  CHECK(nn::rank_for_energy({3, 2, 1}, 0.9) == 2);
  CHECK(nn::rank_for_energy({3, 2, 1}, 1) == 3);
  CHECK(nn::rank_for_energy({0, 0}, 0.5) == 1);
  CHECK_THROWS_WITH(nn::rank_for_energy({1}, 0),
                    "rank_for_energy: energy must be in (0, 1], got 0");
  // VGG16's: t (u + v) < u v.
  CHECK(nn::largest_saving_rank(25088, 4096) == 3521);
  CHECK(nn::largest_saving_rank(4096, 4096) == 2047);  // 2048 saves nothing
  CHECK(nn::largest_saving_rank(1, 1) == 0);
}

TEST_CASE("compress replaces Linears and says what that changed", "[svd_linear]") {
  manual_seed(2);
  const auto shared = std::make_shared<nn::Linear>(20, 20);
  nn::Sequential net(std::make_shared<nn::Linear>(30, 20), shared, shared,
                     std::make_shared<nn::Linear>(20, 2));
  const NoGradGuard guard;
  const Tensor x = Tensor::randn({5, 30});
  const Tensor before = net(x);

  SECTION("by energy, leaving what would not become smaller") {
    const auto report = nn::compress(net, {.energy = 0.8});
    REQUIRE(report.size() == 2);
    CHECK(report[0].path == "0");
    CHECK(report[0].energy >= 0.8);
    CHECK(report[0].t <= nn::largest_saving_rank(30, 20));
    CHECK(report[0].parameters_before == 30 * 20 + 20);
    CHECK(report[0].parameters_after == report[0].t * 50 + 20);
    CHECK(report[0].error() == Approx(std::sqrt(1 - report[0].energy)));
    CHECK(&net[1] == &net[2]);
    CHECK(dynamic_cast<nn::SVDLinear*>(&net[1]) != nullptr);
    CHECK(dynamic_cast<nn::Linear*>(&net[3]) != nullptr);  // 20 x 2: rank 1 does not keep .8
    const double change = relative_error(net(x), before);
    CHECK(change > 0);
    CHECK(change < 1);
    CHECK(nn::to_table(report).find("\n0 ") != std::string::npos);
    for (const nn::CompressedLayer& row : report) {
      CHECK(row.ms_before > 0);
      CHECK(row.ms_after > 0);
      // 128 inputs: their mean is within a fifth of the expected change.
      CHECK(row.output_change == Approx(row.error()).epsilon(0.2));
    }
  }
  SECTION("frozen parameters stay frozen") {
    net[0].set_requires_grad(false);
    dynamic_cast<nn::Linear&>(net[0]).bias.requires_grad_(true);
    shared->set_requires_grad(false);
    shared->weight.requires_grad_(true);
    nn::compress(net, {.layers = "[01]", .t = 4});
    const auto learns = [&](const char* path) {
      for (const auto& [name, parameter] : net.parameters())
        if (name == path) return parameter.requires_grad();
      throw std::logic_error(path);
    };
    CHECK_FALSE(learns("0.v"));
    CHECK_FALSE(learns("0.u"));
    CHECK(learns("0.bias"));
    CHECK(learns("1.v"));
    CHECK(learns("1.u"));
    CHECK_FALSE(learns("1.bias"));
    CHECK(learns("3.weight"));
  }
  SECTION("by rank, one layer") {
    const auto report = nn::compress(net, {.layers = "0", .t = 4});
    REQUIRE(report.size() == 1);
    CHECK(report[0].t == 4);
    CHECK(report[0].output_change > 0);
    CHECK(dynamic_cast<nn::Linear*>(&net[1]) != nullptr);
  }
  SECTION("measuring is optional, and changes no random number") {
    const Random random = default_random();
    nn::compress(net, {.layers = "0", .t = 4});
    CHECK(default_random() == random);
    const auto report = nn::compress(net, {.layers = "1", .t = 4, .rows = 0});
    CHECK(report[0].ms_before == 0);
    CHECK(report[0].output_change == 0);
  }
  SECTION("errors leave the model as it was") {
    CHECK_THROWS_WITH(nn::compress(net, {.t = 12}),
                      "compress: \"0\" of shape [30, 20] becomes smaller for t up to 11, got 12");
    CHECK_THROWS_WITH(nn::compress(net, {.layers = "fc6", .t = 2}),
                      "compress: no Linear's path matches \"fc6\"; the model has 3 of them, the "
                      "first is \"0\"");
    CHECK_THROWS_WITH(nn::compress(net, {.t = 2, .energy = 0.5}),
                      "compress: needs either t >= 1 or energy in (0, 1], got t 2 and energy 0.5");
    CHECK(relative_error(net(x), before) == 0);
  }
}

TEST_CASE("SVDLinear learns", "[svd_linear][gradcheck]") {
  manual_seed(3);
  const nn::Linear layer(5, 4);
  const auto thin = std::make_shared<nn::SVDLinear>(layer, svd(layer.weight), 2);
  const Tensor x = Tensor::randn({3, 5}).requires_grad_();
  thin->forward(x).backward(Tensor::randn({3, 4}));
  for (const auto& [name, parameter] : thin->parameters()) CHECK(parameter.has_grad());
  CHECK(x.has_grad());
}

TEST_CASE("compress decomposes large layers by their first singular values", "[svd_linear]") {
  manual_seed(4);
  nn::Sequential net(std::make_shared<nn::Linear>(2048, 2048));
  Tensor before = dynamic_cast<nn::Linear&>(net[0]).weight;
  // A weight of rank 12 and a little noise, so that the first values stand out.
  const NoGradGuard guard;
  const Tensor a = Tensor::randn({2048, 12}), b = Tensor::randn({12, 2048}), ab = matmul(a, b);
  for (std::size_t i = 0; i < before.data().size(); ++i) before.data()[i] += ab.data()[i];
  const auto report = nn::compress(net, {.t = 12});
  REQUIRE(report.size() == 1);
  CHECK(report[0].energy > 0.99);
  CHECK(report[0].energy < 1);
  const auto& thin = dynamic_cast<nn::SVDLinear&>(net[0]);
  CHECK(thin.v.shape() == Shape{2048, 12});
  CHECK(thin.u.shape() == Shape{12, 2048});
  const Tensor w = matmul(thin.v, thin.u);
  double error = 0, all = 0;
  for (std::size_t i = 0; i < before.data().size(); ++i) {
    const double value = static_cast<double>(before.data()[i]);
    error += std::pow(value - static_cast<double>(w.data()[i]), 2);
    all += value * value;
  }
  // 1 - energy is about 1e-5 and the difference of two floats' worth of digits.
  CHECK(std::abs(error / all - std::pow(report[0].error(), 2)) < 1e-6);
  CHECK(report[0].error() == Approx(std::sqrt(error / all)).epsilon(0.05));
}
