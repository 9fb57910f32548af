#include <cmath>
#include <limits>

#include "core/parallel.h"
#include "layers/kernels/fast_exp.h"
#include "layers/losses.h"
#include "tests/check_gradients.h"

using namespace boxgrad;

namespace {

// The reference values come from tests/golden/layers.py.
const Tensor kLogits({4, 3}, {0.5, -1, 2, 3, 0, -2, 0, 0, 0, -1, 4, 1});
const std::vector<std::int64_t> kLabels = {2, 1, -1, 0};
const std::vector<Scalar> kClassWeights = {1, 2, 0.5};

Tensor normal(Shape shape, std::uint64_t seed) {
  Random random(seed);
  return Tensor::randn(std::move(shape), random);
}

void check_values(const Tensor& actual, const Tensor& expected) {
  CHECK(relative_error(actual, expected) < 1e-6);
}

}  // namespace

TEST_CASE("fast_exp is exp", "[losses][fast_exp]") {
  double worst = 0;
  for (int i = -87000; i <= 88700; i += 7) {
    const Scalar x = static_cast<Scalar>(i) / 1000;
    const double exact = std::exp(static_cast<double>(x));
    worst = std::max(worst, std::abs(static_cast<double>(kernels::fast_exp(x)) - exact) / exact);
  }
  CHECK(worst < 1.5e-7);
  CHECK(kernels::fast_exp(Scalar(0)) == 1);
  const Scalar infinity = std::numeric_limits<Scalar>::infinity();
  CHECK(kernels::fast_exp(infinity) == infinity);
  CHECK(kernels::fast_exp(Scalar(1000)) == infinity);
  CHECK(kernels::fast_exp(Scalar(-1000)) == 0);
  CHECK(kernels::fast_exp(-infinity) == 0);
  CHECK(std::isnan(kernels::fast_exp(std::numeric_limits<Scalar>::quiet_NaN())));
}

TEST_CASE("cross_entropy matches torch", "[losses]") {
  using enum Reduction;
  check_values(cross_entropy(kLogits, kLabels, {.reduction = none}),
               Tensor({4}, {0.24131130, 3.05498524, 0, 5.05498524}));
  check_values(cross_entropy(kLogits, kLabels, {.class_weights = kClassWeights, .reduction = none}),
               Tensor({4}, {0.12065565, 6.10997047, 0, 5.05498524}));
  CHECK(cross_entropy(kLogits, kLabels, {.reduction = sum}).item() == Approx(8.35128177));
  CHECK(cross_entropy(kLogits, kLabels).item() == Approx(2.78376059));

  Tensor x = kLogits.clone().requires_grad_();
  const Tensor loss = cross_entropy(x, kLabels, {.class_weights = kClassWeights});
  CHECK(loss.item() == Approx(3.22446039));
  loss.backward();
  check_values(x.grad(),
               Tensor({4, 3}, {0.02504148, 0.00558751, -0.03062900, 0.54085664, -0.54450090,
                               0.00364426, 0, 0, 0, -0.28389215, 0.27042832, 0.01346383}));
}

TEST_CASE("cross_entropy: weights per row, values without a graph, nothing to learn", "[losses]") {
  const std::vector<Scalar> weights = {2, 0, 7, 3};
  CHECK(cross_entropy(kLogits, kLabels, {.weights = weights}).item() ==
        Approx((2 * 0.24131130 + 3 * 5.05498524) / 5));
  const auto values = cross_entropy_values(kLogits, kLabels);
  check_values(Tensor({4}, values), Tensor({4}, {0.24131130, 3.05498524, 0, 5.05498524}));
  // Leading axes are rows, too; one row needs no axis.
  CHECK(
      cross_entropy(kLogits.view_as({2, 2, 3}), kLabels, {.reduction = Reduction::none}).shape() ==
      Shape{2, 2});
  CHECK(cross_entropy(Tensor({3}), {1}, {.reduction = Reduction::none}).item() ==
        Approx(std::log(3.0)));

  Tensor x = kLogits.clone().requires_grad_();
  const Tensor loss = cross_entropy(x, {-1, -1, -1, -1});
  CHECK(loss.item() == 0);
  loss.backward();
  check_values(x.grad(), Tensor({4, 3}));
  CHECK(cross_entropy(Tensor({0, 3}), {}).item() == 0);
}

