#include "detection/boxes.h"
#include "detection/proposals/proposals.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// Two truths of classes 1 and 2, and three boxes: the first truth's half, nothing, the second one.
const Tensor kBoxes({3, 4}, {0, 0, 10, 20, 50, 50, 60, 60, 30, 0, 40, 10});

Target two_truths() {
  return {Tensor({2, 4}, {0, 0, 20, 20, 30, 0, 40, 10}), {1, 2}, {false, false}};
}

}  // namespace

TEST_CASE("best_overlaps and recall_at of boxes that can be drawn", "[proposals]") {
  const Tensor truths = two_truths().boxes;
  CHECK(best_overlaps(kBoxes, truths) == std::vector<Scalar>{.5, 1});
  CHECK(best_overlaps(kBoxes, truths, 2) == std::vector<Scalar>{.5, 0});
  CHECK(best_overlaps(kBoxes, truths, 0) == std::vector<Scalar>{0, 0});
  CHECK(best_overlaps(kBoxes, truths, 99) == std::vector<Scalar>{.5, 1});
  CHECK(recall_at(kBoxes, truths, .5) == 1);  // equal counts
  CHECK(recall_at(kBoxes, truths, .6) == .5);
  CHECK(recall_at(Tensor({0, 4}), truths, .5) == 0);
  CHECK(recall_at(kBoxes, Tensor({0, 4}), .5) == 1);
}

TEST_CASE("proposal_scores: the curve over the number of boxes", "[proposals]") {
  // A second picture with one more truth of class 1, found with IoU .25, and a difficult one.
  const Target second{Tensor({2, 4}, {0, 0, 20, 20, 70, 70, 80, 80}), {1, 3}, {false, true}};
  const Tensor proposals[] = {kBoxes, Tensor({1, 4}, {0, 0, 10, 10})};
  const Target targets[] = {two_truths(), second};
  const std::int64_t limits[] = {0, 1, 10};
  const std::vector<ProposalScore> scores = proposal_scores(proposals, targets, limits);
  REQUIRE(scores.size() == 3);
  for (const ProposalScore& s : scores) CHECK(s.truths == 3);
  CHECK(scores[0].recall == 0);
  CHECK(scores[0].mabo == 0);
  CHECK(scores[1].mean_boxes == 1);
  CHECK(scores[1].recall == Approx(1. / 3));
  CHECK(scores[1].mabo == Approx((.375 + 0) / 2));  // class 1: (.5 + .25) / 2; class 2: 0
  CHECK(scores[2].mean_boxes == 2);                 // three and one
  CHECK(scores[2].recall == Approx(2. / 3));
  CHECK(scores[2].mabo == Approx((.375 + 1) / 2));
  CHECK(scores[1].class_recall == std::map<std::int64_t, double>{{1, .5}, {2, 0}});
  CHECK(scores[2].class_recall == std::map<std::int64_t, double>{{1, .5}, {2, 1}});
  CHECK(mabo(proposals, targets) == Approx(scores[2].mabo));
  CHECK(proposal_scores(proposals, targets, limits, .2)[2].recall == 1);
}

TEST_CASE("proposal_scores of nothing", "[proposals]") {
  const std::int64_t limits[] = {5};
  CHECK(proposal_scores({}, {}, limits)[0].recall == 1);
  CHECK(proposal_scores({}, {}, limits)[0].mabo == 0);
  const Tensor none[] = {Tensor({0, 4})};
  const Target targets[] = {two_truths()};
  CHECK(mabo(none, targets) == 0);
  CHECK_THROWS_WITH(proposal_scores({}, targets, limits),
                    "proposal_scores: there must be one list of proposals per target, 1, got 0");
  const std::int64_t negative[] = {-1};
  CHECK_THROWS_WITH(proposal_scores(none, targets, negative),
                    "proposal_scores: a limit must be >= 0, got -1");
}

TEST_CASE("random_proposals lie inside and repeat with the seed", "[proposals]") {
  Random random(7);
  const Tensor boxes = random_proposals(100, 50, 1000, random);
  REQUIRE(boxes.shape() == Shape{1000, 4});
  int small = 0;
  for (std::int64_t i = 0; i < 1000; ++i) {
    const Scalar w = boxes.at({i, 2}) - boxes.at({i, 0}), h = boxes.at({i, 3}) - boxes.at({i, 1});
    REQUIRE((boxes.at({i, 0}) >= 0 && boxes.at({i, 2}) <= 100));
    REQUIRE((boxes.at({i, 1}) >= 0 && boxes.at({i, 3}) <= 50));
    REQUIRE((w >= 7.999 && h >= 7.999));
    small += h < 20;  // the middle of 8 to 50 on a logarithmic scale
  }
  CHECK(small > 450);
  CHECK(small < 550);
  Random again(7);
  CHECK(random_proposals(100, 50, 1000, again).to_vector() == boxes.to_vector());
  CHECK(random_proposals(100, 50, 0, again).shape() == Shape{0, 4});
  CHECK_THROWS_AS(random_proposals(100, 5, 1, random), std::invalid_argument);
  CHECK_THROWS_AS(random_proposals(100, 50, -1, random), std::invalid_argument);
}

TEST_CASE("grid_proposals goes from border to border", "[proposals]") {
  // Windows of 4 in 8 x 6, half overlapping: 3 columns (0, 2, 4) and 2 rows (0, 2).
  const GridProposalOptions options{.sides_px = {4}, .ratios = {1}, .step = .5};
  const Tensor boxes = grid_proposals(8, 6, options);
  REQUIRE(boxes.shape() == Shape{6, 4});
  const Tensor expected({6, 4}, {0, 0, 4, 4, 2, 0, 6, 4, 4, 0, 8, 4,  //
                                 0, 2, 4, 6, 2, 2, 6, 6, 4, 2, 8, 6});
  CHECK(best_overlaps(boxes, expected) == std::vector<Scalar>(6, 1));
  // Too large a window is left out; one as large as the picture fits once.
  CHECK(grid_proposals(8, 6, {.sides_px = {100}}).shape() == Shape{0, 4});
  CHECK(grid_proposals(8, 8, {.sides_px = {8}, .ratios = {1}}).to_vector() ==
        std::vector<Scalar>{0, 0, 8, 8});
  // ratio = height / width: 2 by 8.
  const Tensor tall = grid_proposals(2, 8, {.sides_px = {4}, .ratios = {4}});
  CHECK(tall.to_vector() == std::vector<Scalar>{0, 0, 2, 8});
}

TEST_CASE("grid_proposals explains a wrong option", "[proposals][errors]") {
  CHECK_THROWS_WITH(grid_proposals(8, 6, {.step = 0}), "grid_proposals: step must be > 0, got 0");
  CHECK_THROWS_AS(grid_proposals(8, 6, {.sides_px = {-1}}), std::invalid_argument);
  CHECK_THROWS_AS(grid_proposals(0, 6), std::invalid_argument);
  CHECK_THROWS_WITH(grid_proposals(60000, 60000, {.sides_px = {1}}),
                    "grid_proposals: more than 10000000 windows; enlarge step");
}
