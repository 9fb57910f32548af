// detection/explain.h, explain_frames.h, explain_zero.h.
#include <cmath>
#include <functional>

#include "core/random.h"
#include "detection/explain.h"
#include "detection/explain_zero.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

Tensor boxes(std::vector<Scalar> numbers) {
  const auto count = static_cast<std::int64_t>(numbers.size() / 4);
  return Tensor({count, 4}, std::move(numbers));
}

/// One image with an error of each kind; class 1 has three truths, class 2 one.
struct OneOfEach {
  std::vector<Target> targets{{.boxes = boxes({0, 0, 10, 10, 20, 0, 30, 10, 40, 0, 50, 10,  //
                                               80, 80, 90, 90}),
                               .labels = {1, 1, 2, 1}}};
  std::vector<Detections> detections{
      {.boxes = boxes({0,  0,  10, 10,    // hit
                       0,  0,  10, 9,     // duplicate, 0.9
                       20, 0,  30, 4,     // localisation, 0.4
                       40, 0,  50, 10,    // confusion
                       40, 0,  50, 3,     // both, 0.3
                       60, 60, 70, 70}),  // background
       .labels = {1, 1, 1, 1, 1, 1},
       .scores = {Scalar(.9), Scalar(.8), Scalar(.7), Scalar(.6), Scalar(.5), Scalar(.4)}}};
};

}  // namespace

TEST_CASE("explain_errors: one error of each kind, by hand", "[explain]") {
  const OneOfEach given;
  const Explanation result = explain_errors(given.detections, given.targets, 2);
  REQUIRE(result.false_positives.size() == 5);
  const std::vector<ErrorCause> causes{ErrorCause::duplicate, ErrorCause::localisation,
                                       ErrorCause::confusion, ErrorCause::both,
                                       ErrorCause::background};
  const std::vector<std::int64_t> truths{0, 1, 2, 2, -1};
  for (std::size_t i = 0; i < causes.size(); ++i) {
    CHECK(result.false_positives[i].cause == causes[i]);
    CHECK(result.false_positives[i].truth == truths[i]);
    CHECK(result.of(causes[i]).count == 1);
  }
  CHECK(result.false_positives[1].iou == Approx(0.4));
  CHECK(result.false_positives[3].iou == Approx(0.3));
  // The best three of class 1, as it has three truths: hit, duplicate, localisation.
  CHECK(result.best_total == 3);
  CHECK(result.of(ErrorCause::duplicate).among_best == 1);
  CHECK(result.of(ErrorCause::localisation).among_best == 1);
  CHECK(result.of(ErrorCause::confusion).among_best == 0);

  // Class 1: a third of the truths at precision 1; class 2: nothing.
  CHECK(*result.evaluation.mean_ap == Approx(1. / 6));
  // The third answer becomes a hit: precision 2/3 at recall 2/3.
  CHECK(*result.of(ErrorCause::localisation).mended_ap == Approx((1. / 3 + 2. / 9) / 2));
  // Class 2 gets its one truth.
  CHECK(*result.of(ErrorCause::confusion).mended_ap == Approx((1. / 3 + 1) / 2));
  // What is taken away stood behind the last hit.
  for (const ErrorCause cause : {ErrorCause::both, ErrorCause::duplicate, ErrorCause::background})
    CHECK(*result.of(cause).mended_ap == Approx(1. / 6));

  REQUIRE(result.misses.size() == 3);
  CHECK(result.misses[0].truth == 1);
  CHECK(result.misses[0].nearest == 1);  // the localisation
  CHECK(result.misses[1].truth == 2);
  CHECK(result.misses[1].nearest == 2);  // the confusion
  CHECK(result.misses[2].truth == 3);
  CHECK(result.misses[2].nearest == -1);
  CHECK(result.unseen == 1);
  CHECK(*result.ap_without_unseen == Approx((1. / 2 + 0) / 2));
  CHECK(*result.ap_without_misses == Approx(1));
  CHECK(*result.ap_without_false_positives == Approx(1. / 6));

  const auto lines = explanation_lines(result);
  CHECK_THAT(lines.front(), ContainsSubstring("of best 3"));
  CHECK_THAT(lines.back(), ContainsSubstring("AP is 0.167; what costs most, 0.500: good box on an "
                                             "object of another class"));
}

