#include <algorithm>
#include <set>

#include "detection/matcher.h"
#include "detection/sampler.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;
using Indices = std::vector<std::int64_t>;

namespace {

/// `positives` anchors with a truth, then `negatives` without, then `ignored`.
Indices anchors(int positives, int negatives, int ignored = 0) {
  Indices truth(static_cast<std::size_t>(positives), 0);
  truth.insert(truth.end(), static_cast<std::size_t>(negatives), kUnmatched);
  truth.insert(truth.end(), static_cast<std::size_t>(ignored), kIgnored);
  return truth;
}

std::vector<Scalar> random_losses(std::size_t n, Random& random) {
  std::vector<Scalar> losses(n);
  for (Scalar& loss : losses) loss = static_cast<Scalar>(random.uniform(0, 5));
  return losses;
}

void check_drawn_from(const Indices& chosen, const Indices& truth, bool positive) {
  CHECK(std::set<std::int64_t>(chosen.begin(), chosen.end()).size() == chosen.size());
  for (const std::int64_t a : chosen) {
    const std::int64_t t = truth[static_cast<std::size_t>(a)];
    CHECK((positive ? t >= 0 : t == kUnmatched));
  }
}

}  // namespace

TEST_CASE("mine_hard_negatives takes the hardest three per positive", "[sampler]") {
  // golden/detection.py: cross entropies of six default boxes of which 0 and 5 are matched.
  const Indices truth{0, -1, -1, -1, -1, 1};
  const std::vector<Scalar> ce{.551445, .239545, 1.098612, 3.169846, .551445, .551445};
  const auto loss = [&](const Selection& s) {
    double sum = 0;
    for (const std::int64_t a : s.all())
      sum += static_cast<double>(ce[static_cast<std::size_t>(a)]);
    return sum / static_cast<double>(s.positives.size());
  };
  const Selection one = mine_hard_negatives(truth, ce, {.negatives_per_positive = 1});
  CHECK(one.positives == Indices{0, 5});
  CHECK(one.negatives == Indices{3, 2});
  CHECK(loss(one) == Approx(2.685674));
  // Only four negatives exist; the positives are not counted twice to make up six.
  const Selection three = mine_hard_negatives(truth, ce);
  CHECK(three.negatives == Indices{3, 2, 4, 1});
  CHECK(loss(three) == Approx(3.081169));
}

TEST_CASE("mine_hard_negatives: min_negatives, ties, ignored anchors", "[sampler]") {
  const std::vector<Scalar> losses{1, 3, 2, 3, 9};
  const Indices empty_image{-1, -1, -1, -1, kIgnored};
  CHECK(mine_hard_negatives(empty_image, losses).negatives.empty());
  CHECK(mine_hard_negatives(empty_image, losses, {.min_negatives = 3}).negatives ==
        Indices{1, 3, 2});
  CHECK(mine_hard_negatives({}, {}).all().empty());
}

TEST_CASE("sample_minibatch: 16 positives and the 48 hardest negatives", "[sampler]") {
  Random random(1);
  const Indices truth = anchors(30, 200, 20);
  const auto losses = random_losses(truth.size(), random);
  const Selection s = sample_minibatch(truth, losses, random);
  CHECK(s.positives.size() == 16);
  REQUIRE(s.negatives.size() == 48);
  check_drawn_from(s.positives, truth, true);
  check_drawn_from(s.negatives, truth, false);
  CHECK(std::is_sorted(s.positives.begin(), s.positives.end()));

  // Brute force: the 48 largest losses among the negatives.
  std::vector<Scalar> all(losses.begin() + 30, losses.begin() + 230), chosen;
  std::sort(all.rbegin(), all.rend());
  for (const std::int64_t a : s.negatives) chosen.push_back(losses[static_cast<std::size_t>(a)]);
  CHECK(chosen == std::vector<Scalar>(all.begin(), all.begin() + 48));
}

