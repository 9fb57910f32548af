#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "core/random.h"
#include "detection/coco_evaluation.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// Boxes as COCO writes them, x, y, width, height.
Tensor xywh(const std::vector<double>& values) {
  Tensor boxes({static_cast<std::int64_t>(values.size() / 4), 4});
  for (std::size_t i = 0; i < values.size(); ++i)
    boxes.data()[i] = static_cast<Scalar>(i % 4 < 2 ? values[i] : values[i - 2] + values[i]);
  return boxes;
}

Target truth(const std::vector<double>& boxes) {
  return {.boxes = xywh(boxes), .labels = std::vector<std::int64_t>(boxes.size() / 4, 1)};
}

Detections found(const std::vector<double>& boxes, std::vector<Scalar> scores) {
  return {.boxes = xywh(boxes),
          .labels = std::vector<std::int64_t>(boxes.size() / 4, 1),
          .scores = std::move(scores)};
}

double value(const std::optional<double>& figure) { return figure.value_or(-1); }

/// What one figure is about, written down from the definition and as slowly as it can be.
struct Naive {
  const std::vector<Detections>& detections;
  const std::vector<Target>& targets;
  std::int64_t label;
  double low, high, threshold;
  std::size_t most;

  static double area(const Tensor& boxes, std::int64_t i) {
    return double(boxes.at({i, 2}) - boxes.at({i, 0})) *
           double(boxes.at({i, 3}) - boxes.at({i, 1}));
  }
  static double iou(const Tensor& a, std::int64_t i, const Tensor& b, std::int64_t j, bool crowd) {
    const double w =
        double(std::min(a.at({i, 2}), b.at({j, 2})) - std::max(a.at({i, 0}), b.at({j, 0})));
    const double h =
        double(std::min(a.at({i, 3}), b.at({j, 3})) - std::max(a.at({i, 1}), b.at({j, 1})));
    if (w <= 0 || h <= 0) return 0;
    return w * h / (crowd ? area(a, i) : area(a, i) + area(b, j) - w * h);
  }

  /// (AP, recall), or nothing without truths.
  std::optional<std::pair<double, double>> operator()() const {
    std::vector<std::tuple<Scalar, bool>> judged;  // score, hit: of those that count
    std::int64_t truths = 0;
    for (std::size_t n = 0; n < targets.size(); ++n) {
      const Target& t = targets[n];
      const auto counts = [&](std::size_t g) {
        const double size = t.areas.empty() ? area(t.boxes, std::int64_t(g)) : t.areas[g];
        return !t.crowd[g] && !t.difficult[g] && size >= low && size <= high;
      };
      for (std::size_t g = 0; g < t.labels.size(); ++g) truths += t.labels[g] == label && counts(g);
      std::vector<std::size_t> order;
      for (std::size_t d = 0; d < detections[n].labels.size(); ++d)
        if (detections[n].labels[d] == label) order.push_back(d);
      std::ranges::stable_sort(order, std::greater{},
                               [&](std::size_t d) { return detections[n].scores[d]; });
      if (order.size() > most) order.resize(most);
      std::vector<bool> taken(t.labels.size(), false);
      for (const std::size_t d : order) {
        std::optional<std::tuple<bool, double, std::size_t>> best;  // the largest of these wins
        for (std::size_t g = 0; g < t.labels.size(); ++g) {
          if (t.labels[g] != label || (taken[g] && !t.crowd[g])) continue;
          const double overlap =
              iou(detections[n].boxes, std::int64_t(d), t.boxes, std::int64_t(g), t.crowd[g]);
          if (overlap >= threshold)
            best = std::max(best, std::optional(std::tuple{counts(g), overlap, g}));
        }
        if (best) taken[std::get<2>(*best)] = true;
        const double size = area(detections[n].boxes, std::int64_t(d));
        const bool ignored = best ? !std::get<0>(*best) : size < low || size > high;
        if (!ignored) judged.emplace_back(detections[n].scores[d], best.has_value());
      }
    }
    if (truths == 0) return {};
    std::ranges::stable_sort(judged, std::greater{}, [](const auto& j) { return std::get<0>(j); });
    double sum = 0;
    for (int r = 0; r <= 100; ++r) {
      double best = 0, hits = 0;
      for (std::size_t k = 0; k < judged.size(); ++k) {
        hits += std::get<1>(judged[k]);
        if (hits / double(truths) >= r * 0.01) best = std::max(best, hits / double(k + 1));
      }
      sum += best;
    }
    const auto all = std::ranges::count_if(judged, [](const auto& j) { return std::get<1>(j); });
    return std::pair{sum / 101, double(all) / double(truths)};
  }
};

}  // namespace

