// layers/focal_loss.h. Golden values: torchvision.ops.sigmoid_focal_loss.
#include <cmath>
#include <limits>

#include "core/ops.h"
#include "layers/focal_loss.h"
#include "tests/check_gradients.h"

using namespace boxgrad;

namespace {

double focal(double logit, double target, double alpha, double gamma) {
  return static_cast<double>(sigmoid_focal_loss(Tensor({1}, {Scalar(logit)}),
                                                Tensor({1}, {Scalar(target)}),
                                                {.gamma = gamma, .alpha = alpha})
                                 .item());
}

double logit_of(double p) { return std::log(p / (1 - p)); }

}  // namespace

TEST_CASE("sigmoid_focal_loss matches torchvision", "[focal_loss]") {
  struct Row {
    double p, ce1, fl1, weighted1, ce0, fl0, weighted0;  // truth 1, truth 0
  };
  for (const Row& row :
       {Row{.9, .10536052, .00105361, .00026340, 2.30258509, 1.86509393, 1.39882044},
        {.968, .03252319, 3.330e-5, 8.33e-6, 3.44201938, 3.22525476, 2.41894107},
        {.5, .69314718, .17328680, .04332170, .69314718, .17328680, .12996510},
        {.1, 2.30258509, 1.86509393, .46627348, .10536052, .00105361, .00079020},
        {.01, 4.60517019, 4.51352730, 1.12838182, .01005034, 1.01e-6, 7.5378e-7}}) {
    INFO("p = " << row.p);
    const double x = logit_of(row.p);
    CHECK(focal(x, 1, -1, 0) == Approx(row.ce1).epsilon(1e-5));
    CHECK(focal(x, 1, -1, 2) == Approx(row.fl1).epsilon(1e-3));
    CHECK(focal(x, 1, .25, 2) == Approx(row.weighted1).epsilon(1e-3));
    CHECK(focal(x, 0, -1, 0) == Approx(row.ce0).epsilon(1e-5));
    CHECK(focal(x, 0, -1, 2) == Approx(row.fl0).epsilon(5e-3));
    CHECK(focal(x, 0, .25, 2) == Approx(row.weighted0).epsilon(1e-4));
    CHECK(2 * focal(x, 1, .5, 0) == Approx(row.ce1).epsilon(1e-5));
  }
  CHECK(focal(-2, 1, .25, 2) == Approx(.41251957));
  CHECK(focal(2, 1, .25, 2) == Approx(.00045089).epsilon(1e-4));
  CHECK(focal(2, 0, .25, 2) == Approx(1.23755860));
  CHECK(focal(-100, 1, .25, 2) == Approx(25));
  CHECK(focal(100, 1, .25, 2) < 1e-40);
  CHECK(focal(1000, 0, .25, 2) == Approx(750));

  Tensor x({3}, {-2, 0, 2});
  x.requires_grad_();
  sigmoid_focal_loss(x, Tensor({3}, {1, 0, 1}), {.reduction = Reduction::sum}).backward();
  CHECK(double(x.grad().at({0})) == Approx(-.26917843));
  CHECK(double(x.grad().at({1})) == Approx(.22371510));
  CHECK(double(x.grad().at({2})) == Approx(-.00121774).epsilon(1e-4));
}

TEST_CASE("softmax_focal_loss: cross entropy, and the sigmoid form for two classes",
          "[focal_loss]") {
  const Tensor logits({3, 3}, {1, 0, -1, 0.5, 2, 0, 3, 0, 1});
  const std::vector<std::int64_t> labels{0, 1, 2};
  for (const Reduction reduction : {Reduction::sum, Reduction::mean})
    CHECK(
        double(softmax_focal_loss(logits, labels, {.gamma = 0, .alpha = -1, .reduction = reduction})
                   .item()) ==
        Approx(double(cross_entropy(logits, labels, {.reduction = reduction}).item())));
  // Softmax of (0, x) is the sigmoid of x.
  for (const double x : {-3., -.2, 0., 1.5})
    for (const std::int64_t label : {0, 1})
      for (const double gamma : {0., .5, 1., 2., 5.})
        CHECK(double(softmax_focal_loss(Tensor({1, 2}, {0, Scalar(x)}), {label}, {.gamma = gamma})
                         .item()) ==
              Approx(focal(x, double(label), .25, gamma)).epsilon(1e-4).margin(1e-9));
  const Tensor each = softmax_focal_loss(logits, {0, -1, 2}, {.reduction = Reduction::none});
  CHECK(each.shape() == Shape{3});
  CHECK(each.at({1}) == 0);
  CHECK(softmax_focal_loss(logits, {-1, -1, -1}).item() == 0);
  CHECK(softmax_focal_loss(Tensor({1, 2}, {200, -200}), {0}).item() == 0);
  CHECK(std::isfinite(softmax_focal_loss(Tensor({1, 2}, {200, -200}), {1}).item()));
}