TEST_CASE("cross_entropy is stable, passes NaN on and does not depend on threads", "[losses]") {
  const Tensor huge({2, 2}, {1e4, 0, -3e4, 3e4});
  check_values(cross_entropy(huge, {0, 0}, {.reduction = Reduction::none}), Tensor({2}, {0, 6e4}));
  const Scalar nan = std::numeric_limits<Scalar>::quiet_NaN();
  CHECK(std::isnan(cross_entropy(Tensor({1, 3}, {0, nan, 1}), {0}).item()));

  const std::int64_t rows = 3000;
  std::vector<std::int64_t> labels;
  for (std::int64_t r = 0; r < rows; ++r) labels.push_back(r % 12 - 1);
  std::vector<std::vector<Scalar>> gradients;
  std::vector<Scalar> losses;
  const int before = num_threads();
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    Tensor x = normal({rows, 11}, 5).requires_grad_();
    const Tensor loss = cross_entropy(x, labels);
    loss.backward();
    gradients.push_back(x.grad().to_vector());
    losses.push_back(loss.item());
  }
  set_num_threads(before);
  CHECK(gradients[0] == gradients[1]);
  CHECK(gradients[0] == gradients[2]);
  CHECK((losses[0] == losses[1] && losses[0] == losses[2]));
}

TEST_CASE("cross_entropy gradient", "[losses][gradcheck]") {
  for (const Reduction reduction : {Reduction::none, Reduction::sum, Reduction::mean}) {
    check_gradients(
        [&](const auto& in) {
          return cross_entropy(in[0], kLabels,
                               {.class_weights = kClassWeights,
                                .weights = {Scalar(0.5), 1, 2, 3},
                                .reduction = reduction});
        },
        {normal({4, 3}, 1)});
    check_gradients(
        [&](const auto& in) {
          return cross_entropy(in[0], {0, 4, 3, 2, 9, 1},
                               {.ignore_index = 9, .reduction = reduction});
        },
        {normal({2, 3, 5}, 2)});
    check_gradients(
        [&](const auto& in) { return cross_entropy(in[0], {1}, {.reduction = reduction}); },
        {normal({2}, 3)});
  }
}

TEST_CASE("cross_entropy explains what does not fit", "[losses][errors]") {
  CHECK_THROWS_WITH(cross_entropy(Tensor({2, 3}), {0, 3}),
                    "cross_entropy: labels must be in 0..2 or -1 (ignored), got 3 in row 1");
  CHECK_THROWS_WITH(cross_entropy(Tensor({2, 3}), {0}),
                    "cross_entropy: logits [2, 3] need 2 labels, got 1");
  CHECK_THROWS_WITH(cross_entropy(Tensor({2, 3}), {0, 1}, {.class_weights = {1}}),
                    "cross_entropy: class_weights must have 3 entries, got 1");
  CHECK_THROWS_WITH(cross_entropy(Tensor({2, 3}), {0, 1}, {.weights = {1}}),
                    "cross_entropy: weights must have 2 entries, one per row, got 1");
  CHECK_THROWS_WITH(cross_entropy(Tensor({2, 0}), {0, 1}), ContainsSubstring("at least one class"));
  CHECK_THROWS_WITH(cross_entropy_values(Tensor({1, 2}), {-7}),
                    ContainsSubstring("cross_entropy_values: labels must be in 0..1"));
}

namespace {

const Tensor kInput({2, 3}, {0.3, -2, 0.05, 4, 0, -0.6});
const Tensor kTarget({2, 3}, {0, 1, 0, 1, 0, 1});
const std::vector<Scalar> kWeights = {1, 0.5, 2, 0, 3, 1};

}  // namespace