TEST_CASE("evaluate_coco: figures of the published code", "[coco][evaluation]") {
  SECTION("one small box, found") {
    const auto r = evaluate_coco({found({5, 5, 20, 20}, {.9})}, {truth({5, 5, 20, 20})}, 1);
    CHECK(value(r.all.ap) == Approx(1));
    CHECK(value(r.all.ap50) == Approx(1));
    CHECK(value(r.all.ap75) == Approx(1));
    CHECK(value(r.all.ap_small) == Approx(1));
    CHECK_FALSE(r.all.ap_medium.has_value());
    CHECK_FALSE(r.all.ap_large.has_value());
  }
  SECTION("two pixels beside it: an IoU of .818 passes seven of the ten thresholds") {
    const auto r = evaluate_coco({found({7, 5, 20, 20}, {.9})}, {truth({5, 5, 20, 20})}, 1);
    CHECK(value(r.all.ap) == Approx(.7));
    CHECK(value(r.all.ap50) == Approx(1));
    CHECK(value(r.all.ap75) == Approx(1));
  }
  SECTION("half of the truths: 51 of 101 recalls") {
    const auto r =
        evaluate_coco({found({5, 5, 20, 20}, {.9})}, {truth({5, 5, 20, 20, 60, 60, 20, 20})}, 1);
    CHECK(value(r.all.ap50) == Approx(51. / 101));
  }
  SECTION("a false alarm of a class without truths costs nothing") {
    Detections both = found({5, 5, 20, 20, 50, 50, 20, 20}, {.9, .99});
    both.labels = {1, 2};
    const auto r = evaluate_coco({both}, {truth({5, 5, 20, 20})}, 2);
    CHECK(value(r.all.ap) == Approx(1));
    CHECK_FALSE(r.classes[1].ap.has_value());
  }
  SECTION("two images, one crowd") {
    Target second = truth({20, 20, 20, 20, 50, 50, 40, 40});
    second.difficult = {false, true};
    second.crowd = {false, true};
    const auto r =
        evaluate_coco({found({12, 11, 40, 40, 11, 10, 40, 42, 60, 60, 30, 20}, {.95, .9, .6}),
                       found({22, 20, 20, 20, 55, 55, 20, 20, 1, 1, 10, 10}, {.8, .75, .7})},
                      {truth({10, 10, 40, 40, 60, 60, 30, 30}), second}, 1);
    const std::map<std::string, double> expected{{"AP", .5194},  {"AP50", .7564}, {"AP75", .5545},
                                                 {"APs", .4855}, {"APm", .85},    {"APl", -1},
                                                 {"AR1", .5},    {"AR10", .6667}, {"AR100", .6667},
                                                 {"ARs", .55},   {"ARm", .9},     {"ARl", -1}};
    for (const auto& [name, figure] : r.all.named()) {
      INFO(name);
      CHECK(value(figure) == Approx(expected.at(name)).margin(5e-5));
    }
  }
}

TEST_CASE("evaluate_coco: an area of exactly 32^2 is small and medium", "[coco][evaluation]") {
  const auto r = evaluate_coco({found({0, 0, 32, 32}, {.9})}, {truth({0, 0, 32, 32})}, 1);
  CHECK(value(r.all.ap_small) == Approx(1));
  CHECK(value(r.all.ap_medium) == Approx(1));
  CHECK_FALSE(r.all.ap_large.has_value());
  // The outline's area counts, where it is known.
  Target outlined = truth({0, 0, 32, 32});
  outlined.areas = {900};
  CHECK_FALSE(
      evaluate_coco({found({0, 0, 32, 32}, {.9})}, {outlined}, 1).all.ap_medium.has_value());
}

TEST_CASE("evaluate_coco: only the best hundred of an image and class count",
          "[coco][evaluation]") {
  std::vector<double> boxes;
  std::vector<Scalar> scores;
  for (int i = 0; i < 100; ++i) {
    boxes.insert(boxes.end(), {200. + i, 200, 20, 20});
    scores.push_back(Scalar(.9));
  }
  boxes.insert(boxes.end(), {5, 5, 20, 20});
  scores.push_back(Scalar(.5));
  CHECK(value(evaluate_coco({found(boxes, scores)}, {truth({5, 5, 20, 20})}, 1).all.ap) == 0);
}

