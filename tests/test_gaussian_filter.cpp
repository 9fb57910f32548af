#include <cmath>
#include <numeric>

#include "detection/proposals/gaussian_filter.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

TEST_CASE("gaussian_kernel adds up to one and falls like exp(-i^2 / 2 sigma^2)",
          "[gaussian_filter]") {
  CHECK(gaussian_kernel(0) == std::vector<Scalar>{1});
  for (const double sigma : {.3, .8, 1., 5.}) {
    const std::vector<Scalar> kernel = gaussian_kernel(sigma);
    const std::size_t radius = static_cast<std::size_t>(std::ceil(4 * sigma));
    REQUIRE(kernel.size() == 2 * radius + 1);
    CHECK(std::accumulate(kernel.begin(), kernel.end(), Scalar{0}) == Approx(1));
    CHECK(kernel[radius + 1] / kernel[radius] == Approx(std::exp(-.5 / sigma / sigma)));
    CHECK(kernel[radius - 1] == kernel[radius + 1]);
  }
  CHECK_THROWS_WITH(gaussian_kernel(-1),
                    "gaussian_kernel: sigma must be from 0 to 100 pixels, got -1");
  CHECK_THROWS_AS(gaussian_kernel(std::nan("")), std::invalid_argument);
}

TEST_CASE("gaussian_derivative_kernel measures a slope", "[gaussian_filter]") {
  const std::vector<Scalar> smooth = gaussian_kernel(1), slope = gaussian_derivative_kernel(1);
  Tensor ramp({20, 20, 1});  // rises by 3 a column and falls by 2 a row
  for (int y = 0; y < 20; ++y)
    for (int x = 0; x < 20; ++x) ramp.set({y, x, 0}, static_cast<Scalar>(3 * x - 2 * y));
  CHECK(filter_separable(ramp, slope, smooth).at({10, 10, 0}) == Approx(3).epsilon(1e-4));
  CHECK(filter_separable(ramp, smooth, slope).at({10, 10, 0}) == Approx(-2).epsilon(1e-4));
  CHECK_THROWS_AS(gaussian_derivative_kernel(0), std::invalid_argument);
}

TEST_CASE("filter_separable correlates rows and columns, repeating the border",
          "[gaussian_filter]") {
  // One row, two channels: 1 2 4 and 10 20 40.
  const Tensor planes({1, 3, 2}, {1, 10, 2, 20, 4, 40});
  const Scalar kernel[] = {1, 2, 3}, one[] = {1};
  const Tensor y = filter_separable(planes, kernel, one);
  CHECK(y.to_vector() == std::vector<Scalar>{9, 90, 17, 170, 22, 220});
  // A column: the same numbers.
  const Tensor column({3, 1, 2}, {1, 10, 2, 20, 4, 40});
  CHECK(filter_separable(column, one, kernel).to_vector() == y.to_vector());
  // A kernel that is wider than the picture.
  CHECK(filter_separable(Tensor({1, 1, 1}, 5), gaussian_kernel(2), gaussian_kernel(2)).item() ==
        Approx(5));
}

TEST_CASE("filter_separable explains a wrong argument", "[gaussian_filter][errors]") {
  const Scalar even[] = {1, 1}, one[] = {1};
  CHECK_THROWS_WITH(filter_separable(Tensor({2, 2}), one, one),
                    "filter_separable: planes must be [H, W, C] without an empty axis, got [2, 2]");
  CHECK_THROWS_WITH(filter_separable(Tensor({2, 2, 1}), even, one),
                    "filter_separable: kernels must have an odd number of values, got 2 and 1");
}