TEST_CASE("sample_minibatch with too few positives keeps the ratio or fills", "[sampler]") {
  Random random(2);
  const Indices truth = anchors(5, 200);
  const auto losses = random_losses(truth.size(), random);
  const auto sizes = [&](const Indices& truth, const MinibatchOptions& options) {
    const Selection s =
        sample_minibatch(truth, std::span(losses).first(truth.size()), random, options);
    return std::pair(s.positives.size(), s.negatives.size());
  };
  using Sizes = std::pair<std::size_t, std::size_t>;
  CHECK(sizes(truth, {}) == Sizes{5, 15});
  CHECK(sizes(truth, {.fill = true}) == Sizes{5, 59});
  CHECK(sizes(anchors(0, 100), {}) == Sizes{0, 0});
  CHECK(sizes(anchors(0, 100), {.fill = true}) == Sizes{0, 64});
  CHECK(sizes(anchors(0, 100), {.min_negatives = 8}) == Sizes{0, 8});
  CHECK(sizes(anchors(100, 100), {.size = 8, .min_negatives = 7}) == Sizes{1, 7});
  CHECK(sizes(anchors(5, 3), {}) == Sizes{5, 3});
  CHECK(sizes(anchors(20, 0), {.fill = true}) == Sizes{16, 0});
}

TEST_CASE("the minibatch's positives are a random subset, the same for the same seed",
          "[sampler]") {
  const Indices truth = anchors(100, 0);
  const std::vector<Scalar> losses(100, 1);
  Random a(3), b(3), c(4);
  const Selection first = sample_minibatch(truth, losses, a);
  CHECK(first.positives == sample_minibatch(truth, losses, b).positives);
  CHECK(first.positives != sample_minibatch(truth, losses, c).positives);
  CHECK(first.positives != sample_minibatch(truth, losses, a).positives);
  // Each anchor is drawn about as often as any other: 16 of 100, 2,000 times.
  std::vector<int> drawn(100, 0);
  for (int i = 0; i < 2000; ++i)
    for (const std::int64_t p : sample_minibatch(truth, losses, a).positives)
      ++drawn[static_cast<std::size_t>(p)];
  CHECK(*std::min_element(drawn.begin(), drawn.end()) > 240);  // expected 320, deviation 16
  CHECK(*std::max_element(drawn.begin(), drawn.end()) < 400);
}

TEST_CASE("sample_balanced as RPN and as Fast R-CNN", "[sampler]") {
  Random random(5);
  const auto sizes = [&](const Indices& truth, const BalancedOptions& options) {
    const Selection s = sample_balanced(truth, random, options);
    check_drawn_from(s.positives, truth, true);
    check_drawn_from(s.negatives, truth, false);
    return std::pair(s.positives.size(), s.negatives.size());
  };
  using Sizes = std::pair<std::size_t, std::size_t>;
  CHECK(sizes(anchors(300, 3000, 50), {}) == Sizes{128, 128});
  CHECK(sizes(anchors(10, 3000, 50), {}) == Sizes{10, 246});
  CHECK(sizes(anchors(100, 3000), {.size = 64, .positive_fraction = .25}) == Sizes{16, 48});
  CHECK(sizes(anchors(100, 20), {.size = 64, .positive_fraction = .25}) == Sizes{16, 20});
  CHECK(sizes(anchors(0, 0, 9), {}) == Sizes{0, 0});
}

TEST_CASE("count_normalizers over a batch, never 0", "[sampler]") {
  const std::vector<Selection> batch{{{0, 1}, {2, 3, 4, 5, 6, 7}}, {{}, {1}}};
  CHECK(count_normalizers(batch).total == 9);
  CHECK(count_normalizers(batch).positives == 2);
  CHECK(count_normalizers({}).total == 1);
  CHECK(count_normalizers({}).positives == 1);
}

TEST_CASE("samplers explain what is wrong", "[sampler][errors]") {
  Random random(6);
  const Indices truth{0, -1};
  const std::vector<Scalar> one{1}, two{1, 2};
  CHECK_THROWS_WITH(mine_hard_negatives(truth, one),
                    "mine_hard_negatives: losses must have one number per anchor, 2, got 1");
  CHECK_THROWS_AS(mine_hard_negatives(truth, two, {.min_negatives = -1}), std::invalid_argument);
  CHECK_THROWS_WITH(sample_minibatch(truth, two, random, {.size = 0}),
                    "sample_minibatch: size must be >= 1, got 0");
  CHECK_THROWS_AS(sample_minibatch(truth, two, random, {.size = 4, .min_negatives = 5}),
                  std::invalid_argument);
  CHECK_THROWS_WITH(sample_balanced(truth, random, {.positive_fraction = 1.5}),
                    "sample_balanced: positive_fraction must be in [0, 1], got 1.5");
}
