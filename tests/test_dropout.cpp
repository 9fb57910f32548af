#include <cmath>

#include "core/parallel.h"
#include "layers/dropout.h"
#include "tests/check_gradients.h"

using namespace boxgrad;

TEST_CASE("dropout drops a share p and keeps the mean", "[dropout]") {
  manual_seed(1);
  const Tensor x({100003}, 3);
  for (const double p : {0.0, 0.1, 0.5, 0.9}) {
    const Tensor y = dropout(x, p);
    const Scalar kept = static_cast<Scalar>(1 / (1 - p)) * 3;
    double dropped = 0;
    for (const Scalar v : y.data()) {
      if (v != 0 && v != kept) FAIL("neither dropped nor scaled");
      dropped += v == 0 ? 1 : 0;
    }
    const double n = static_cast<double>(x.numel());
    CHECK(std::abs(dropped / n - p) <= 4 * std::sqrt(p * (1 - p) / n));
  }
}

TEST_CASE("dropout: one key per call, threads do not matter, the backward knows the mask",
          "[dropout]") {
  const Tensor x({50001}, 1);
  const int before = num_threads();
  std::vector<std::vector<Scalar>> first, second;
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    manual_seed(5);
    first.push_back(dropout(x).to_vector());
    second.push_back(dropout(x).to_vector());
  }
  set_num_threads(before);
  CHECK(first[0] == first[1]);
  CHECK(second[0] == second[1]);
  CHECK(first[0] != second[0]);
  CHECK(default_random().counter() == 4);

  Tensor leaf = x.clone().requires_grad_();
  const Tensor y = dropout(leaf, 0.3);
  y.backward(Tensor({50001}, 1));
  CHECK(leaf.grad().to_vector() == y.to_vector());  // as x and dy are 1
}

TEST_CASE("dropout gradient", "[dropout][gradcheck]") {
  for (const Shape& shape : {Shape{7}, Shape{2, 3, 5}})
    check_gradients(
        [](const auto& x) {
          manual_seed(9);  // the same mask in every evaluation
          return dropout(x[0], 0.4);
        },
        {Tensor::arange(shape.numel()).view_as(shape)});
}

TEST_CASE("Dropout is the identity in evaluation", "[dropout]") {
  nn::Dropout layer(0.5);
  const Tensor x({100}, 1);
  CHECK(layer(x).to_vector() != x.to_vector());
  layer.eval();
  const auto counter = default_random().counter();
  CHECK(layer(x).to_vector() == x.to_vector());
  CHECK(default_random().counter() == counter);
  CHECK_THROWS_WITH(nn::Dropout(1), "Dropout: p must be in [0, 1), got 1");
  CHECK_THROWS_WITH(dropout(x, -0.1), ContainsSubstring("dropout: p must be in [0, 1)"));
}
