// detection/models/mobilenet_small.cpp and detection/training/fashion_training.cpp.
#include <numeric>

#include "core/autograd.h"
#include "core/gradcheck.h"
#include "core/random.h"
#include "detection/models/mobilenet_small.h"
#include "detection/training/fashion_training.h"
#include "layers/batch_norm.h"
#include "layers/conv_norm.h"
#include "layers/count.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/sequential.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// By hand: depthwise 9 M D^2, pointwise M N D^2; or 9 M N D^2.
std::int64_t block(std::int64_t in, std::int64_t out, std::int64_t side, bool separable) {
  return separable ? (9 * in + in * out) * side * side : 9 * in * out * side * side;
}

}  // namespace

TEST_CASE("make_mobilenet_small: counts by hand", "[mobilenet_small][count]") {
  for (const bool separable : {true, false})
    for (const std::int64_t quarters : {4, 3, 2, 1}) {
      const auto c = [&](std::int64_t full) { return full * quarters / 4; };
      const auto net = make_mobilenet_small(
          {.width = 0.25 * static_cast<double>(quarters), .separable = separable});
      const nn::ModelCount count = nn::count_layers(*net, Shape{1, 28, 28, 1});
      INFO(separable << ", " << quarters);
      CHECK(count.multiply_adds == 9 * c(32) * 28 * 28 + block(c(32), c(64), 14, separable) +
                                       block(c(64), c(64), 14, separable) +
                                       block(c(64), c(128), 7, separable) +
                                       2 * block(c(128), c(128), 7, separable) + c(128) * 10);
      // Half a resolution's worth: stride 2 rounds up, so 16 px end as 4 x 4.
      CHECK((*net)(Tensor({2, 16, 16, 1})).shape() == Shape{2, 10});
    }
}

TEST_CASE("make_mobilenet_small folds", "[mobilenet_small]") {
  for (const bool separable : {true, false}) {
    const auto net = make_mobilenet_small({.width = 0.25, .separable = separable});
    net->eval();
    const NoGradGuard guard;
    const Tensor x = Tensor::rand({2, 20, 20, 1}), before = (*net)(x);
    CHECK(nn::fold_batch_norms(*net) == (separable ? 11 : 6));
    CHECK(relative_error((*net)(x), before) < 1e-4);
  }
}

TEST_CASE("fashion_images shrinks each image by its own", "[fashion_training]") {
  const FashionMnist data(FashionMnist::Split::test);
  const std::vector<std::int64_t> two{3, 5};
  const Tensor whole = data.images(two), half = fashion_images(data, two, 14);
  CHECK(relative_error(fashion_images(data, two, 28), whole) == 0);
  REQUIRE(half.shape() == Shape{2, 14, 14, 1});
  for (std::int64_t n = 0; n < 2; ++n) {
    const Scalar mean = (whole.at({n, 8, 10, 0}) + whole.at({n, 8, 11, 0}) +
                         whole.at({n, 9, 10, 0}) + whole.at({n, 9, 11, 0})) /
                        4;
    CHECK(half.at({n, 4, 5, 0}) == Approx(mean).margin(1e-5));
  }
  CHECK_THROWS_WITH(fashion_images(data, two, 29), "fashion_images: side must be 1 to 28, got 29");
}

TEST_CASE("train_on_fashion learns, the same for the same seed", "[fashion_training]") {
  const FashionMnist data(FashionMnist::Split::train);
  std::vector<double> shares;
  for (int run = 0; run < 2; ++run) {
    manual_seed(1);
    nn::Sequential net(std::make_shared<nn::Flatten>(), std::make_shared<nn::Linear>(64, 10));
    const double before = fashion_accuracy(net, data, 8, 1000);
    CHECK(train_on_fashion(net, data, {.steps = 60, .batch_size = 32, .side = 8, .seed = 5}) > 0);
    shares.push_back(fashion_accuracy(net, data, 8, 1000));
    CHECK(before < 0.35);
    CHECK(shares.back() > 0.55);
    CHECK(net.is_training());
  }
  CHECK(shares[0] == shares[1]);
}

TEST_CASE("train_on_fashion explains what does not fit", "[fashion_training][errors]") {
  const FashionMnist data(FashionMnist::Split::train);
  nn::Sequential net(std::make_shared<nn::Flatten>(), std::make_shared<nn::Linear>(4, 10));
  CHECK_THROWS_WITH(train_on_fashion(net, data, {.steps = 0}),
                    "train_on_fashion: steps must be >= 1, got 0");
  CHECK_THROWS_WITH(train_on_fashion(net, data, {.batch_size = 60001}),
                    "train_on_fashion: batch_size must be 1 to 60000, the images, got 60001");
  CHECK_THROWS_WITH(fashion_accuracy(net, data, 2, 0),
                    "fashion_accuracy: count must be 1 to 60000, got 0");
  CHECK_THROWS_AS(
      train_on_fashion(net, data, {.steps = 20, .batch_size = 8, .rate = 1e30, .side = 2}),
      std::runtime_error);
}
