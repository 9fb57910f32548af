// detection/training/region_recorder.h: what a selection of regions did.
#include <algorithm>
#include <functional>

#include "detection/models/vgg16.h"
#include "detection/proposals/proposals.h"
#include "detection/proposals/with_proposals.h"
#include "detection/training/region_recorder.h"
#include "detection/training/trainer.h"
#include "layers/sgd.h"
#include "tests/catch.h"
#include "tests/toy_detector.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// Squares on a grid: some overlap the toy's bright one.
std::vector<Tensor> toy_proposals(const Dataset& data) {
  const Tensor grid = grid_proposals(32, 32, {.sides_px = {10}, .ratios = {1}, .step = 0.4});
  return std::vector<Tensor>(static_cast<std::size_t>(data.size()), grid);
}

FastRcnn toy_fast_rcnn(RegionSelection selection) {
  manual_seed(2);
  return FastRcnn(std::make_shared<Vgg16>(Vgg16Options{.width = 0.0625, .outputs = {"conv2_2"}}),
                  {.num_classes = 2,
                   .pool = 3,
                   .scale = 0.5,
                   .head = {.hidden = {16}, .dropout = 0},
                   .regions = {.negative_low = 0},
                   .selection = selection,
                   .sampling = {.size = 8, .positive_fraction = 0.25},
                   .ohem = {.size = 8, .nms_iou = 0.4}});
}

}  // namespace

TEST_CASE("RegionRecorder follows what OHEM reads, suppresses and chooses", "[region_recorder]") {
  const ToyDataset scenes;
  const WithProposals data(scenes, toy_proposals(scenes));
  FastRcnn model = toy_fast_rcnn(RegionSelection::ohem);
  nn::SGD sgd(model, {.rate = 0.01, .momentum = 0.9});
  RegionRecorder recorder(model, 3);
  std::vector<std::int64_t> heard;
  double chosen = 0;
  train(model, sgd, data, {}, {},
        {.iterations = 7,
         .batch_size = 2,
         .checkpoint_every = 0,
         .on_step = [&](std::int64_t iteration, const DetectorLoss& loss) {
           heard.push_back(iteration);
           chosen += static_cast<double>(loss.positives + loss.negatives);
           recorder(iteration, loss);
         }});
  CHECK(heard == std::vector<std::int64_t>{1, 2, 3, 4, 5, 6, 7});
  REQUIRE(recorder.records().size() == 2);
  CHECK(recorder.records()[0].iteration == 3);
  CHECK(recorder.records()[1].iteration == 6);
  for (const RegionRecord& r : recorder.records()) {
    CHECK(r.read > 2 * 8);
    CHECK(r.read_objects >= 2);  // the truths are among them
    CHECK(r.chosen == 8);
    CHECK(r.chosen + r.suppressed <= r.read);
    CHECK(r.chosen_loss > r.read_loss);  // the hardest
    CHECK(r.suppressed > 0);             // neighbours of the grid overlap by .43
    CHECK(r.suppressed_loss > 0);
    CHECK(r.suppressed_loss != r.read_loss);
    CHECK(r.read_ratio() == Approx((r.read - r.read_objects) / r.read_objects));
    CHECK(r.chosen_ratio() == Approx((8 - r.chosen_objects) / r.chosen_objects));
  }
  CHECK(chosen == 7 * 8);
  const std::string csv = recorder.to_csv();
  CHECK(
      csv.starts_with("iteration,read,read_objects,suppressed,chosen,chosen_objects,read_loss,"
                      "suppressed_loss,chosen_loss\n"));
  CHECK(std::ranges::count(csv, '\n') == 3);
  CHECK(RegionRecord{}.chosen_ratio() == 0);
  CHECK_THROWS_WITH(RegionRecorder(model, 0), "RegionRecorder: every must be >= 1, got 0");
}

TEST_CASE("RegionRecorder without a read-only pass counts and knows no losses",
          "[region_recorder]") {
  const ToyDataset scenes;
  const WithProposals data(scenes, toy_proposals(scenes));
  FastRcnn model = toy_fast_rcnn(RegionSelection::sampled);
  nn::SGD sgd(model, {.rate = 0.01});
  RegionRecorder recorder(model, 1);
  train(model, sgd, data, {}, {},
        {.iterations = 2, .batch_size = 2, .checkpoint_every = 0, .on_step = std::ref(recorder)});
  REQUIRE(recorder.records().size() == 2);
  CHECK(recorder.records()[0].suppressed == 0);
  CHECK(recorder.records()[0].read_loss == 0);
  CHECK(recorder.records()[0].chosen_objects <= 4);
}

TEST_CASE("mean_region_loss is over all regions, and leaves the model as it was",
          "[region_recorder]") {
  const ToyDataset scenes;
  const WithProposals data(scenes, toy_proposals(scenes));
  FastRcnn model = toy_fast_rcnn(RegionSelection::sampled);
  const Batch two = Preparation{}.make_batch({data.get(0), data.get(1)});
  const RegionStep read = model.read_regions(two, {.negative_low = 0});
  CHECK(read.chosen.empty());
  CHECK(model.last_step().labels.empty());
  double sum = 0, objects = 0;
  std::int64_t count = 0;
  for (std::size_t r = 0; r < read.labels.size(); ++r) {
    sum += static_cast<double>(read.losses[r]);
    if (read.labels[r] > 0) objects += static_cast<double>(read.losses[r]), ++count;
  }
  const RegionLosses losses = mean_region_loss(model, data, {}, 2);
  CHECK(model.is_training());
  CHECK(losses.count == static_cast<std::int64_t>(read.labels.size()));
  CHECK(losses.object_count == count);
  CHECK(losses.mean == Approx(sum / static_cast<double>(read.labels.size())).epsilon(1e-4));
  CHECK(losses.objects == Approx(objects / static_cast<double>(count)).epsilon(1e-4));
  CHECK(losses.background < losses.objects);  // no box loss

  // With Fast R-CNN's bound there are fewer.
  CHECK(mean_region_loss(model, data, {}, 2, {}).count < losses.count);
  // Both images hold what OHEM's pass of a step holds.
  model.options().selection = RegionSelection::ohem;
  Random random(1);
  model.loss(two, random);
  CHECK(model.last_step().losses == read.losses);
  const WithProposals none(scenes, std::vector<Tensor>(12, Tensor({0, 4})));
  CHECK(mean_region_loss(model, none, {}, 2, {.add_truths = false}).mean == 0);
}