TEST_CASE("explain_errors: the limits of the kinds", "[explain]") {
  const std::vector<Target> targets{{.boxes = boxes({0, 0, 10, 10}), .labels = {1}}};
  const auto cause = [&](Scalar height, std::int64_t label) {
    const std::vector<Detections> found{
        {.boxes = boxes({0, 0, 10, height}), .labels = {label}, .scores = {1}}};
    return explain_errors(found, targets, 2).false_positives.at(0).cause;
  };
  CHECK(cause(5, 1) == ErrorCause::localisation);  // IoU 0.5 is no hit
  CHECK(cause(1, 1) == ErrorCause::localisation);
  CHECK(cause(Scalar(0.9), 1) == ErrorCause::background);
  CHECK(cause(Scalar(5.1), 2) == ErrorCause::confusion);
  CHECK(cause(5, 2) == ErrorCause::both);
  CHECK(cause(1, 2) == ErrorCause::both);
  CHECK(cause(Scalar(0.9), 2) == ErrorCause::background);
  CHECK_THROWS_WITH(explain_errors({}, {}, 1, {.background_iou = 0.5}),
                    ContainsSubstring("background_iou must lie between 0 and iou_threshold"));
}

TEST_CASE("explain_errors: every error has one cause, and mending helps", "[explain]") {
  Random random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<Target> targets(3);
    std::vector<Detections> found(3);
    const auto draw = [&](std::int64_t count) {
      std::vector<Scalar> numbers;
      for (std::int64_t i = 0; i < count; ++i) {
        const auto x = Scalar(random.below(20)), y = Scalar(random.below(20));
        numbers.insert(numbers.end(),
                       {x, y, x + Scalar(4 + random.below(12)), y + Scalar(4 + random.below(12))});
      }
      return boxes(numbers);
    };
    for (std::size_t n = 0; n < 3; ++n) {
      const std::int64_t truths = random.below(5), answers = random.below(9);
      targets[n].boxes = draw(truths);
      for (std::int64_t g = 0; g < truths; ++g) {
        targets[n].labels.push_back(1 + random.below(2));
        targets[n].difficult.push_back(random.below(6) == 0);
      }
      found[n].boxes = draw(answers);
      for (std::int64_t d = 0; d < answers; ++d) {
        found[n].labels.push_back(1 + random.below(2));
        found[n].scores.push_back(Scalar(random.below(5)) / 4);  // many equal ones
      }
    }
    const Explanation result = explain_errors(found, targets, 2);
    std::int64_t wrong = 0, counted = 0, missed = 0;
    for (const ClassResult& c : result.evaluation.classes) {
      missed += static_cast<std::int64_t>(c.missed.size());
      for (const DetectionOutcome& outcome : c.outcomes)
        wrong += outcome.outcome == Outcome::miss || outcome.outcome == Outcome::duplicate;
    }
    for (const ErrorCause cause : kErrorCauses) {
      counted += result.of(cause).count;
      if (result.evaluation.mean_ap)
        CHECK(*result.of(cause).mended_ap >= *result.evaluation.mean_ap - 1e-12);
    }
    CHECK(counted == wrong);
    CHECK(static_cast<std::int64_t>(result.misses.size()) == missed);
    if (result.evaluation.mean_ap) {
      CHECK(*result.ap_without_false_positives >= *result.evaluation.mean_ap - 1e-12);
      if (result.ap_without_misses)
        CHECK(*result.ap_without_misses >= *result.ap_without_unseen - 1e-12);
    }
  }
}

namespace {

/// Ten photos of several sizes with four objects of three classes each, all of them found.
struct AllFound {
  std::vector<Target> targets;
  std::vector<Detections> detections;
  ZeroContext context{.class_names = {"cat", "dog", "cow"}};

