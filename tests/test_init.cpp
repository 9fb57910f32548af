#include <cmath>

#include "core/parallel.h"
#include "layers/init.h"
#include "tests/catch.h"

using namespace boxgrad;
namespace init = boxgrad::nn::init;

namespace {

struct Moments {
  double mean = 0, variance = 0, largest = 0;
};

Moments moments(const Tensor& t) {
  Moments m;
  const double n = static_cast<double>(t.numel());
  for (const Scalar v : t.data()) m.mean += static_cast<double>(v) / n;
  for (const Scalar v : t.data()) {
    const double d = static_cast<double>(v) - m.mean;
    m.variance += d * d / n;
    m.largest = std::max(m.largest, std::abs(static_cast<double>(v)));
  }
  return m;
}

}  // namespace

TEST_CASE("fans of our layouts", "[init]") {
  CHECK(init::fans({128, 64}).in == 128);
  CHECK(init::fans({128, 64}).out == 64);
  CHECK(init::fans({3, 5, 16, 32}).in == 3 * 5 * 16);
  CHECK(init::fans({3, 5, 16, 32}).out == 3 * 5 * 32);
  CHECK(init::fans({3, 3, 1, 64}).in == 9);  // depthwise
}

TEST_CASE("initialisers have the variance they promise", "[init]") {
  manual_seed(7);
  Tensor w({3, 3, 32, 64});  // 18432 numbers: the variance is known to 1 %, tested to 4
  const double in = 9 * 32, out = 9 * 64;
  const auto check_variance = [&](double variance, double bound) {
    const Moments m = moments(w);
    CHECK(std::abs(m.mean) < 4 * std::sqrt(variance / static_cast<double>(w.numel())));
    CHECK(m.variance == Approx(variance).epsilon(0.04));
    if (bound > 0) CHECK(m.largest <= bound * 1.000001);
  };
  init::gaussian(w, 0.01);
  check_variance(1e-4, 0);
  init::xavier_uniform(w);
  check_variance(2 / (in + out), std::sqrt(6 / (in + out)));
  init::xavier_normal(w, 2);
  check_variance(4 * 2 / (in + out), 0);
  init::kaiming_uniform(w);
  check_variance(2 / in, std::sqrt(6 / in));
  init::kaiming_normal(w, init::FanMode::out);
  check_variance(2 / out, 0);
  init::gaussian(w, 0, 3);
  CHECK(moments(w).mean == Approx(3));
  init::constant(w, 0.5);
  CHECK(w.to_vector() == std::vector<Scalar>(18432, Scalar(0.5)));
  CHECK(init::prior_bias(0.01) == Approx(-4.59511985));
}

TEST_CASE("initialisers draw the stream in order, on any number of threads", "[init]") {
  const int before = num_threads();
  std::vector<Tensor> drawn;
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    manual_seed(11);
    drawn.emplace_back(Shape{40001});
    init::gaussian(drawn.back(), 1);
    drawn.emplace_back(Shape{40001});
    init::uniform(drawn.back(), -1, 1);
  }
  set_num_threads(before);
  CHECK(drawn[0].to_vector() == drawn[2].to_vector());
  CHECK(drawn[1].to_vector() == drawn[3].to_vector());
  Random random(11);
  for (const Scalar v : drawn[0].data())
    if (v != static_cast<Scalar>(random.normal())) FAIL("not the numbers of the stream");
  for (const Scalar v : drawn[1].data())
    if (v != static_cast<Scalar>(random.uniform(-1, 1))) FAIL("not the numbers of the stream");
  CHECK(default_random() == random);
}

TEST_CASE("initialisers explain what does not fit", "[init][errors]") {
  CHECK_THROWS_WITH(init::kaiming_normal(Tensor({3})),
                    "init: a weight must be [in, out] or [KH, KW, C_in, C_out] and not empty, "
                    "got [3]");
  CHECK_THROWS_WITH(init::xavier_uniform(Tensor({0, 3})), ContainsSubstring("not empty"));
  CHECK_THROWS_WITH(init::gaussian(Tensor({3}), -1), "init::gaussian: std must be >= 0, got -1");
  CHECK_THROWS_WITH(init::uniform(Tensor({3}), 1, 0), ContainsSubstring("low must be <= high"));
  CHECK_THROWS_WITH(init::prior_bias(0), ContainsSubstring("between 0 and 1, got 0"));
}
