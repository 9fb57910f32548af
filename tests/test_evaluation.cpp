#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "core/random.h"
#include "detection/boxes.h"
#include "detection/evaluation.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// The curve of detections that are hits (1) or not (0), best score first.
double ap_of_flags(const std::vector<int>& flags, int num_truths, ApMethod method,
                   bool strict = false) {
  std::vector<double> recall, precision;
  double hits = 0, seen = 0;
  for (const int flag : flags) {
    hits += flag;
    recall.push_back(hits / num_truths);
    precision.push_back(hits / ++seen);
  }
  return average_precision(recall, precision, method, strict);
}

/// The toy of golden/detection.py: three images, one class, boxes as inclusive pixel numbers.
void toy(std::vector<Detections>& detections, std::vector<Target>& targets) {
  targets = {{Tensor({2, 4}, {10, 10, 50, 50, 60, 60, 90, 90}), {1, 1}, {false, false}},
             {Tensor({2, 4}, {20, 20, 40, 40, 5, 5, 15, 15}), {1, 1}, {false, true}},
             {}};
  detections = {{Tensor({4, 4}, {12, 11, 51, 49, 11, 10, 50, 52, 60, 60, 90, 75, 58, 60, 92, 90}),
                 {1, 1, 1, 1},
                 {.95, .90, .60, .50}},
                {Tensor({2, 4}, {5, 5, 15, 15, 22, 20, 42, 40}), {1, 1}, {.85, .80}},
                {Tensor({1, 4}, {1, 1, 20, 20}), {1}, {.70}}};
}

void check_toy(const EvaluationResult& result, double first_iou) {
  const ClassResult& c = result.classes.at(0);
  CHECK(c.num_truths == 3);
  CHECK(c.num_difficult == 1);
  std::vector<std::string> outcomes;
  for (const auto& outcome : c.outcomes) outcomes.push_back(to_string(outcome.outcome));
  CHECK(outcomes ==
        std::vector<std::string>{"hit", "duplicate", "ignored", "hit", "miss", "hit", "duplicate"});
  CHECK(c.outcomes[0].iou == Approx(first_iou).epsilon(1e-4));
  CHECK(c.outcomes[0].truth == 0);
  CHECK(c.outcomes[4].image == 2);
  CHECK(c.outcomes[4].truth == -1);
  const double recall[] = {1, 1, 1, 2, 2, 3, 3};
  const double precision[] = {1, .5, .5, 2 / 3., .5, .6, .5};
  for (std::size_t k = 0; k < 7; ++k) {
    CHECK(c.recall[k] == Approx(recall[k] / 3));
    CHECK(c.precision[k] == Approx(precision[k]));
  }
  CHECK(c.missed.empty());
}

/// Random boxes and labels on a small canvas, so that overlaps and ties are frequent.
template <class Labelled>
Labelled random_boxes(std::int64_t n, std::int64_t num_classes, Random& random) {
  Labelled labelled;
  labelled.boxes = Tensor({n, 4});
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t x = random.below(6), y = random.below(6);
    const std::int64_t corners[] = {x, y, x + 2 + random.below(5), y + 2 + random.below(5)};
    for (std::int64_t c = 0; c < 4; ++c)
      labelled.boxes.set({i, c}, static_cast<Scalar>(corners[c]));
    labelled.labels.push_back(1 + random.below(num_classes));
  }
  return labelled;
}

