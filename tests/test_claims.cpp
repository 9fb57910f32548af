// detection/training/claims.h.
#include <limits>

#include "detection/training/claims.h"
#include "tests/catch.h"

using namespace boxgrad::detection;

namespace {

Verdict verdict(Effect effect, double size, std::vector<double> larger,
                std::vector<double> smaller) {
  return judge({.what = "x",
                .effect = effect,
                .size = size,
                .larger = std::move(larger),
                .smaller = std::move(smaller)});
}

}  // namespace

TEST_CASE("judge: differences", "[claims]") {
  const auto difference = [](double size, std::vector<double> better) {
    return verdict(Effect::difference, size, std::move(better), {1, 2, 3});
  };
  CHECK(difference(1, {2, 3, 4}) == Verdict::reproduced);
  CHECK(difference(2, {2, 3, 4}) == Verdict::reproduced);  // half of it is enough
  CHECK(difference(2.1, {2, 3, 4}) == Verdict::direction_only);
  CHECK(difference(0.1, {2, 3, 4}) == Verdict::reproduced);  // more than in the paper
  CHECK(difference(1, {1, 2, 3}) == Verdict::not_seen);
  CHECK(difference(1, {0, 1, 2}) == Verdict::not_seen);
  // Effects 4, 0, 0: mean 1.33, standard error 1.33.
  CHECK(difference(1, {5, 2, 3}) == Verdict::not_seen);
  // Paired: the seeds differ more from each other than the sides do, but always the same way.
  CHECK(verdict(Effect::difference, 0.5, {10.4, 20.5, 30.6}, {10, 20, 30}) == Verdict::reproduced);
  CHECK(verdict(Effect::difference, 1, {2}, {1}) == Verdict::reproduced);
  // The paper names no figure: its direction is the claim.
  CHECK(difference(0, {1.1, 2.1, 3.1}) == Verdict::reproduced);
  CHECK(difference(0, {5, 2, 3}) == Verdict::not_seen);
  CHECK(difference(0, {0, 1, 2}) == Verdict::not_seen);
}

TEST_CASE("judge: ratios and costs", "[claims]") {
  CHECK(verdict(Effect::ratio, 100, {60, 50}, {1, 1}) == Verdict::reproduced);
  CHECK(verdict(Effect::ratio, 100, {40, 41}, {1, 1}) == Verdict::direction_only);
  CHECK(verdict(Effect::ratio, 100, {1, 1}, {2, 2}) == Verdict::not_seen);
  CHECK(verdict(Effect::ratio, 2, {1, 4}, {1, 1}) == Verdict::not_seen);  // once, and then not
  CHECK(verdict(Effect::ratio, 1.43, {1.05, 1.06}, {1, 1}) == Verdict::direction_only);
  CHECK(verdict(Effect::ratio, 1.43, {1.22, 1.23}, {1, 1}) == Verdict::reproduced);
  CHECK(verdict(Effect::ratio, 0, {1.05, 1.06}, {1, 1}) == Verdict::reproduced);
  CHECK(verdict(Effect::ratio, 0, {1, 1}, {1.05, 1.06}) == Verdict::not_seen);
  CHECK(verdict(Effect::no_loss, 0.3, {60, 61}, {59.9, 60.8}) == Verdict::reproduced);
  CHECK(verdict(Effect::no_loss, 0.3, {60, 61}, {59, 61.8}) == Verdict::not_seen);  // noise
  CHECK(verdict(Effect::no_loss, 0.3, {60, 61}, {61, 62}) == Verdict::reproduced);
  CHECK(verdict(Effect::no_loss, 0.3, {60, 61}, {58.9, 60}) == Verdict::not_seen);
}

TEST_CASE("judge explains what does not fit", "[claims][errors]") {
  CHECK_THROWS_WITH(verdict(Effect::difference, 1, {1, 2}, {1}),
                    "judge: \"x\" needs figures for both sides by the same seeds, got 2 and 1");
  CHECK_THROWS_WITH(verdict(Effect::difference, 1, {}, {}),
                    "judge: \"x\" needs figures for both sides by the same seeds, got 0 and 0");
  CHECK_THROWS_WITH(verdict(Effect::difference, -1, {1}, {1}),
                    "judge: \"x\": size must be >= 0, got -1");
  CHECK_THROWS_WITH(verdict(Effect::no_loss, 0, {1}, {1}), "judge: \"x\": size must be > 0, got 0");
  CHECK_THROWS_WITH(verdict(Effect::ratio, 2, {1}, {0}), "judge: \"x\": a ratio of 1 and 0");
  CHECK_THROWS_WITH(markdown_table({"a", "b"}, {{"1"}}),
                    "markdown_table: a row has 1 cells, expected 2");
}

TEST_CASE("figures and tables as text", "[claims]") {
  CHECK(standard_deviation({1, 2, 3}) == Approx(1));
  CHECK(standard_deviation({5}) == 0);
  CHECK(mean_and_spread({0.5, 0.6, 0.7}, 2) == "0.60 ± 0.10");
  CHECK(mean_and_spread({0.5}, 1) == "0.5");
  const auto rows = claim_rows({{.what = "faster",
                                 .source = "table 4",
                                 .paper = "146 times",
                                 .effect = Effect::ratio,
                                 .size = 146,
                                 .larger = {200},
                                 .smaller = {5},
                                 .unit = "ms",
                                 .digits = 0}});
  CHECK(rows ==
        std::vector<std::vector<std::string>>{
            {"faster", "146 times (table 4)", "200 against 5 ms: 40 times", "direction only"}});
  CHECK(markdown_table({"run", "AP"}, {{"λ = 0", ".5"}, {"a longer name", ".61"}}) ==
        "| run           | AP  |\n"
        "|---------------|-----|\n"
        "| λ = 0         | .5  |\n"
        "| a longer name | .61 |\n");
}
