#include <string>
#include <vector>

#include "core/autograd.h"
#include "core/random.h"
#include "detection/training/faster_rcnn_presets.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

TEST_CASE("faster_rcnn_preset: the paper's recipe", "[faster_rcnn][presets]") {
  const FasterRcnnPreset p = faster_rcnn_preset("L", 20);
  const FasterRcnnOptions options = p.model();
  REQUIRE(options.rpn.anchors.sizes.size() == 9);
  CHECK(options.rpn.anchors.stride_px == 16);
  for (const BoxSize& size : options.rpn.anchors.sizes) {
    const double side = std::sqrt(double(size.width) * double(size.height));
    CHECK((side == Approx(128) || side == Approx(256) || side == Approx(512)));
  }
  CHECK(options.rpn.channels == 512);
  CHECK(options.rpn.matcher.positive == Scalar(0.7));
  CHECK(options.rpn.matcher.negative == Scalar(0.3));
  CHECK(options.rpn.sampling.size == 256);
  CHECK(options.rpn.ignore_crossing);
  CHECK(options.rpn.train_proposals == 2000);
  CHECK(options.rpn.test_proposals == 300);
  CHECK(options.fast_rcnn.regions.negative_low == 0);
  CHECK(options.rpn.train_before_nms == 12000);
  CHECK(options.rpn.test_before_nms == 6000);
  CHECK(options.rpn.nms_iou == Approx(0.7));
  CHECK(options.rpn.min_side_px == 16);
  CHECK(options.rpn.sampling.positive_fraction == 0.5);
  CHECK(options.rpn.box_weight == 1);
  CHECK(p.detector.images == 2);
  CHECK(options.fast_rcnn.sampling.size == 128);
  CHECK(options.fast_rcnn.regions.positive == Scalar(0.5));
  CHECK(p.detector.sgd.momentum == 0.9);
  CHECK(p.detector.sgd.weight_decay == 5e-4);
  REQUIRE(p.detector.sgd.groups.size() == 1);
  CHECK(p.detector.sgd.groups[0].rate == 2);
  CHECK(p.detector.sgd.groups[0].decay == 1);
  const nn::Schedule joint = p.detector.training().schedule(70000);
  CHECK(p.detector.sgd.rate * joint(49999) == Approx(0.001));
  CHECK(p.detector.sgd.rate * joint(50000) == Approx(0.0001));
  const AlternatingOptions steps = p.alternating();
  CHECK(steps.iterations == std::array<std::int64_t, 4>{80000, 40000, 80000, 40000});
  CHECK(steps.images == std::array<std::int64_t, 4>{1, 2, 1, 2});
  CHECK(steps.model.fast_rcnn.sampling.size == 64);
  CHECK(steps.training.schedule(80000)(59999) == Approx(1));
  CHECK(steps.training.schedule(80000)(60000) == Approx(0.1));
  CHECK(steps.training.schedule(40000)(30000) == Approx(0.1));
  CHECK(departures(p, faster_rcnn_preset("L", 3)).empty());
  CHECK_THROWS_WITH(faster_rcnn_preset("S", 20),
                    "faster_rcnn_preset: name must be L or narrow, got \"S\"");
  CHECK_THROWS_WITH(faster_rcnn_preset("L", 0),
                    "faster_rcnn_preset: num_classes must be >= 1, got 0");
}

TEST_CASE("faster_rcnn_preset: what the narrow one changes of the RPN", "[faster_rcnn][presets]") {
  const FasterRcnnPreset narrow = faster_rcnn_preset("narrow", 10),
                         large = faster_rcnn_preset("L", 10);
  std::vector<std::string> list = departures(narrow, large);
  const auto first = std::ranges::find_if(
      list, [](const std::string& line) { return line.starts_with("anchors in px"); });
  REQUIRE(first != list.end());
  CHECK(*first ==
        "anchors in px: 28 x 14, 45 x 23, 68 x 34, 20 x 20, 32 x 32, 48 x 48, 14 x 28, 23 x 45, 34 "
        "x 68 "
        "instead of 181 x 91, 362 x 181, 724 x 362, 128 x 128, 256 x 256, 512 x 512, 91 x 181, "
        "181 x 362, 362 x 724");
  CHECK(std::vector<std::string>(first + 1, list.end()) ==
        std::vector<std::string>{"pixels between anchors: 8 instead of 16",
                                 "channels of the 3x3 convolution: 128 instead of 512",
                                 "anchor is an object from IoU: 0.6 instead of 0.7",
                                 "anchors of an image that learn: 128 instead of 256",
                                 "weight of the anchors' box loss: 5 instead of 1",
                                 "proposals in training: 200 of 1000 instead of 2000 of 12000",
                                 "proposals in the test: 100 of 600 instead of 300 of 6000",
                                 "smallest side of a proposal in px: 4 instead of 16",
                                 "iterations of the four steps: 750, 1050, 600, 600 instead of "
                                 "80000, 40000, 80000, 40000",
                                 "images of a step in each: 2, 2, 2, 2 instead of 1, 2, 1, 2"});
  CHECK_THROWS_WITH(departures(PresetSettings{{"a", "1"}}, PresetSettings{}),
                    "departures: presets of one kind are compared, got 1 and 0 settings");
}

TEST_CASE("make_faster_rcnn: a step moves what is not frozen", "[faster_rcnn][presets]") {
  for (const char* name : {"L", "narrow"}) {
    INFO(name);
    manual_seed(1);
    FasterRcnnPreset preset = faster_rcnn_preset(name, 2);
    preset.detector.width = 1. / 16;
    preset.detector.model.head.hidden = {16, 16};
    preset.rpn.channels = 16;
    const auto model = make_faster_rcnn(preset);
    Sample sample;
    sample.image = Image(160, 160);
    sample.target = {
        .boxes = Tensor({1, 4}, {16, 16, 144, 144}), .labels = {1}, .difficult = {false}};
    preset.detector.shorter_px = preset.detector.longer_px = 0;  // 160 px will do
    const Batch batch = preset.detector.preparation().make_batch({sample});
    Random random(1);
    model->train();
    model->loss(batch, random).total.backward();
    for (const auto& [path, parameter] : model->parameters()) {
      INFO(path);
      const bool frozen = path.find("conv1_") != std::string::npos ||
                          (preset.name == "L" && path.find("conv2_") != std::string::npos);
      CHECK(parameter.requires_grad() == !frozen);
      CHECK(parameter.has_grad() == !frozen);
    }
  }
}