TEST_CASE("elementwise losses match torch", "[losses]") {
  const LossOptions none{.reduction = Reduction::none}, sum{.reduction = Reduction::sum}, mean;
  check_values(
      binary_cross_entropy_with_logits(kInput, kTarget, none),
      Tensor({2, 3}, {0.85435524, 2.12692801, 0.71845965, 0.01814993, 0.69314718, 1.03748795}));
  CHECK(binary_cross_entropy_with_logits(kInput, kTarget, sum).item() == Approx(5.44852796));
  CHECK(binary_cross_entropy_with_logits(kInput, kTarget).item() == Approx(0.90808799));
  CHECK(binary_cross_entropy_with_logits(kInput, kTarget,
                                         {.reduction = Reduction::sum, .weights = kWeights})
            .item() == Approx(6.47166804));
  CHECK(binary_cross_entropy_with_logits(kInput, kTarget, {.weights = kWeights}).item() ==
        Approx(1.07861134));
  check_values(binary_cross_entropy_with_logits(Tensor({4}, {100, -100, 100, -100}),
                                                Tensor({4}, {1, 1, 0, 0}), none),
               Tensor({4}, {0, 100, 100, 0}));

  const Scalar ninth = Scalar(1) / 9;
  const Tensor d({5}, {Scalar(0.05), ninth, 0.5, 1, 2}), zero({5});
  check_values(smooth_l1_loss(d, zero, 1, none),
               Tensor({5}, {0.00125, 0.00617284, 0.125, 0.5, 1.5}));
  check_values(smooth_l1_loss(d, zero, ninth, none),
               Tensor({5}, {0.01125, 0.05555556, 0.44444444, 0.94444444, 1.94444444}));
  CHECK(smooth_l1_loss(kInput, kTarget).item() == Approx(1.024375));
  CHECK(smooth_l1_loss(kInput, kTarget, ninth).item() == Approx(1.28150463));

  check_values(mse_loss(kInput, kTarget, none), Tensor({2, 3}, {0.09, 9, 0.0025, 9, 0, 2.56}));
  CHECK(mse_loss(kInput, kTarget, sum).item() == Approx(20.6525));
  CHECK(mse_loss(kInput, kTarget, mean).item() == Approx(3.44208333));
  // A weight per row stands for each of the row's elements.
  CHECK(mse_loss(kInput, kTarget, {.reduction = Reduction::sum, .weights = {2, 0}}).item() ==
        Approx(2 * (0.09 + 9 + 0.0025)));
}

TEST_CASE("Fast R-CNN's multi-task loss by hand", "[losses]") {
  const Tensor logits({3, 3}, {0, 0, 0, 2, 0, -1, 0, 3, 0});
  const Tensor offsets({3, 4}, {0.5, -1.5, 0, 0.2, 9, 9, 9, 9, 0.1, 0, 0, 0});
  const Tensor classification = cross_entropy(logits, {1, 0, 1}, {.reduction = Reduction::sum});
  const Tensor boxes = smooth_l1_loss(offsets, Tensor({3, 4}), 1,
                                      {.reduction = Reduction::sum, .weights = {1, 0, 1}});
  CHECK((classification.item() + boxes.item()) / 3 == Approx(0.837794).epsilon(1e-6));
}

TEST_CASE("elementwise losses: gradients", "[losses][gradcheck]") {
  // No |x - t| near the kink of smooth L1 at beta = 1 or 0.5.
  for (const Reduction reduction : {Reduction::none, Reduction::sum, Reduction::mean})
    for (const std::vector<Scalar>& weights : {std::vector<Scalar>{}, kWeights, {2, 3}}) {
      const LossOptions options{reduction, weights};
      check_gradients(
          [&](const auto& in) { return binary_cross_entropy_with_logits(in[0], kTarget, options); },
          {kInput});
      check_gradients([&](const auto& in) { return mse_loss(in[0], kTarget, options); }, {kInput});
      for (const Scalar beta : {Scalar(1), Scalar(0.5)})
        check_gradients(
            [&](const auto& in) { return smooth_l1_loss(in[0], kTarget, beta, options); },
            {kInput});
    }
  const LossOptions sum{.reduction = Reduction::sum};
  check_gradients(
      [&](const auto& in) {
        return mse_loss(in[0], Tensor({1, 2, 2, 1}), sum);
      },
      {normal({1, 2, 2, 1}, 4)});
}

TEST_CASE("elementwise losses explain what does not fit", "[losses][errors]") {
  CHECK_THROWS_WITH(smooth_l1_loss(Tensor({2, 4}), Tensor({8})),
                    "smooth_l1_loss: target must have input's shape [2, 4], got [8]");
  CHECK_THROWS_WITH(smooth_l1_loss(Tensor({2}), Tensor({2}), 0),
                    "smooth_l1_loss: beta must be > 0, got 0");
  CHECK_THROWS_WITH(mse_loss(Tensor({0, 4}), Tensor({0, 4})),
                    "mse_loss: the mean of no elements, shape [0, 4], is not defined");
  CHECK(mse_loss(Tensor({0, 4}), Tensor({0, 4}), {.reduction = Reduction::sum}).item() == 0);
  CHECK_THROWS_WITH(mse_loss(Tensor({2, 4}), Tensor({2, 4}), {.weights = {1, 2, 3}}),
                    "mse_loss: weights must have 8 entries (one per element) or 2 (one per row), "
                    "got 3");
}