  AllFound() {
    Random random(8);
    for (int n = 0; n < 10; ++n) {
      const double width = 300 + random.below(300), height = 200 + random.below(300);
      context.sizes.push_back({width, height});
      std::vector<Scalar> numbers;
      Target target;
      for (int g = 0; g < 4; ++g) {
        const auto x = Scalar(random.below(static_cast<std::uint32_t>(width) - 100)),
                   y = Scalar(random.below(static_cast<std::uint32_t>(height) - 100));
        numbers.insert(numbers.end(), {x, y, x + Scalar(20 + random.below(80)),
                                       y + Scalar(20 + random.below(80))});
        target.labels.push_back(1 + random.below(3));
      }
      target.boxes = boxes(numbers);
      detections.push_back({.boxes = target.boxes.clone(),
                            .labels = target.labels,
                            .scores = {Scalar(.9), Scalar(.8), Scalar(.7), Scalar(.6)}});
      targets.push_back(std::move(target));
    }
  }
  using Change = std::function<void(Scalar* box, double width, double height)>;
  void change(std::vector<Tensor*> all, const Change& change) const {
    for (std::size_t n = 0; n < all.size(); ++n)
      for (std::int64_t i = 0; i < all[n]->size(0); ++i)
        change(all[n]->data().data() + 4 * i, context.sizes[n][0], context.sizes[n][1]);
  }
  void change_answers(const Change& how) {
    std::vector<Tensor*> all;
    for (Detections& found : detections) all.push_back(&found.boxes);
    change(all, how);
  }
  void change_truths(const Change& how) {
    std::vector<Tensor*> all;
    for (Target& target : targets) all.push_back(&target.boxes);
    change(all, how);
  }
  std::vector<ZeroFinding> why() const { return why_ap_is_zero(detections, targets, context); }
};

void to_corner_size(Scalar* b, double, double) { b[2] -= b[0], b[3] -= b[1]; }

}  // namespace

TEST_CASE("why_ap_is_zero: nothing to explain", "[explain][zero]") {
  CHECK(AllFound().why().empty());
}

TEST_CASE("why_ap_is_zero: boxes written in another frame", "[explain][zero]") {
  struct Case {
    const char* text;
    AllFound::Change change;
  };
  const std::vector<Case> cases{
      {"multiplied by each photo's width and height",
       [](Scalar* b, double w, double h) {
         for (int c = 0; c < 4; ++c) b[c] /= Scalar(c % 2 == 0 ? w : h);
       }},
      {"read as (x, y, width, height)", to_corner_size},
      {"read as (centre x, centre y, width, height)",
       [](Scalar* b, double, double) {
         const Scalar w = b[2] - b[0], h = b[3] - b[1];
         b[0] += w / 2, b[1] += h / 2, b[2] = w, b[3] = h;
       }},
      {"read as (y1, x1, y2, x2)",
       [](Scalar* b, double, double) { std::swap(b[0], b[1]), std::swap(b[2], b[3]); }},
      {"with their corners in order",
       [](Scalar* b, double, double) { std::swap(b[0], b[2]), std::swap(b[1], b[3]); }},
      {"with the first corner taken from the second",
       [](Scalar* b, double, double) { b[2] += b[0], b[3] += b[1]; }},
      {"with left and right exchanged",
       [](Scalar* b, double w, double) {
         const Scalar left = Scalar(w) - b[2];
         b[2] = Scalar(w) - b[0], b[0] = left;
       }},
      {"moved by 120 px along x and -90 px along y",
       [](Scalar* b, double, double) {
         for (int c = 0; c < 4; ++c) b[c] += Scalar(c % 2 == 0 ? -120 : 90);
       }},
      {"multiplied by 2 along x and 2 along y",
       [](Scalar* b, double, double) {
         for (int c = 0; c < 4; ++c) b[c] /= 2;
       }},
      {"resized from a picture of 300 x 300 pixels",
       [](Scalar* b, double w, double h) {
         for (int c = 0; c < 4; ++c) b[c] *= Scalar(300 / (c % 2 == 0 ? w : h));
       }},
      {"resized from pictures whose shorter side has 900 pixels",
       [](Scalar* b, double w, double h) {
         for (int c = 0; c < 4; ++c) b[c] *= Scalar(900 / std::min(w, h));
       }},
      {"read as (centre x, centre y, width, height) and multiplied by each photo's width and "
       "height",
       [](Scalar* b, double w, double h) {
         const Scalar dx = b[2] - b[0], dy = b[3] - b[1];
         b[0] = (b[0] + dx / 2) / Scalar(w), b[1] = (b[1] + dy / 2) / Scalar(h);
         b[2] = dx / Scalar(w), b[3] = dy / Scalar(h);
       }},
  };
  for (const Case& c : cases) {
    INFO(c.text);
    AllFound given;
    given.change_answers(c.change);
    const auto findings = given.why();
    REQUIRE(!findings.empty());
    CHECK(findings[0].reason == ZeroReason::other_frame);
    CHECK_THAT(findings[0].found,
               ContainsSubstring(std::string("the answers' boxes are ") + c.text));
    CHECK(*findings[0].ap50 > 0.95);
  }
}

