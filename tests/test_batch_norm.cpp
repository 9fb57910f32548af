// layers/batch_norm.cpp, and layers/kernels/channel_norm.cpp, whose loops it is made of.
#include "core/autograd.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "layers/batch_norm.h"
#include "tests/check_gradients.h"

using namespace boxgrad;

namespace {

/// A golden tensor: values as torch printed them.
Tensor golden(Shape shape, const std::vector<double>& values) {
  return Tensor(std::move(shape), std::vector<Scalar>(values.begin(), values.end()));
}

/// The inputs of tests/golden/norm.py.
struct Inputs {
  Tensor x = Tensor({2, 2, 2, 3}), dy = Tensor({2, 2, 2, 3});
  Tensor w = golden({3}, {1, -0.5, 2}), b = golden({3}, {0.1, 0.2, -0.3});
  Tensor mean = golden({3}, {0.5, 0, -1}), var = golden({3}, {1, 2, 0.5});
  Inputs() {
    for (int i = 0; i < 24; ++i) {
      x.data()[std::size_t(i)] = Scalar((7 * i * i + 3 * i) % 23) / 4 - 2;
      dy.data()[std::size_t(i)] = Scalar((5 * i) % 7) / 2 - Scalar(1.5);
    }
    for (Tensor* t : {&x, &w, &b}) t->requires_grad_();
  }
};

constexpr double kTolerance = 1e-5;

}  // namespace

TEST_CASE("batch_norm matches torch", "[batch_norm]") {
  // golden/norm.py
  Inputs in;
  const Tensor y = batch_norm(in.x, in.w, in.b, in.mean, in.var, {.activation = Activation::relu});
  y.backward(in.dy);
  CHECK(relative_error(
            y, golden({2, 2, 2, 3}, {0,           0.099190474, 1.6569735,  0,          0.17983809,
                                     0,           0.6335994,   0,          2.178833,   0.88470507,
                                     0,           0,           0,          0.66372383, 1.6569735,
                                     0,           0.90566665,  0,          1.2613635,  0.26048571,
                                     0.091394678, 1.2613635,   0.58307618, 0})) < kTolerance);
  CHECK(relative_error(in.x.grad(),
                       golden({2, 2, 2, 3},
                              {0.0045768693, -0.18227673, 0.34420434,  0.010885417, -0.34291628,
                               0.2331716,    -0.21078029, 0.13441272,  2.4538493,   0.04453101,
                               0.13572407,   0.2331716,   0.023502516, 0.30619866,  -2.7869532,
                               0.025605364,  0.14687043,  0.18875851,  0.80415636,  -0.019670153,
                               -0.76613444,  -0.70247728, -0.17834271, 0.099932328})) < kTolerance);
  CHECK(relative_error(in.w.grad(), golden({3}, {-0.26679972, -0.10080952, -0.32616225})) <
        kTolerance);
  CHECK(relative_error(in.b.grad(), golden({3}, {-0.5, 3.5, -1})) < kTolerance);
  CHECK(relative_error(in.mean, golden({3}, {0.56874996, 0.018750001, -0.91874999})) < kTolerance);
  CHECK(relative_error(in.var, golden({3}, {1.353125, 2.0745535, 0.55491072})) < kTolerance);
}

TEST_CASE("batch_norm_frozen matches torch", "[batch_norm]") {
  // golden/norm.py
  Inputs in;
  const Tensor y =
      batch_norm_frozen(in.x, in.w, in.b, in.mean, in.var, {.activation = Activation::relu});
  y.backward(in.dy);
  CHECK(relative_error(
            y, golden({2, 2, 2, 3}, {0,           0.023223758, 4.6496978,  0,          0.11161188,
                                     1.1141994,   1.8499912,   0,          5.3567972,  2.3499887,
                                     0,           1.1141994,   0,          0.64194059, 4.6496978,
                                     0.099999994, 0.90710497,  0,          3.0999849,  0.2,
                                     2.5283988,   3.0999849,   0.55355251, 0})) < kTolerance);
  CHECK(
      relative_error(in.x.grad(),
                     golden({2, 2, 2, 3},
                            {0,          -0.35355252, 0,  0,  -0.53032875, 1.4141995,   -0.4999975,
                             -0,         2.8283989,   0,  -0, 4.2425985,   0,           0.17677626,
                             -4.2425985, 0.99999499,  -0, 0,  1.4999925,   -0.17677626, -1.4141995,
                             -1.4999925, -0.35355252, 0})) < kTolerance);
  CHECK(relative_error(in.w.grad(), golden({3}, {-0.87499559, 0.35355252, -0.17677493})) <
        kTolerance);
  CHECK(relative_error(in.b.grad(), golden({3}, {0.5, 3.5, 1})) < kTolerance);
}

