// detection/training/step_plan.h.
#include <algorithm>
#include <vector>

#include "detection/training/step_plan.h"
#include "tests/catch.h"

using namespace boxgrad::detection;

namespace {

/// A training on a made-up machine: what it takes, and where it looked.
struct Played {
  double seconds = 0;
  std::int64_t steps = 0;
  std::vector<std::int64_t> looks = {};
};

/// A step takes step_seconds(its number), in the beginning seen as `first`; a look is expected to
/// take `expected`.
template <class StepSeconds>
Played play(double minutes, std::int64_t looks, double first, StepSeconds step_seconds,
            double look_seconds, double expected, std::int64_t behind = 0) {
  StepPlan plan(60 * minutes, looks, behind);
  Played played;
  if (looks > 0) plan.expect_look(expected);
  plan.set_pace(first, 0);
  std::int64_t total = plan.total(0, 0, 0);
  const auto last = [&] { return played.looks.empty() ? 0 : played.looks.back(); };
  const auto look = [&] {
    played.seconds += look_seconds;
    played.looks.push_back(played.steps);
    plan.add_look(look_seconds);
  };
  while (played.steps < total) {
    if (const auto now = plan.corrected(played.steps, last(), played.seconds)) total = *now;
    played.seconds += step_seconds(played.steps);
    ++played.steps;
    if (plan.is_look(played.steps, total, last())) look();
  }
  if (looks > 0) look();
  played.seconds += static_cast<double>(behind) * look_seconds;
  return played;
}

}  // namespace

TEST_CASE("StepPlan: the look at the end is paid for", "[step_plan]") {
  const auto steady = [](std::int64_t) { return 0.1; };
  // 60 s, five looks of 4 s: 40 s for steps.
  const Played known = play(1, 5, 0.1, steady, 4, 4);
  CHECK(known.seconds == Approx(60).margin(0.2));
  CHECK(known.looks.size() == 5);
  CHECK(known.looks[0] == 80);
  CHECK(known.looks.back() == known.steps);
  CHECK(play(1, 0, 0.1, steady, 0, 0).seconds == Approx(60).margin(0.2));
  // And so are those of the caller.
  const Played measured = play(1, 5, 0.1, steady, 4, 4, 1);
  CHECK(measured.seconds == Approx(60).margin(0.2));
  CHECK(measured.looks.size() == 5);
  CHECK(static_cast<double>(measured.steps) == Approx(360).margin(2));
  CHECK(play(1, 5, 0.1, steady, 9, 9, 1).looks.size() == 2);  // of the three that fit
  // One look, of which nothing is known before: that alone may come on top.
  CHECK(play(1, 1, 0.1, steady, 4, 3).seconds == Approx(61).margin(0.2));
}

TEST_CASE("StepPlan: minutes are kept whatever steps and looks come to", "[step_plan]") {
  for (const double minutes : {1., 5.})
    for (const double look : {0.2, 1., 4.})
      for (const double expected : {0.5, 1., 2.})
        for (const double slower : {0.5, 1., 3.})
          for (const std::int64_t looks : {2, 4, 5}) {
            INFO(minutes << " minutes, " << looks << " looks of " << look << " s, expected times "
                         << expected << ", steps " << slower << " times as slow in the end");
            const auto step = [&](std::int64_t i) {
              return 0.02 * (1 + (slower - 1) * std::min(1., double(i) / 1000));
            };
            const Played played = play(minutes, looks, 0.02, step, look, look * expected);
            CHECK(played.seconds > 0.9 * 60 * minutes);
            CHECK(played.seconds < 1.1 * 60 * minutes);
            CHECK(played.looks.back() == played.steps);
            CHECK(played.looks.size() >= 2);
            for (std::size_t k = 1; k < played.looks.size(); ++k)
              CHECK(played.looks[k] > played.looks[k - 1]);
          }
}

TEST_CASE("StepPlan: half of the time is for steps", "[step_plan]") {
  const auto steady = [](std::int64_t) { return 0.1; };
  const Played fewer = play(1, 5, 0.1, steady, 9, 9);  // five would take 45 s of 60
  CHECK(fewer.looks.size() == 3);
  CHECK(fewer.seconds == Approx(60).margin(1));
  const Played longer = play(1, 5, 0.1, steady, 50, 50);
  CHECK(longer.looks.size() == 1);
  CHECK(longer.seconds == Approx(80).margin(0.2));
}

TEST_CASE("StepPlan: the looks that were expected are those to go on with", "[step_plan]") {
  StepPlan whole(60, 5);
  whole.expect_look(9);
  CHECK(whole.looks() == 3);
  StepPlan resumed(60, 5);
  resumed.set_looks(whole.looks());
  for (std::int64_t step = 1; step < 300; ++step)
    CHECK(resumed.is_look(step, 300, step / 100 * 100) ==
          whole.is_look(step, 300, step / 100 * 100));
}

TEST_CASE("StepPlan: looks are spread over a given number of steps", "[step_plan]") {
  const auto looks = [](std::int64_t total, std::int64_t wished) {
    const StepPlan plan(0, wished);
    std::vector<std::int64_t> at;
    for (std::int64_t step = 1; step <= total; ++step)
      if (plan.is_look(step, total, at.empty() ? 0 : at.back())) at.push_back(step);
    return at;
  };
  CHECK(looks(25, 3) == std::vector<std::int64_t>{9, 18});
  CHECK(looks(4, 5) == std::vector<std::int64_t>{1, 2, 3});
  CHECK(looks(10, 1).empty());
  CHECK(looks(10, 0).empty());
}