/// AP of a class written down a second time, from the definition: average over the truths k of the
/// best precision that any cut-off with at least k hits has.
double naive_ap(const std::vector<Detections>& detections, const std::vector<Target>& targets,
                std::int64_t label, double threshold, ApMethod method) {
  std::vector<std::tuple<Scalar, std::size_t, std::size_t>> order;
  int num_truths = 0;
  for (std::size_t n = 0; n < targets.size(); ++n) {
    for (std::size_t d = 0; d < detections[n].labels.size(); ++d)
      if (detections[n].labels[d] == label) order.push_back({-detections[n].scores[d], n, d});
    for (std::size_t g = 0; g < targets[n].labels.size(); ++g)
      num_truths += targets[n].labels[g] == label && !targets[n].difficult[g];
  }
  std::sort(order.begin(), order.end());
  std::vector<std::pair<std::size_t, std::size_t>> used;
  std::vector<std::pair<int, int>> hits_and_seen;  // after each detection that counts
  int hits = 0, seen = 0;
  for (const auto& [score, n, d] : order) {
    const Tensor iou = box_iou(detections[n].boxes, targets[n].boxes);
    double best = -1;
    std::size_t best_g = 0;
    for (std::size_t g = 0; g < targets[n].labels.size(); ++g) {
      const double value =
          static_cast<double>(iou.at({static_cast<std::int64_t>(d), static_cast<std::int64_t>(g)}));
      if (targets[n].labels[g] == label && value > best) best = value, best_g = g;
    }
    if (best > threshold && targets[n].difficult[best_g]) continue;
    ++seen;
    const std::pair key(n, best_g);
    if (best > threshold && std::find(used.begin(), used.end(), key) == used.end()) {
      used.push_back(key);
      ++hits;
    }
    hits_and_seen.push_back({hits, seen});
  }
  const auto best_precision = [&](auto enough) {
    double best = 0;
    for (const auto& [h, s] : hits_and_seen)
      if (enough(h)) best = std::max(best, static_cast<double>(h) / s);
    return best;
  };
  double sum = 0;
  if (method == ApMethod::area) {
    for (int k = 1; k <= num_truths; ++k) sum += best_precision([k](int h) { return h >= k; });
    return sum / num_truths;
  }
  for (int j = 0; j <= 10; ++j)
    sum += best_precision([&](int h) { return 10 * h >= j * num_truths; });
  return sum / 11;
}

}  // namespace

// Golden values: tests/golden/detection.py (py-faster-rcnn's voc_eval with numpy's thresholds, and
// with j / 10).
TEST_CASE("average_precision of known curves", "[evaluation]") {
  struct Case {
    std::vector<int> flags;
    int num_truths;
    double numpy, eleven, area;
  };
  const Case cases[] = {
      {{1, 0, 1, 1, 0, 0, 1}, 5, .633117, .649351, .614286},
      {{1, 1, 1}, 3, 1, 1, 1},
      {{0, 1}, 1, .5, .5, .5},
      {{1}, 2, .545455, .545455, .5},
      {{0, 0}, 2, 0, 0, 0},
      {{1, 0, 1, 0, 1, 0, 1, 0, 1, 0}, 10, .396825, .399423, .339365},
      {{1, 1, 1, 1, 1, 1, 1}, 10, 7 / 11., 8 / 11., .7},
      {{1, 1, 1}, 10, 3 / 11., 4 / 11., .3},
      {{1, 1, 1, 1, 1, 1}, 10, 6 / 11., 7 / 11., .6},
      {{}, 4, 0, 0, 0},
  };
  for (const Case& c : cases) {
    INFO(c.flags.size() << " flags, " << c.num_truths << " truths");
    CHECK(ap_of_flags(c.flags, c.num_truths, ApMethod::eleven_point, true) ==
          Approx(c.numpy).epsilon(1e-5));
    CHECK(ap_of_flags(c.flags, c.num_truths, ApMethod::eleven_point) ==
          Approx(c.eleven).epsilon(1e-5));
    CHECK(ap_of_flags(c.flags, c.num_truths, ApMethod::area) == Approx(c.area).epsilon(1e-5));
  }
}

