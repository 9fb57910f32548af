// detection/training/ssd_presets.cpp.
#include <string>
#include <utility>
#include <vector>

#include "core/ops.h"
#include "core/random.h"
#include "detection/training/ssd_presets.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

TEST_CASE("ssd_preset: the published recipe", "[ssd300][presets]") {
  const SsdPreset p = ssd_preset("07+12", 20);
  CHECK(p.model.num_classes == 20);
  CHECK(p.model.prior == 0);
  CHECK(p.model.match_iou == Scalar(0.5));
  CHECK(p.model.mining.negatives_per_positive == 3);
  CHECK(p.model.mining.min_negatives == 0);
  CHECK(p.model.box_weight == 1);
  CHECK(p.model.box_weights == kBoxWeights);
  CHECK(p.model.postprocess.score_threshold == 0.01);
  CHECK(p.model.postprocess.max_per_class == 400);
  CHECK(p.model.postprocess.nms_iou == 0.45);
  CHECK(p.model.postprocess.max_per_image == 200);
  CHECK(p.changes.width == 300);
  CHECK(p.changes.height == 300);
  CHECK(p.changes.flip_chance == 0.5);
  CHECK_FALSE(p.changes.vertical_flips);
  CHECK(p.changes.colors.chance == 0.5);
  CHECK(p.changes.colors.brightness == 32. / 255);
  CHECK(p.changes.colors.contrast == 0.5);
  CHECK(p.changes.colors.saturation == 0.5);
  CHECK(p.changes.colors.hue == 36);  // 18 of OpenCV's
  CHECK(p.changes.zoom_out.chance == 0.5);
  CHECK(p.changes.zoom_out.max_ratio == 4);
  CHECK(p.changes.zoom_out.fill == Color{123, 117, 104});
  CHECK(p.changes.zoom_in.min_ious == std::vector{.1, .3, .5, .7, .9});
  CHECK(p.changes.zoom_in.min_scale == 0.3);
  CHECK(p.changes.zoom_in.max_aspect == 2);
  CHECK(p.changes.zoom_in.tries == 50);
  CHECK(p.sgd.momentum == 0.9);
  CHECK(p.sgd.weight_decay == 5e-4);
  const TrainerOptions training = p.training();
  CHECK(training.batch_size == 32);
  CHECK(training.iterations == 120000);
  const nn::Schedule schedule = training.schedule(120000);
  CHECK(p.sgd.rate * schedule(79999) == Approx(1e-3));
  CHECK(p.sgd.rate * schedule(80000) == Approx(1e-4));
  CHECK(p.sgd.rate * schedule(99999) == Approx(1e-4));
  CHECK(p.sgd.rate * schedule(119999) == Approx(1e-5));
  CHECK(departures(ssd_preset("07", 20), p) ==
        std::vector<std::string>{"zoom-out: 0, up to x4 instead of 0.5, up to x4",
                                 "iterations: 60000 instead of 120000",
                                 "rate / 10 after: 40000, 50000 instead of 80000, 100000"});
  CHECK(departures(ssd_preset("07", 3), ssd_preset("07", 20)).empty());
}

