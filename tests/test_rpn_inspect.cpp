// detection/models/rpn_inspect.h: anchors by state.
#include "detection/models/rpn_inspect.h"
#include "detection/models/vgg16.h"
#include "tests/catch.h"
#include "tests/toy_detector.h"

using namespace boxgrad;
using namespace boxgrad::detection;

TEST_CASE("anchor_states counts every anchor once", "[rpn]") {
  RegionProposalNetwork::Assignment assignment;
  assignment.matches.truth = {kIgnored, 0, kUnmatched, kIgnored, 1, kUnmatched, kIgnored};
  assignment.matches.iou = {0, Scalar(0.8), 0, Scalar(0.5), Scalar(0.4), 0, 0};
  assignment.matches.unmatched_truths = 1;
  assignment.crossing = {0, 6};
  assignment.selection = {{1, 4}, {5}};
  const AnchorStates states = anchor_states(assignment, Scalar(0.7));
  CHECK(states.crossing == 2);
  CHECK(states.ignored == 1);
  CHECK(states.objects == 2);
  CHECK(states.forced == 1);
  CHECK(states.background == 2);
  CHECK(states.unmatched_truths == 1);
  CHECK(states.to_string() ==
        "2 cross the border, 1 ignored, 2 objects (1 forced), 2 background; 2 + 1 learn");
}

TEST_CASE("rpn_sheet draws two panels per sample and touches no gradient", "[rpn]") {
  manual_seed(1);
  FasterRcnnOptions options;
  options.rpn.anchors = {{{8, 8}, {12, 12}}, 4};
  options.rpn.channels = 4;
  options.fast_rcnn.num_classes = 2;
  options.fast_rcnn.pool = 2;
  options.fast_rcnn.head.hidden = {4};
  FasterRcnn model(std::make_shared<Vgg16>(Vgg16Options{.width = 0.0625, .outputs = {"conv3_1"}}),
                   options);
  const ToyDataset data;
  const std::vector<Sample> samples{data.get(0), data.get(1)};
  const Image sheet = rpn_sheet(model, samples);
  CHECK(sheet.width() > 4 * samples[0].image.width());
  CHECK(sheet.height() > samples[0].image.height());
  REQUIRE(model.rpn().last_assignment().size() == 2);
  const AnchorStates states =
      anchor_states(model.rpn().last_assignment()[0], options.rpn.matcher.positive);
  CHECK(states.crossing + states.ignored + states.objects + states.background == 2 * 8 * 8);
  CHECK(states.objects >= 1);
  for (const auto& [name, parameter] : model.parameters()) CHECK_FALSE(parameter.has_grad());
}