TEST_CASE("why_ap_is_zero: annotations in another frame", "[explain][zero]") {
  AllFound given;
  given.change_truths(to_corner_size);
  // The answers could be changed to fit as well; that must not be what is named.
  const auto findings = given.why();
  REQUIRE(!findings.empty());
  CHECK(findings[0].reason == ZeroReason::truths_rearranged);
  CHECK_THAT(findings[0].found, ContainsSubstring("read as (x, y, width, height)"));
  AllFound from_0_to_1;
  from_0_to_1.change_truths([](Scalar* b, double w, double h) {
    for (int c = 0; c < 4; ++c) b[c] /= Scalar(c % 2 == 0 ? w : h);
  });
  const auto scaled = from_0_to_1.why();
  REQUIRE(!scaled.empty());
  CHECK(*scaled[0].ap50 > 0.95);
}

TEST_CASE("why_ap_is_zero: labels", "[explain][zero]") {
  AllFound given;
  const auto relabel = [&](const std::function<std::int64_t(std::int64_t)>& to) {
    AllFound changed = given;
    for (Detections& found : changed.detections)
      for (std::int64_t& label : found.labels) label = to(label);
    return changed.why();
  };
  const auto shifted = relabel([](std::int64_t label) { return label - 1; });
  REQUIRE(!shifted.empty());
  CHECK(shifted[0].reason == ZeroReason::labels_shifted);
  CHECK(shifted[0].found == "AP50 is 1 when 1 is added to the answers' labels");
  const auto up = relabel([](std::int64_t label) { return label + 1; });
  REQUIRE(!up.empty());
  CHECK(up[0].found == "AP50 is 1 when 1 is taken from the answers' labels");
  const auto cycle = relabel([](std::int64_t label) { return label % 3 + 1; });
  REQUIRE(!cycle.empty());
  CHECK(cycle[0].reason == ZeroReason::labels_permuted);
  CHECK(cycle[0].found ==
        "AP50 is 1 when the answers' labels are exchanged: 1 for 3, 2 for 1, 3 for 2");
}

TEST_CASE("why_ap_is_zero: the order of photos, and networks that do not look", "[explain][zero]") {
  AllFound rotated;
  std::rotate(rotated.detections.begin(), rotated.detections.begin() + 1, rotated.detections.end());
  const auto order = rotated.why();
  REQUIRE(!order.empty());
  CHECK(order[0].reason == ZeroReason::other_photos);
  CHECK_THAT(order[0].found, ContainsSubstring("the one before it"));
  CHECK(*order[0].ap50 == Approx(1));

  AllFound blind;
  for (Detections& found : blind.detections)
    found = {.boxes = boxes({0, 0, 30, 10}), .labels = {1}, .scores = {1}};
  const auto same = blind.why();
  REQUIRE(!same.empty());
  CHECK(same[0].reason == ZeroReason::same_everywhere);
}