TEST_CASE("ssd_preset: a step of a narrow one, biases at twice the rate and without decay",
          "[ssd300][presets]") {
  manual_seed(2);
  SsdPreset preset = ssd_preset("07", 2);
  preset.width = 1. / 32;
  const auto model = make_ssd(preset);
  CHECK(model->options().levels.size() == 6);
  Sample sample{.image = Image(120, 90, 200, 90, 30), .name = "one"};
  sample.target = {.boxes = Tensor({1, 4}, {20, 30, 70, 80}), .labels = {2}, .difficult = {false}};
  Random random(1);
  const Batch batch = preset.preparation().make_batch({preset.augmentation()(sample, random)});
  CHECK(batch.images.shape() == Shape{1, 300, 300, 3});
  // Weights of 1 and gradients of 1/2 show rate and decay of each parameter.
  for (auto [name, tensor] : model->parameters())
    for (Scalar& v : tensor.data()) v = 1;
  nn::SGD still(*model, preset.sgd);
  still.zero_grad();
  Tensor half({1});
  for (const auto& [name, tensor] : model->parameters()) half = half + sum(tensor) * Scalar(0.5);
  half.backward();
  still.step(preset.schedule()(0));
  for (const auto& [name, tensor] : model->parameters()) {
    INFO(name);
    const double expected = name.ends_with(".bias") ? 1 - 2 * 1e-3 * 0.5 : 1 - 1e-3 * (0.5 + 5e-4);
    CHECK(double(std::as_const(tensor).data()[0]) == Approx(expected).epsilon(1e-6));
  }
  // And a step from a loss.
  manual_seed(2);
  const auto learner = make_ssd(preset);
  nn::SGD sgd(*learner, preset.sgd);
  const DetectorLoss loss = learner->loss(batch, random);
  CHECK(loss.positives > 0);
  loss.total.backward();
  const std::vector<Scalar> before =
      learner->find("class_head1")->state_dict()[1].second.to_vector();
  sgd.step(preset.schedule()(0));
  CHECK(learner->find("class_head1")->state_dict()[1].second.to_vector() != before);
}

TEST_CASE("ssd_preset: departures() sees every change of the images, and the mining",
          "[ssd300][presets]") {
  const SsdPreset published = ssd_preset("07", 20);
  const auto only = [&](const std::string& departure, auto change) {
    SsdPreset other = published;
    change(other);
    CHECK(departures(other, published) == std::vector<std::string>{departure});
  };
  only("colours changed: 0.25 of each instead of 0.5 of each",
       [](SsdPreset& p) { p.changes.colors.chance = 0.25; });
  only("brightness: 0 instead of 0.12549", [](SsdPreset& p) { p.changes.colors.brightness = 0; });
  only("contrast: 0 instead of 0.5", [](SsdPreset& p) { p.changes.colors.contrast = 0; });
  only("saturation: 0 instead of 0.5", [](SsdPreset& p) { p.changes.colors.saturation = 0; });
  only("hue in degrees: 18 instead of 36", [](SsdPreset& p) { p.changes.colors.hue = 18; });
  only("zoom-out: 0.5, up to x4 instead of 0, up to x4",
       [](SsdPreset& p) { p.changes.zoom_out.chance = 0.5; });
  only("zoom-out: 0, up to x2 instead of 0, up to x4",
       [](SsdPreset& p) { p.changes.zoom_out.max_ratio = 2; });
  only("canvas: 0, 0, 0 instead of 123, 117, 104",
       [](SsdPreset& p) { p.changes.zoom_out.fill = {}; });
  only("zoom-in from: 0.1 instead of 0.3", [](SsdPreset& p) { p.changes.zoom_in.min_scale = .1; });
  only("zoom-in from IoU: 0.1, 0.3 instead of 0.1, 0.3, 0.5, 0.7, 0.9", [](SsdPreset& p) {
    p.changes.zoom_in.min_ious = {.1, .3};
  });
  only("zoom-in stretched up to: 1 instead of 2",
       [](SsdPreset& p) { p.changes.zoom_in.max_aspect = 1; });
  only("zoom-in tries: 5 instead of 50", [](SsdPreset& p) { p.changes.zoom_in.tries = 5; });
  only("upside down: yes instead of no", [](SsdPreset& p) { p.changes.vertical_flips = true; });
  only("negatives of an image at least: 3 instead of 0",
       [](SsdPreset& p) { p.model.mining.min_negatives = 3; });
}

TEST_CASE("ssd_preset explains what does not fit", "[ssd300][presets][errors]") {
  CHECK_THROWS_WITH(ssd_preset("300", 20), "ssd_preset: name must be 07 or 07+12, got \"300\"");
  CHECK_THROWS_WITH(ssd_preset("07", 0), "ssd_preset: num_classes must be >= 1, got 0");
}