TEST_CASE("evaluate_coco: equals its definition on random cases", "[coco][evaluation]") {
  Random random(7);
  const std::array<std::pair<double, double>, 4> ranges{
      {{0, 1e10}, {0, 1024}, {1024, 9216}, {9216, 1e10}}};
  for (int trial = 0; trial < 1000; ++trial) {
    const std::int64_t classes = 1 + random.below(2);
    std::vector<Detections> detections;
    std::vector<Target> targets;
    // Sides around the limits of the areas, places and scores with many ties.
    const auto boxes = [&](std::int64_t n) {
      std::vector<double> values;
      const double sides[] = {16, 32, 48, 96, 110};
      for (std::int64_t i = 0; i < n; ++i)
        for (const double v : {double(8 * random.below(6)), double(8 * random.below(6)),
                               sides[random.below(5)], sides[random.below(5)]})
          values.push_back(v);
      return values;
    };
    const std::int64_t images = 1 + random.below(3);
    for (std::int64_t n = 0; n < images; ++n) {
      const std::int64_t d = random.below(8), g = random.below(5);
      Detections answers = found(boxes(d), {});
      for (std::int64_t i = 0; i < d; ++i) {
        answers.labels[std::size_t(i)] = 1 + random.below(classes);
        answers.scores.push_back(Scalar(random.below(6)) / 5);
      }
      Target target = truth(boxes(g));
      for (std::int64_t i = 0; i < g; ++i) {
        target.labels[std::size_t(i)] = 1 + random.below(classes);
        target.crowd.push_back(random.bernoulli(.15));
        target.difficult.push_back(target.crowd.back() || random.bernoulli(.1));
        target.areas.push_back(double(500 + 500 * random.below(25)));
      }
      if (random.bernoulli(.5)) target.areas.clear();
      detections.push_back(answers);
      targets.push_back(target);
    }
    const CocoResult result = evaluate_coco(detections, targets, classes);
    for (std::int64_t label = 1; label <= classes; ++label) {
      const CocoFigures& own = result.classes[std::size_t(label - 1)];
      const auto naive = [&](std::size_t range, std::size_t most, int from, int to, bool recall) {
        double sum = 0;
        for (int t = from; t < to; ++t) {
          // .5 + i (.45 / 9), the bits of numpy.linspace
          const auto one = Naive{detections,
                                 targets,
                                 label,
                                 ranges[range].first,
                                 ranges[range].second,
                                 t == 9 ? .95 : .5 + t * ((.95 - .5) / 9),
                                 most}();
          if (!one) return -1.;
          sum += recall ? one->second : one->first;
        }
        return sum / (to - from);
      };
      INFO("trial " << trial << ", class " << label);
      REQUIRE(value(own.ap) == Approx(naive(0, 100, 0, 10, false)).margin(1e-9));
      REQUIRE(value(own.ap50) == Approx(naive(0, 100, 0, 1, false)).margin(1e-9));
      REQUIRE(value(own.ap75) == Approx(naive(0, 100, 5, 6, false)).margin(1e-9));
      REQUIRE(value(own.ap_small) == Approx(naive(1, 100, 0, 10, false)).margin(1e-9));
      REQUIRE(value(own.ap_medium) == Approx(naive(2, 100, 0, 10, false)).margin(1e-9));
      REQUIRE(value(own.ap_large) == Approx(naive(3, 100, 0, 10, false)).margin(1e-9));
      REQUIRE(value(own.ar1) == Approx(naive(0, 1, 0, 10, true)).margin(1e-9));
      REQUIRE(value(own.ar10) == Approx(naive(0, 10, 0, 10, true)).margin(1e-9));
      REQUIRE(value(own.ar100) == Approx(naive(0, 100, 0, 10, true)).margin(1e-9));
      REQUIRE(value(own.ar_small) == Approx(naive(1, 100, 0, 10, true)).margin(1e-9));
      REQUIRE(value(own.ar_medium) == Approx(naive(2, 100, 0, 10, true)).margin(1e-9));
      REQUIRE(value(own.ar_large) == Approx(naive(3, 100, 0, 10, true)).margin(1e-9));
    }
  }
}

TEST_CASE("evaluate_coco: what does not fit together is refused", "[coco][evaluation]") {
  CHECK_THROWS_WITH(evaluate_coco({}, {truth({5, 5, 20, 20})}, 1),
                    Catch::Contains("evaluate_coco"));
  CHECK_THROWS_WITH(evaluate_coco({found({5, 5, 20, 20}, {.9})}, {truth({5, 5, 20, 20})}, 0),
                    Catch::Contains("num_classes"));
  Target odd = truth({5, 5, 20, 20});
  odd.areas = {1, 2};
  CHECK_THROWS_WITH(evaluate_coco({{}}, {odd}, 1), Catch::Contains("image 0"));
  Detections strange = found({5, 5, 20, 20}, {.9});
  strange.labels = {2};
  CHECK_THROWS_WITH(evaluate_coco({strange}, {truth({5, 5, 20, 20})}, 1),
                    Catch::Contains("labels"));
}