TEST_CASE("evaluate_detections on the toy of three images", "[evaluation]") {
  std::vector<Detections> detections;
  std::vector<Target> targets;
  toy(detections, targets);
  EvaluationOptions options{.inclusive = true};
  const EvaluationResult area = evaluate_detections(detections, targets, 1, options);
  check_toy(area, .8843);
  CHECK(area.mean_ap.value() == Approx(.755556).epsilon(1e-5));
  CHECK(area.classes[0].outcomes[1].iou == Approx(.9313).epsilon(1e-4));
  CHECK(area.classes[0].outcomes[3].iou == Approx(.8261).epsilon(1e-4));
  CHECK(area.classes[0].outcomes[5].iou == Approx(.5161).epsilon(1e-4));
  CHECK(area.classes[0].outcomes[6].iou == Approx(.8857).epsilon(1e-4));
  options.method = ApMethod::eleven_point;
  CHECK(evaluate_detections(detections, targets, 1, options).mean_ap.value() ==
        Approx(.763636).epsilon(1e-5));

  // Converted to continuous coordinates (x1 - 1, y1 - 1, x2, y2) every overlap is the same,
  // without the + 1.
  const auto convert = [](Tensor boxes) {
    for (std::size_t i = 0; i < boxes.data().size(); ++i)
      if (i % 4 < 2) boxes.data()[i] -= 1;
  };
  for (const Target& target : targets) convert(target.boxes);
  for (const Detections& found : detections) convert(found.boxes);
  const EvaluationResult continuous = evaluate_detections(detections, targets, 1);
  check_toy(continuous, .884303);
  CHECK(continuous.mean_ap.value() == Approx(.755556).epsilon(1e-5));
}

TEST_CASE("evaluate_detections equals its definition on random cases", "[evaluation]") {
  Random random(21);
  int classes_with_truths = 0;
  for (int round = 0; round < 1000; ++round) {
    std::vector<Detections> detections;
    std::vector<Target> targets;
    const std::int64_t images = 1 + random.below(4), num_classes = 1 + random.below(3);
    for (std::int64_t n = 0; n < images; ++n) {
      targets.push_back(random_boxes<Target>(random.below(6), num_classes, random));
      for (std::size_t g = 0; g < targets.back().labels.size(); ++g)
        targets.back().difficult.push_back(random.bernoulli(.2));
      detections.push_back(random_boxes<Detections>(random.below(12), num_classes, random));
      for (std::size_t d = 0; d < detections.back().labels.size(); ++d)
        detections.back().scores.push_back(static_cast<Scalar>(random.below(8)) / 8);
    }
    for (const ApMethod method : {ApMethod::area, ApMethod::eleven_point}) {
      const double threshold = round % 2 == 0 ? .5 : .35;
      const EvaluationResult result = evaluate_detections(
          detections, targets, num_classes, {.iou_threshold = threshold, .method = method});
      for (const ClassResult& c : result.classes) {
        INFO("round " << round << ", class " << c.label);
        REQUIRE(c.ap.has_value() == (c.num_truths > 0));
        if (!c.ap) continue;
        ++classes_with_truths;
        REQUIRE(*c.ap ==
                Approx(naive_ap(detections, targets, c.label, threshold, method)).margin(1e-9));
        const auto hits = std::count_if(c.outcomes.begin(), c.outcomes.end(),
                                        [](const auto& o) { return o.outcome == Outcome::hit; });
        REQUIRE(hits + static_cast<std::int64_t>(c.missed.size()) == c.num_truths);
      }
    }
  }
  CHECK(classes_with_truths > 1000);
}

TEST_CASE("AP only depends on the order of scores; a last false alarm changes nothing",
          "[evaluation]") {
  std::vector<Detections> detections;
  std::vector<Target> targets;
  toy(detections, targets);
  const double ap = *evaluate_detections(detections, targets, 1).mean_ap;
  for (Detections& found : detections)
    for (Scalar& score : found.scores) score = std::exp(5 * score) - 100;
  CHECK(*evaluate_detections(detections, targets, 1).mean_ap == ap);

  Detections& last = detections[2];
  last = {Tensor({2, 4}, {1, 1, 20, 20, 3, 3, 9, 9}), {1, 1}, {last.scores[0], -1000}};
  CHECK(*evaluate_detections(detections, targets, 1).mean_ap == ap);
}