TEST_CASE("batch_norm gradient", "[batch_norm][gradcheck]") {
  for (const Shape& shape : {Shape{2, 3, 1, 2}, Shape{5, 3}, Shape{1, 2, 2, 5}}) {
    Random random(7);  // leaves no z within a step of a kink
    const std::int64_t c = shape[-1];
    const Tensor x = Tensor::randn(shape, random), w = Tensor::randn({c}, random);
    const Tensor b = Tensor::randn({c}, random);
    const Tensor mean = Tensor::randn({c}, random), var = Tensor::ones({c});
    for (const Activation activation : {Activation::none, Activation::relu, Activation::relu6}) {
      check_gradients(
          [&](const auto& in) {
            return batch_norm(in[0], in[1], in[2], mean.clone(), var.clone(),
                              {.activation = activation});
          },
          {x, w, b});
      check_gradients(
          [&](const auto& in) {
            return batch_norm_frozen(in[0], in[1], in[2], mean, var, {.activation = activation});
          },
          {x, w, b});
      check_gradients(
          [&](const auto& in) {
            return batch_norm_frozen(in[0], w, in[1], mean, var, {.activation = activation});
          },
          {x, b});
    }
  }
}

TEST_CASE("batch_norm adds to a gradient that is there", "[batch_norm][gradcheck]") {
  Random random(2);
  const Tensor w = Tensor::ones({2}), b({2});
  check_gradients(
      [&](const auto& in) { return batch_norm(in[0], w, b, Tensor({2}), Tensor({2})) + in[0]; },
      {Tensor::randn({4, 2}, random)});
}

TEST_CASE("batch_norm finds a small variance beside a large mean", "[batch_norm]") {
  Tensor x({1000, 1});
  for (std::size_t i = 0; i < 1000; ++i) x.data()[i] = Scalar(4096 + (i % 2 ? 0.25 : -0.25));
  Tensor mean({1}), var({1});
  batch_norm(x, Tensor::ones({1}), Tensor({1}), mean, var, {.momentum = 1});
  CHECK(mean.item() == Approx(4096));
  CHECK(var.item() == Approx(0.0625 * 1000 / 999));
}

TEST_CASE("batch_norm gives the same bits for any number of threads", "[batch_norm]") {
  const int before = num_threads();
  Random random(3);
  const Tensor x = Tensor::randn({3, 41, 37, 16}, random), dy = Tensor::randn(x.shape(), random);
  std::vector<Scalar> first_y, first_dx, first_dw, first_fixed, first_still, first_fixed_dw;
  for (const int threads : {1, 2, 3, 4, 8}) {
    set_num_threads(threads);
    Tensor in = x.clone(), w = Tensor::ones({16}), b({16});
    in.requires_grad_();
    w.requires_grad_();
    const Tensor y =
        batch_norm(in, w, b, Tensor({16}), Tensor({16}), {.activation = Activation::relu});
    y.backward(dy);
    if (threads == 1) {
      first_y = y.to_vector();
      first_dx = in.grad().to_vector();
      first_dw = w.grad().to_vector();
    }
    for (const bool learns : {true, false}) {  // what is kept for backward differs
      Tensor fixed_in = x.clone(), weight = Tensor::full({16}, Scalar(0.5));
      fixed_in.requires_grad_();
      if (learns) weight.requires_grad_();
      const Tensor fixed_y = batch_norm_frozen(
          fixed_in, weight, b, Tensor({16}), Tensor::ones({16}), {.activation = Activation::relu});
      fixed_y.backward(dy);
      if (threads == 1) {
        (learns ? first_fixed : first_still) = fixed_in.grad().to_vector();
        if (learns) first_fixed_dw = weight.grad().to_vector();
      }
      CHECK(fixed_in.grad().to_vector() == (learns ? first_fixed : first_still));
      if (learns) CHECK(weight.grad().to_vector() == first_fixed_dw);
    }
    CHECK(y.to_vector() == first_y);
    CHECK(in.grad().to_vector() == first_dx);
    CHECK(w.grad().to_vector() == first_dw);
  }
  set_num_threads(before);
}

