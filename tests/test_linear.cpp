#include <cmath>

#include "core/ops.h"
#include "core/parallel.h"
#include "layers/linear.h"
#include "tests/check_gradients.h"

using namespace boxgrad;

namespace {

template <class F>
Tensor wave(Shape shape, F f) {
  Tensor t(std::move(shape));
  for (std::int64_t i = 0; i < t.numel(); ++i)
    t.data()[static_cast<std::size_t>(i)] = static_cast<Scalar>(f(static_cast<double>(i)));
  return t;
}

Tensor normal(Shape shape, std::uint64_t seed) {
  Random random(seed);
  return Tensor::randn(std::move(shape), random);
}

struct Expected {
  Activation activation;
  Tensor y, dx, dw, db;
};

}  // namespace

TEST_CASE("linear matches torch", "[linear]") {
  // tests/golden/layers.py
  const std::vector<Expected> cases = {
      {Activation::none,
       Tensor({2, 4}, {-2.62929979, -2.55917962, 0.47995942, 2.95364459, 3.20129058, 2.74110457,
                       0.37688057, -2.45802706}),
       Tensor({2, 3},
              {10.52369946, -5.42426460, -3.43262756, 27.06039313, -17.12086898, -4.67849954}),
       Tensor({3, 4}, {0.70560004, -0.84672005, 0.98784006, -1.12896006, -2.94254149, 2.85787300,
                       -2.77320451, 2.68853602, -3.88532395, 3.93495079, -3.98457764, 4.03420449}),
       Tensor({4}, {6, -8, 10, -12})},
      {Activation::relu,
       Tensor({2, 4}, {0, 0, 0.47995942, 2.95364459, 3.20129058, 2.74110457, 0.37688057, 0}),
       Tensor({2, 3},
              {10.84611791, -0.54039263, -10.13966952, -4.61936676, 7.00400316, -4.53687721}),
       Tensor({3, 4}, {0.70560004, -0.84672005, 0.98784006, 0, -3.78401248, 4.54081497, -2.77320451,
                       -3.36588394, -4.79462137, 5.75354565, -3.98457764, -3.63718971}),
       Tensor({4}, {5, -6, 10, -4})}};
  for (const auto& [activation, y, dx, dw, db] : cases) {
    Tensor x = wave({2, 3}, [](double i) { return std::sin(i); }).requires_grad_();
    Tensor w = wave({3, 4}, [](double i) { return 4 * std::cos(i); }).requires_grad_();
    Tensor b({4}, {Scalar(0.1), Scalar(-0.2), Scalar(0.3), Scalar(0.4)});
    b.requires_grad_();
    const Tensor out = linear(x, w, b, activation);
    out.backward(Tensor({2, 4}, {1, -2, 3, -4, 5, -6, 7, -8}));
    CHECK(relative_error(out, y) < 2e-6);
    CHECK(relative_error(x.grad(), dx) < 2e-6);
    CHECK(relative_error(w.grad(), dw) < 2e-6);
    CHECK(relative_error(b.grad(), db) < 2e-6);
  }
}

TEST_CASE("linear is a matrix product, a sum and a clamp", "[linear]") {
  const Tensor x = normal({2, 3, 5}, 1), w = normal({5, 4}, 2) * Scalar(4), b = normal({4}, 3);
  const Tensor z = matmul(x.view_as({6, 5}), w);
  CHECK(relative_error(linear(x, w), z.view_as({2, 3, 4})) < 1e-6);
  CHECK(relative_error(linear(x, w, b, Activation::relu6), clamp(z + b, 0, 6).view_as({2, 3, 4})) <
        1e-6);
  CHECK(linear(normal({5}, 1), w).shape() == Shape{4});
  CHECK(linear(Tensor({0, 5}), w, b).shape() == Shape{0, 4});
}

namespace {

/// x, w, b for which no z is near a kink of relu or relu6.
std::vector<Tensor> smooth_inputs(std::int64_t rows, std::int64_t in, std::int64_t out) {
  for (std::uint64_t seed = 1;; seed += 3) {
    const std::vector<Tensor> t = {normal({1, rows, in}, seed), normal({in, out}, seed + 1),
                                   normal({out}, seed + 2)};
    bool smooth = true;
    for (const bool bias : {false, true}) {
      const Tensor z = linear(t[0], t[1], bias ? t[2] : Tensor());
      for (const Scalar v : z.data())
        smooth = smooth && std::abs(v) > Scalar(0.08) && std::abs(v - 6) > Scalar(0.08);
    }
    if (smooth) return t;
  }
}

}  // namespace

TEST_CASE("linear gradient", "[linear][gradcheck]") {
  for (const Activation activation : {Activation::none, Activation::relu, Activation::relu6})
    for (const auto& [rows, in, out] : {std::tuple{1, 1, 1}, {3, 5, 4}, {5, 2, 3}}) {
      const std::vector<Tensor> t = smooth_inputs(rows, in, out);
      check_gradients([=](const auto& v) { return linear(v[0], v[1], v[2], activation); }, t);
      check_gradients([=](const auto& v) { return linear(v[0], v[1], {}, activation); },
                      {t[0].view_as({rows, in}), t[1]});
    }
}

TEST_CASE("linear gives the same bits for any number of threads", "[linear][threads]") {
  const int before = num_threads();
  // Large enough for core/blas.cpp to cut: all three products into columns; then dw into partial
  // sums over the rows.
  for (const auto& [rows, in, out] : {std::tuple{130, 700, 900}, {2048, 70, 90}}) {
    manual_seed(1);
    nn::Linear layer(in, out, {.activation = Activation::relu});
    std::vector<std::vector<Scalar>> results;
    for (const int threads : {1, 2, 3}) {
      set_num_threads(threads);
      layer.zero_grad();
      const Tensor x = normal({rows, in}, 1).requires_grad_();
      const Tensor y = layer(x);
      y.backward(normal(y.shape(), 2));
      results.emplace_back();
      for (const Tensor& t : {y.detach(), x.grad(), layer.weight.grad(), layer.bias.grad()})
        results.back().insert(results.back().end(), t.data().begin(), t.data().end());
    }
    INFO(rows << " rows, " << in << " -> " << out);
    CHECK((results[0] == results[1]));  // parentheses: without the numbers, which are many
    CHECK((results[0] == results[2]));
  }
  set_num_threads(before);
}

TEST_CASE("linear: frozen inputs, the module", "[linear]") {
  const Tensor x = normal({300, 70}, 1);
  manual_seed(1);
  nn::Linear layer(70, 90, {.activation = Activation::relu});
  CHECK(layer.parameter_count() == 70 * 90 + 90);
  for (const Scalar v : layer.weight.data())
    if (std::abs(v) > 1 / std::sqrt(Scalar(70))) FAIL("outside of torch's range");
  layer.weight.requires_grad_(false);
  sum(layer(x)).backward();
  CHECK_FALSE(layer.weight.has_grad());
  CHECK(layer.bias.has_grad());
  CHECK_FALSE(nn::Linear(3, 2, {.bias = false}).bias.defined());
}

TEST_CASE("linear explains a wrong shape", "[linear][errors]") {
  CHECK_THROWS_WITH(linear(Tensor({2, 4}), Tensor({3, 5})),
                    "linear: needs x [..., in] and weight [in, out], got [2, 4] and [3, 5]");
  CHECK_THROWS_WITH(linear(Tensor({2, 3}), Tensor({3, 5}), Tensor({3})),
                    "linear: bias must have shape [5], got [3]");
  CHECK_THROWS_WITH(nn::Linear(0, 3), "Linear: sizes must be >= 1, got 0 in and 3 out");
}