TEST_CASE("focal losses: gradients", "[focal_loss][gradcheck]") {
  const Tensor x({2, 3}, {0.3, -2, 0.05, 4, 0, -0.6}), t({2, 3}, {0, 1, 0, 1, 0, 1});
  for (const double gamma : {0., .5, 1., 2., 5.})
    for (const double alpha : {-1., .25})
      for (const Reduction reduction : {Reduction::none, Reduction::sum, Reduction::mean}) {
        const FocalLossOptions options{gamma, alpha, reduction};
        check_gradients([&](const auto& in) { return sigmoid_focal_loss(in[0], t, options); }, {x});
        check_gradients(
            [&](const auto& in) {
              return softmax_focal_loss(in[0], {2, 0}, options);
            },
            {x});
        check_gradients(
            [&](const auto& in) {
              return softmax_focal_loss(in[0], {-1, 1}, options);
            },
            {x});
      }
}

TEST_CASE("softmax_focal_loss: no slope where 1 - p is 0", "[focal_loss]") {
  // In float p of 20 against 0 is 1, while the other class has still a probability of 2e-9. Plain
  // cross entropy, gamma 0, pulls by that; in double the true slopes are below 1e-12 from gamma .5 on.
  for (const double logit : {20., 300.})
    for (const double gamma : {.5, 1., 2.}) {
      INFO("logit " << logit << ", gamma " << gamma);
      Tensor sure({1, 2}, {Scalar(logit), 0});
      sure.requires_grad_();
      softmax_focal_loss(sure, {0}, {.gamma = gamma}).backward();
      for (const Scalar slope : sure.grad().to_vector()) CHECK(std::abs(double(slope)) < 1e-12);
    }
  Tensor plain({1, 2}, {20, 0});
  plain.requires_grad_();
  softmax_focal_loss(plain, {0}, {.gamma = 0}).backward();
  CHECK(double(plain.grad().to_vector()[1]) == Approx(.75 * std::exp(-20.)).epsilon(1e-4));
}

TEST_CASE("softmax_focal_loss: an ignored row has loss and gradient 0, whatever its logits",
          "[focal_loss]") {
  const Scalar infinite = std::numeric_limits<Scalar>::infinity();
  for (const Reduction reduction : {Reduction::none, Reduction::sum, Reduction::mean}) {
    Tensor logits({2, 2}, {infinite, 0, 0, 0});
    logits.requires_grad_();
    const Tensor loss = softmax_focal_loss(logits, {-1, 1}, {.reduction = reduction});
    CHECK(double(sum(loss).item()) == Approx(.0433216988));
    sum(loss).backward();
    const std::vector<Scalar> slopes = logits.grad().to_vector();
    CHECK(slopes[0] == 0);
    CHECK(slopes[1] == 0);
    CHECK(slopes[2] > 0);
    CHECK(slopes[3] == -slopes[2]);
  }
}

TEST_CASE("focal losses explain what does not fit", "[focal_loss][errors]") {
  const Tensor x({2, 2});
  CHECK_THROWS_WITH(sigmoid_focal_loss(x, Tensor({2, 2}, Scalar(0.5))),
                    "sigmoid_focal_loss: targets must be 0 or 1, got 0.5");
  CHECK_THROWS_WITH(sigmoid_focal_loss(x, Tensor({4})),
                    "sigmoid_focal_loss: target must have input's shape [2, 2], got [4]");
  CHECK_THROWS_WITH(sigmoid_focal_loss(x, x, {.gamma = -1}),
                    "sigmoid_focal_loss: gamma must be >= 0, got -1");
  CHECK_THROWS_WITH(softmax_focal_loss(x, {0, 1}, {.alpha = 2}),
                    "softmax_focal_loss: alpha must be <= 1, got 2");
  CHECK_THROWS(softmax_focal_loss(x, {0, 2}));
  CHECK_THROWS(softmax_focal_loss(x, {0}));
}