TEST_CASE("a class without truths is n/a and left out of the mean", "[evaluation]") {
  const std::vector<Target> targets{{Tensor({1, 4}, {0, 0, 10, 10}), {1}, {}}};
  const std::vector<Detections> detections{
      {Tensor({2, 4}, {0, 0, 10, 10, 50, 50, 60, 60}), {1, 3}, {.9, .99}}};
  const EvaluationResult result = evaluate_detections(detections, targets, 3);
  CHECK(result.classes[0].ap_text() == "1.000");
  CHECK(result.classes[1].ap_text() == "n/a (no ground truth)");
  CHECK_FALSE(result.classes[2].ap.has_value());
  CHECK(result.classes[2].outcomes.size() == 1);
  CHECK(result.mean_ap.value() == 1);
  // Without labels the false alarm of class 3 ranks above the hit.
  CHECK(result.class_agnostic.ap.value() == Approx(.5));

  CHECK_FALSE(evaluate_detections({}, {}, 2).mean_ap.has_value());
  CHECK(evaluate_detections({{}}, targets, 1).mean_ap.value() == 0);
  CHECK(evaluate_detections({{}}, targets, 1).classes[0].missed.size() == 1);
}

TEST_CASE("a wrong label costs the class, not the class-agnostic AP", "[evaluation]") {
  const std::vector<Target> targets{{Tensor({1, 4}, {0, 0, 10, 10}), {1}, {}}};
  const std::vector<Detections> detections{{Tensor({1, 4}, {0, 0, 10, 10}), {2}, {.9}}};
  const EvaluationResult result = evaluate_detections(detections, targets, 2);
  CHECK(result.mean_ap.value() == 0);
  CHECK(result.class_agnostic.ap.value() == 1);
}

TEST_CASE("a hit needs an overlap above the threshold, not at it", "[evaluation]") {
  const std::vector<Target> targets{{Tensor({1, 4}, {0, 0, 10, 10}), {1}, {}}};
  const std::vector<Detections> half{{Tensor({1, 4}, {0, 0, 10, 5}), {1}, {.9}}};
  CHECK(evaluate_detections(half, targets, 1).mean_ap.value() == 0);
  CHECK(evaluate_detections(half, targets, 1, {.iou_threshold = .49}).mean_ap.value() == 1);
}

TEST_CASE("NaN scores rank last and are counted", "[evaluation]") {
  const std::vector<Target> targets{{Tensor({1, 4}, {0, 0, 10, 10}), {1}, {}}};
  const std::vector<Detections> detections{{Tensor({2, 4}, {0, 0, 10, 10, 20, 20, 30, 30}),
                                            {1, 1},
                                            {std::numeric_limits<Scalar>::quiet_NaN(), .1}}};
  const EvaluationResult result = evaluate_detections(detections, targets, 1);
  CHECK(result.nan_scores == 1);
  CHECK(result.mean_ap.value() == Approx(.5));
}

TEST_CASE("evaluation explains what is wrong", "[evaluation][errors]") {
  const std::vector<Target> one{{Tensor({1, 4}, {0, 0, 10, 10}), {1}, {}}};
  CHECK_THROWS_WITH(evaluate_detections({}, one, 1),
                    "evaluate_detections: one Detections per Target is needed, 1, got 0");
  CHECK_THROWS_WITH(
      evaluate_detections({{Tensor({1, 4}), {2}, {.5}}}, one, 1),
      "evaluate_detections: labels must be 1 to 1, got 2 among the detections of image 0");
  CHECK_THROWS_WITH(evaluate_detections({{Tensor({1, 4}), {1}, {}}}, one, 1),
                    "evaluate_detections: detections of image 0 must have as many labels and "
                    "scores (or flags) as boxes, 1, got 1 and 0");
  CHECK_THROWS_AS(evaluate_detections({{}}, one, 0), std::invalid_argument);
  CHECK_THROWS_AS(average_precision({1}, {}, ApMethod::area), std::invalid_argument);
}