TEST_CASE("batch_norm_frozen: an infinite gradient stays one", "[batch_norm]") {
  // What is kept of forward is only looked at for the mask, never multiplied: 0 * inf is not a number.
  const Scalar inf = std::numeric_limits<Scalar>::infinity();
  for (const bool learns : {false, true}) {
    Tensor x({2, 1}, {1, 2}), w({1}, {2}), b({1}), mean({1}), var({1}, {3});
    x.requires_grad_();
    if (learns) w.requires_grad_();
    batch_norm_frozen(x, w, b, mean, var).backward(Tensor({2, 1}, {inf, 1}));
    CHECK(x.grad().data()[0] == inf);
    CHECK(x.grad().data()[1] == Approx(2 / std::sqrt(3.00001)));
  }
}

TEST_CASE("BatchNorm2d: training moves the statistics, eval and frozen use them", "[batch_norm]") {
  nn::BatchNorm2d bn(2);
  const Tensor x({4, 2}, {1, 10, 2, 20, 3, 30, 4, 40});
  bn(x);
  const auto state = bn.state_dict();
  CHECK(state[2].first == "running_mean");
  CHECK(state[2].second.data()[0] == Approx(0.25));
  CHECK(state[3].second.data()[1] == Approx(0.9 + 0.1 * 500.0 / 3));
  bn.eval();
  CHECK(bn(x).data()[0] ==
        Approx((1 - 0.25) / std::sqrt(double(state[3].second.data()[0]) + 1e-5)));
  bn.train();
  bn.frozen = true;
  const Scalar kept = state[2].second.data()[0];
  bn(x);
  CHECK(state[2].second.data()[0] == kept);
}

TEST_CASE("fold_batch_norm gives the filters of both layers together", "[batch_norm]") {
  Random random(4);
  nn::BatchNorm2d bn(3);
  for (const auto& [name, tensor] : bn.state_dict())
    for (Scalar& v : Tensor(tensor).data()) v = Scalar(0.5 + random.uniform());
  bn.eval();
  const Tensor w = Tensor::randn({1, 1, 2, 3}, random), b = Tensor::randn({3}, random);
  const Tensor x({1, 2}, {Scalar(0.3), Scalar(-0.7)});  // one pixel: a 1x1 convolution is a product
  Tensor z({1, 3});
  const auto [fw, fb] = nn::fold_batch_norm(w, b, bn);
  Tensor folded({1, 3});
  for (std::size_t c = 0; c < 3; ++c) {
    z.data()[c] = b.data()[c];
    folded.data()[c] = fb.data()[c];
    for (std::size_t i = 0; i < 2; ++i) {
      z.data()[c] += x.data()[i] * w.data()[i * 3 + c];
      folded.data()[c] += x.data()[i] * fw.data()[i * 3 + c];
    }
  }
  CHECK(relative_error(folded, bn(z)) < kTolerance);
}

TEST_CASE("batch_norm explains what does not fit", "[batch_norm][errors]") {
  const Tensor x({1, 1, 1, 2}), two({2}), three({3});
  CHECK_THROWS_WITH(batch_norm(x, two, two, Tensor({2}), Tensor({2})),
                    "batch_norm: needs at least 2 positions to have a variance, got x of shape "
                    "[1, 1, 1, 2]");
  CHECK_THROWS_WITH(
      batch_norm_frozen(x, two, three, two, two),
      "batch_norm_frozen: bias must have shape [2] for x of shape [1, 1, 1, 2], got [3]");
  CHECK(batch_norm_frozen(Tensor({0, 2}), two, two, two, two).shape() == Shape{0, 2});
}