TEST_CASE("why_ap_is_zero: what counting shows", "[explain][zero]") {
  const auto reason = [](const std::function<void(AllFound&)>& change) {
    AllFound given;
    change(given);
    const auto findings = given.why();
    REQUIRE(!findings.empty());
    CHECK(!findings[0].found.empty());
    CHECK(!findings[0].remedy.empty());
    return findings[0].reason;
  };
  CHECK(reason([](AllFound& g) {
          g.targets.clear(), g.detections.clear(), g.context.sizes.clear();
        }) == ZeroReason::no_photos);
  CHECK(reason([](AllFound& g) {
          for (Target& target : g.targets) target = {};
        }) == ZeroReason::no_truths);
  CHECK(reason([](AllFound& g) {
          for (Target& target : g.targets) target = {};
          g.context.data_class_names = {"Cat", "Dog"};
        }) == ZeroReason::names_differ);
  CHECK(reason([](AllFound& g) {
          for (Target& target : g.targets) target.difficult.assign(target.labels.size(), true);
        }) == ZeroReason::only_difficult);
  CHECK(reason([](AllFound& g) {
          for (Detections& found : g.detections) found = {};
        }) == ZeroReason::no_answers);
  CHECK(reason([](AllFound& g) {
          for (Detections& found : g.detections)
            for (Scalar& score : found.scores) score = std::nan("");
        }) == ZeroReason::nan_scores);
  CHECK(reason([](AllFound& g) {
          g.change_answers([](Scalar* b, double, double) { b[2] = b[0]; });
        }) == ZeroReason::bad_boxes);
  CHECK(reason([](AllFound& g) { g.context.score_threshold = 0.95; }) ==
        ZeroReason::below_threshold);
}

TEST_CASE("why_ap_is_zero: a network that has not learned enough", "[explain][zero]") {
  Random random(5);
  // Everything is found, under a heap of better scores on nothing.
  AllFound outranked;
  for (Detections& found : outranked.detections) {
    std::vector<Scalar> numbers(found.boxes.data().begin(), found.boxes.data().end());
    for (int i = 0; i < 120; ++i) {
      const auto x = Scalar(random.below(400)), y = Scalar(random.below(300));
      numbers.insert(numbers.end(), {x, y, x + 5, y + 3});
      found.labels.push_back(1 + random.below(3));
      found.scores.push_back(1);
    }
    found.boxes = boxes(numbers);
  }
  const auto scores = outranked.why();
  REQUIRE(!scores.empty());
  CHECK(scores[0].reason == ZeroReason::outranked);
  CHECK_THAT(scores[0].found, ContainsSubstring("40 of 40 objects are found"));

  // On the objects, but with boxes of any size: no one frame mends them.
  AllFound poor;
  poor.change_answers([&](Scalar* b, double, double) {
    const Scalar w = b[2] - b[0], h = b[3] - b[1];
    const Scalar part = Scalar(0.2) + Scalar(random.below(20)) / 100;
    if (random.below(2) == 0)
      b[0] += w * part, b[2] = b[0] + w * Scalar(0.4);
    else
      b[1] += h * part, b[3] = b[1] + h * Scalar(0.4);
  });
  const auto boxes_found = poor.why();
  REQUIRE(!boxes_found.empty());
  CHECK(boxes_found[0].reason == ZeroReason::poor_boxes);

  AllFound noise;
  noise.change_answers([&](Scalar* b, double w, double h) {
    b[0] = Scalar(random.below(static_cast<std::uint32_t>(w) - 30));
    b[1] = Scalar(random.below(static_cast<std::uint32_t>(h) - 30));
    b[2] = b[0] + Scalar(3 + random.below(20)), b[3] = b[1] + Scalar(3 + random.below(20));
  });
  const auto nothing = noise.why();
  REQUIRE(!nothing.empty());
  CHECK(nothing[0].reason == ZeroReason::unrelated);
}

TEST_CASE("why_ap_is_zero explains what does not fit", "[explain][zero][errors]") {
  AllFound given;
  CHECK_THROWS_WITH(why_ap_is_zero({}, given.targets, given.context),
                    "why_ap_is_zero: answers for 0 photos, truths for 10");
  given.context.sizes.pop_back();
  CHECK_THROWS_WITH(given.why(), "why_ap_is_zero: 9 photo sizes for 10 photos");
  CHECK_THROWS_WITH(why_ap_is_zero({}, {}, {}), "why_ap_is_zero: there are no class names");
}
