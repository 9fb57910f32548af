#include <cmath>
#include <limits>
#include <vector>

#include "core/autograd.h"
#include "core/parallel.h"
#include "layers/local_response_norm.h"
#include "tests/catch.h"
#include "tests/check_gradients.h"

using namespace boxgrad;

namespace {

/// ((i * step) % range - range / 2) / divisor, as tests/golden/local_response_norm.py has it.
Tensor pattern(Shape shape, std::int64_t step, std::int64_t range, Scalar divisor) {
  Tensor t(std::move(shape));
  for (std::int64_t i = 0; i < t.numel(); ++i)
    t.data()[static_cast<std::size_t>(i)] =
        static_cast<Scalar>(i * step % range - range / 2) / divisor;
  return t;
}

}  // namespace

TEST_CASE("local_response_norm matches torch", "[local_response_norm]") {
  struct Case {
    std::int64_t channels = 0;
    LocalResponseNormOptions options;
    std::vector<double> y, dx;
  };
  // tests/golden/local_response_norm.py; clang-format off
  const std::vector<Case> cases = {
      {
          7,
          {5, 0.0001, 0.75, 1},
          {-2.7495721, 0.74983832, -1.4996752, 1.9996063, -0.24994915, -2.4995759, 0.99989033,
           -1.2498758, 2.2496056, 0, -2.2495719, 1.2497399, -0.99979193, 2.4996696},
          {-1.1244384, 0.12485638, -0.99954031, 0.24986834, -0.87481805, 0.37486374, -0.7498737,
           0.49987417, -0.6248293, 0.62487581, -0.49983529, 0.74967057, -0.37478328, 0.87462195},
      },
      {
          7,
          {5, 0.5, 0.75, 2},
          {-1.1952135, 0.29708398, -0.59335902, 0.81454125, -0.1008206, -1.0620665, 0.47068343,
           -0.59971209, 0.94736325, 0, -0.92554223, 0.50061117, -0.40048894, 1.1304577},
          {-0.23081879, -0.027801604, -0.23502742, 0.058716885, -0.35273648, 0.096053647,
           -0.31848882, 0.18373259, -0.20986376, 0.2538261, -0.16858862, 0.18035708, -0.05417565,
           0.20873131},
      },
      {
          6,
          {4, 1, 0.5, 1},
          {-1.5795079, 0.39562828, -0.69985421, 1.2129569, -0.12285902, -1.3216372, 0.78072006,
           -0.73323558, 1.319824, 0, -1.1361499, 0.76696499},
          {-0.1289428, -0.096034878, -0.35271605, 0.075951636, -0.43006991, 0.12790212, -0.3938196,
           0.053643674, -0.21748026, 0.3155972, -0.049188788, 0.34724067},
      },
      {
          3,
          {9, 2, 1.25, 1.5},
          {-0.51738057, 0.14110379, -0.28220758, 0.37800044, -0.047250055, -0.47250055},
          {0.14239123, -0.073040952, 0.0049781143, 0.059365454, -0.16688962, 0.055730834},
      },
  };
  // clang-format on
  for (const Case& c : cases) {
    CAPTURE(c.channels, c.options.size);
    Tensor x = pattern({1, 1, 2, c.channels}, 37, 23, 4).requires_grad_();
    const Tensor y = local_response_norm(x, c.options);
    REQUIRE(y.shape() == x.shape());
    y.backward(pattern(y.shape(), 29, 19, 8));
    for (std::size_t i = 0; i < c.y.size(); ++i) {
      CHECK(y.data()[i] == Approx(c.y[i]).epsilon(2e-6).margin(1e-7));
      CHECK(x.grad().data()[i] == Approx(c.dx[i]).epsilon(2e-6).margin(1e-6));
    }
  }
}

TEST_CASE("local_response_norm by hand", "[local_response_norm]") {
  // With beta = 1: 3 / (1 + 2 / 2 * (1 + 9)), neighbours 0 and 1 of channel 1 with size 2.
  const Tensor x({3}, {1, 3, 2});
  const Tensor y = local_response_norm(x, {.size = 2, .alpha = 2, .beta = 1, .k = 1});
  CHECK(y.at({0}) == Approx(1. / 2));
  CHECK(y.at({1}) == Approx(3. / 11));
  CHECK(y.at({2}) == Approx(2. / 14));
  // Without alpha it only scales, and a position of zeros stays one.
  CHECK(local_response_norm(x, {.alpha = 0, .k = 16}).to_vector() ==
        std::vector<Scalar>{0.125, 0.375, 0.25});
  CHECK(local_response_norm(Tensor({2, 3})).to_vector() == std::vector<Scalar>(6, 0));
  CHECK(local_response_norm(Tensor({2, 0})).shape() == Shape{2, 0});
}

TEST_CASE("nn::LocalResponseNorm is the function", "[local_response_norm]") {
  const Tensor x = pattern({2, 3, 8}, 37, 23, 4);
  const LocalResponseNormOptions options{.size = 3, .alpha = 1, .beta = Scalar(.5), .k = 2};
  nn::LocalResponseNorm layer(options);
  CHECK(layer(x).to_vector() == local_response_norm(x, options).to_vector());
}

TEST_CASE("local_response_norm gives the same bits for any number of threads",
          "[local_response_norm]") {
  Random random(2);
  Tensor x = Tensor::randn({4, 30, 31, 37}, random).requires_grad_();
  const Tensor dy = Tensor::randn(x.shape(), random);
  const auto run = [&] {
    x.zero_grad();
    const Tensor y = local_response_norm(x);
    y.backward(dy);
    return std::pair{y.to_vector(), x.grad().to_vector()};
  };
  const int before = num_threads();
  set_num_threads(1);
  const auto expected = run();
  for (const int threads : {2, 3, 8}) {
    set_num_threads(threads);
    CHECK(run() == expected);
  }
  set_num_threads(before);
}

TEST_CASE("local_response_norm gradient", "[local_response_norm][gradcheck]") {
  for (const LocalResponseNormOptions& options :
       {LocalResponseNormOptions{},
        {.size = 5, .alpha = 2},
        {.size = 4, .alpha = 3, .beta = 1},
        {.size = 1, .alpha = 1, .beta = Scalar(.5), .k = 2},
        {.size = 20, .alpha = 4}})
    for (const Shape& shape : {Shape{2, 2, 3, 7}, Shape{1, 2, 1, 1}, Shape{3, 18}}) {
      CAPTURE(options.size, shape);
      check_gradients([&](const auto& in) { return local_response_norm(in[0], options); },
                      {pattern(shape, 37, 23, 8)});
    }
}

TEST_CASE("local_response_norm explains wrong options", "[local_response_norm][errors]") {
  const Tensor x({1, 1, 1, 3});
  CHECK_THROWS_WITH(local_response_norm(Tensor(Shape{})),
                    "local_response_norm: x must have an axis of channels, got []");
  CHECK_THROWS_WITH(local_response_norm(x, {.size = 0}),
                    "local_response_norm: size must be >= 1, got 0");
  CHECK_THROWS_WITH(local_response_norm(x, {.alpha = -1}),
                    "local_response_norm: alpha must be >= 0, got -1");
  CHECK_THROWS_WITH(local_response_norm(x, {.beta = std::numeric_limits<Scalar>::infinity()}),
                    "local_response_norm: beta must be finite, got inf");
  CHECK_THROWS_WITH(local_response_norm(x, {.k = 0}), "local_response_norm: k must be > 0, got 0");
}
