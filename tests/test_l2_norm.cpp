#include <cmath>
#include <vector>

#include "core/autograd.h"
#include "core/parallel.h"
#include "layers/l2_norm.h"
#include "tests/check_gradients.h"

using namespace boxgrad;

namespace {

/// The input of tests/golden/l2_norm.py.
Tensor numbers(const Shape& shape) {
  Tensor t(shape);
  for (std::int64_t i = 0; i < t.numel(); ++i)
    t.data()[static_cast<std::size_t>(i)] = static_cast<Scalar>((7 * i * i + 3 * i) % 23) / 4 - 2;
  return t;
}

}  // namespace

TEST_CASE("l2_norm of (3, 4) times 20 is (12, 16)", "[l2_norm]") {
  nn::L2Norm norm(2);
  CHECK(norm.weight.to_vector() == std::vector<Scalar>{20, 20});
  const Tensor y = norm(Tensor({1, 1, 1, 2}, {3, 4}));
  CHECK(relative_error(y, Tensor({1, 1, 1, 2}, {12, 16})) < 1e-6);
  CHECK(norm.parameters().front().first == "weight");
}

TEST_CASE("l2_norm matches torch", "[l2_norm]") {
  // tests/golden/l2_norm.py
  const Shape shape{1, 2, 2, 3};
  Tensor x = numbers(shape), w({3}, {20, 10, -5}), dy(shape);
  for (int i = 0; i < 12; ++i)
    dy.data()[static_cast<std::size_t>(i)] = static_cast<Scalar>((5 * i) % 7) / 2 - Scalar(1.5);
  x.requires_grad_(), w.requires_grad_();
  const Tensor y = l2_norm(x, w);
  CHECK(relative_error(
            y, Tensor(shape, {Scalar(-18.23369223), Scalar(2.27921153), Scalar(-1.70940865),
                              Scalar(-18.25741858), Scalar(1.82574186), Scalar(1.82574186),
                              Scalar(12.19113831), Scalar(7.45014008), Scalar(-1.35457092),
                              Scalar(15.32812631), Scalar(6.27059713), Scalar(0.69673301)})) <
        1e-5);
  y.backward(dy);
  CHECK(relative_error(
            x.grad(), Tensor(shape, {Scalar(-1.36160689), Scalar(1.48000749), Scalar(-4.61762336),
                                     Scalar(0.0), Scalar(8.03326418), Scalar(4.01663209),
                                     Scalar(0.36660406), Scalar(-0.30446778), Scalar(0.01242726),
                                     Scalar(1.1161257), Scalar(-1.8737383), Scalar(-2.29313099)})) <
        1e-5);
  CHECK(relative_error(w.grad(), Tensor({3}, {Scalar(1.97561939), Scalar(-1.24279829),
                                              Scalar(-0.12067991)})) < 1e-5);
}

TEST_CASE("l2_norm gradient", "[l2_norm][gradcheck]") {
  const auto f = [](const auto& in) { return l2_norm(in[0], in[1]); };
  check_gradients(f, {numbers({2, 2, 3, 3}), Tensor({3}, {2, -1, 0.5})});
  check_gradients(f, {numbers({3, 1}), Tensor({1}, {2})});
  check_gradients(f, {numbers({1, 2, 2, 35}), numbers({35})});  // registers and a rest
  // Near zero eps decides.
  check_gradients([](const auto& in) { return l2_norm(in[0], in[1], Scalar(0.5)); },
                  {Tensor({2, 3}, {0, 0, 0, 0.1, -0.2, 0.3}), Tensor({3}, {1, 2, 3})});
}

TEST_CASE("l2_norm of a position of zeros is finite, back and forth", "[l2_norm]") {
  Tensor x({1, 1, 1, 3}), w = Tensor::ones({3});
  x.requires_grad_();
  const Tensor y = l2_norm(x, w);
  CHECK(y.to_vector() == std::vector<Scalar>{0, 0, 0});
  y.backward(Tensor::ones(y.shape()));
  for (const Scalar g : x.grad().to_vector()) CHECK(std::isfinite(g));
}

TEST_CASE("l2_norm gives the same bits for any number of threads", "[l2_norm]") {
  const int before = num_threads();
  Random random(3);
  const Tensor start = Tensor::randn({2, 40, 41, 37}, random);
  const Tensor scales = Tensor::randn({37}, random), dy = Tensor::randn(start.shape(), random);
  std::vector<std::vector<Scalar>> dxs, dws;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    Tensor x = start.clone(), w = scales.clone();
    x.requires_grad_(), w.requires_grad_();
    l2_norm(x, w).backward(dy);
    dxs.push_back(x.grad().to_vector()), dws.push_back(w.grad().to_vector());
  }
  set_num_threads(before);
  CHECK(dxs[1] == dxs[0]);
  CHECK(dxs[2] == dxs[0]);
  CHECK(dws[1] == dws[0]);
  CHECK(dws[2] == dws[0]);
}

TEST_CASE("l2_norm of an empty batch is empty", "[l2_norm]") {
  Tensor x({0, 2, 2, 3}), w = Tensor::ones({3});
  w.requires_grad_();
  const Tensor y = l2_norm(x, w);
  CHECK(y.shape() == x.shape());
  y.backward(Tensor(y.shape()));
  CHECK(w.grad().to_vector() == std::vector<Scalar>{0, 0, 0});
}

TEST_CASE("l2_norm explains what does not fit", "[l2_norm][errors]") {
  CHECK_THROWS_WITH(l2_norm(Tensor({1, 2, 2, 3}), Tensor({2})),
                    "l2_norm: weight must have shape [3] for x of shape [1, 2, 2, 3], got [2]");
  CHECK_THROWS_WITH(l2_norm(Tensor({2, 3}), Tensor({3}), 0), "l2_norm: eps must be > 0, got 0");
  CHECK_THROWS_WITH(nn::L2Norm(0), "L2Norm: channels must be >= 1, got 0");
}
