#include <cmath>

#include "layers/schedule.h"
#include "tests/catch.h"

using namespace boxgrad::nn;

TEST_CASE("schedules are what their formulas say", "[schedule]") {
  CHECK(constant()(1000) == 1);
  CHECK(constant(0.5)(0) == 0.5);

  const Schedule steps = step(100);
  CHECK(steps(0) == 1);
  CHECK(steps(99) == 1);
  CHECK(steps(100) == Approx(0.1));
  CHECK(steps(250) == Approx(0.01));

  const Schedule milestones = multistep({8, 11}, 0.5);
  CHECK(milestones(7) == 1);
  CHECK(milestones(8) == 0.5);
  CHECK(milestones(10) == 0.5);
  CHECK(milestones(11) == 0.25);

  const Schedule warm = warm_up(4, 0.2);
  CHECK(warm(0) == Approx(0.2));
  CHECK(warm(1) == Approx(0.4));
  CHECK(warm(3) == Approx(0.8));
  CHECK(warm(4) == 1);
  CHECK(warm(400) == 1);
  CHECK(warm_up(0)(0) == 1);

  const Schedule half_wave = cosine(10, 20, 0.1);
  CHECK(half_wave(0) == 1);
  CHECK(half_wave(10) == 1);
  CHECK(half_wave(15) == Approx(0.55));
  CHECK(half_wave(20) == Approx(0.1));
  CHECK(half_wave(99) == Approx(0.1));

  const Schedule both = warm_up(4, 0.2) * multistep({3});
  CHECK(both(2) == Approx(0.6));
  CHECK(both(3) == Approx(0.08));
  CHECK(both(9) == Approx(0.1));
}

TEST_CASE("warm_up_multistep has the same shares of any length", "[schedule]") {
  for (const std::int64_t n : {40, 1500, 70000}) {
    const Schedule shares = warm_up_multistep(n, 0.05, {0.5, 0.75}),
                   steps = warm_up(n / 20 + 1, 0.1) * multistep({n / 2, n * 3 / 4});
    bool same = true;
    for (std::int64_t i = 0; i < n + 10; ++i) same = same && shares(i) == steps(i);
    INFO(n);
    CHECK(same);
  }
  CHECK(warm_up_multistep(70000, 0, {5. / 7})(49999) == 1);
  CHECK(warm_up_multistep(70000, 0, {5. / 7})(50000) == 0.1);
  CHECK(warm_up_multistep(10, 0, {})(0) == 1);
}

TEST_CASE("schedules explain what is out of range", "[schedule][errors]") {
  CHECK_THROWS_WITH(step(0), "step: size must be > 0, got 0");
  CHECK_THROWS_WITH(step(1, -1), "step: gamma must be >= 0, got -1");
  CHECK_THROWS_WITH(multistep({5, 5}),
                    "multistep: milestones must rise from 0 or more, got 5 at position 1");
  CHECK_THROWS_WITH(warm_up(-1), "warm_up: iterations must be >= 0, got -1");
  CHECK_THROWS_WITH(warm_up(5, 2), "warm_up: start must be in [0, 1], got 2");
  CHECK_THROWS_WITH(warm_up_multistep(-1, 0, {}),
                    "warm_up_multistep: iterations must be >= 0, got -1");
  CHECK_THROWS_WITH(cosine(5, 5), "cosine: must have 0 <= begin < end, got 5 and 5");
  CHECK_THROWS_WITH(constant(std::nan("")), ContainsSubstring("constant: factor must be >= 0"));
  CHECK_THROWS_WITH(constant()(-1), "schedule: iteration must be >= 0, got -1");
}
