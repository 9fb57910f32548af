#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/autograd.h"
#include "core/ops.h"
#include "detection/training/fast_rcnn_presets.h"
#include "detection/training/region_task.h"
#include "layers/count.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// A picture with some objects, as a dataset gives it. Its corner is black.
Sample sample(int width, int height) {
  Sample s;
  s.image = Image(width, height);
  for (int y = 8; y < height; ++y)
    for (int x = 8; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        s.image.pixel(x, y)[c] = static_cast<std::uint8_t>((x * 37 + y * 53 + x * y * c) % 256);
  s.target = {.boxes = Tensor({2, 4}, {10, 10, 60, 50, 40, 30, 90, 80}),
              .labels = {1, 2},
              .difficult = {false, false}};
  s.proposals = Tensor({6, 4}, {8,  8,  58, 52, 42, 32, 90, 80, 0, 0, 30, 30,
                                20, 20, 80, 70, 5,  5,  25, 60, 0, 0, 99, 89});
  return s;
}

/// A dataset of one sample.
class OneSample : public Dataset {
 public:
  explicit OneSample(Sample sample) : sample_(std::move(sample)) { sample_.name = "one"; }
  std::int64_t size() const override { return 1; }
  Sample get(std::int64_t) const override { return sample_; }
  const std::vector<std::string>& class_names() const override { return names_; }

 private:
  Sample sample_;
  std::vector<std::string> names_{"a", "b"};
};

/// A preset whose step takes no time.
FastRcnnPreset thin(const std::string& name) {
  FastRcnnPreset p = fast_rcnn_preset(name, 2);
  p.width = 1. / 16;
  p.model.head.hidden = {32, 16};
  return p;
}

}  // namespace

TEST_CASE("fast_rcnn_preset: the paper's recipe", "[fast_rcnn][presets]") {
  for (const char* name : {"S", "M", "L"}) {
    INFO(name);
    const FastRcnnPreset p = fast_rcnn_preset(name, 20);
    const bool large = p.name == "L";
    CHECK(p.model.num_classes == 20);
    CHECK(p.images * p.model.sampling.size == 128);
    CHECK(p.model.sampling.positive_fraction == 0.25);
    CHECK(p.model.pool == (large ? 7 : 6));
    CHECK(p.model.scale == 1. / 16);
    CHECK(p.model.head.dropout == 0.5);
    CHECK(p.model.head.class_std == 0.01);
    CHECK(p.model.head.box_std == 0.001);
    CHECK(p.model.regions.positive == Scalar(0.5));
    CHECK(p.model.regions.negative_low == Scalar(0.1));
    CHECK(p.model.regions.negative_high == Scalar(0.5));
    CHECK(p.model.lambda == 1);
    CHECK(p.sgd.momentum == 0.9);
    CHECK(p.sgd.weight_decay == 5e-4);
    REQUIRE(p.sgd.groups.size() == 1);
    CHECK(p.sgd.groups[0].rate == 2);
    CHECK(p.sgd.groups[0].decay == 0);
    CHECK(p.model.head.hidden == (p.name == "M" ? std::vector<std::int64_t>{4096, 1024}
                                                : std::vector<std::int64_t>{4096, 4096}));
    CHECK(p.frozen_through == (large ? "conv2_2" : "conv1"));
    CHECK(p.training().batch_size == 2);
    CHECK(p.training().iterations == 40000);
    const nn::Schedule schedule = p.training().schedule(40000);
    CHECK(p.sgd.rate * schedule(0) == Approx(0.001));
    CHECK(p.sgd.rate * schedule(29999) == Approx(0.001));
    CHECK(p.sgd.rate * schedule(30000) == Approx(0.0001));
  }
  CHECK(departures(fast_rcnn_preset("L", 3), fast_rcnn_preset("L", 20)).empty());
  CHECK(departures(fast_rcnn_preset("S", 20), fast_rcnn_preset("L", 20)) ==
        std::vector<std::string>{
            "network: CaffeNet instead of Vgg16", "backbone up to: conv5 instead of conv5_3",
            "frozen up to: conv1 instead of conv2_2", "bins of a region: 6 x 6 instead of 7 x 7"});
}

TEST_CASE("fast_rcnn_preset: what the narrow one changes", "[fast_rcnn][presets]") {
  const FastRcnnPreset narrow = fast_rcnn_preset("narrow", 10);
  CHECK(departures(narrow, fast_rcnn_preset("L", 10)) ==
        std::vector<std::string>{
            "width: 0.25 instead of 1", "backbone up to: conv4_3 instead of conv5_3",
            "frozen up to: conv1_2 instead of conv2_2", "pixels per cell: 8 instead of 16",
            "bins of a region: 5 x 5 instead of 7 x 7",
            "fully connected: 256, 256 instead of 4096, 4096", "dropout: 0 instead of 0.5",
            "sides of an image in px: as they are instead of 600, at most 1000",
            "input: 0 to 1 instead of 0 to 255 less the mean",
            "mirrored: with probability 0.5 instead of each image, too",
            "iterations: 3000 instead of 40000", "rate: 0.01 instead of 0.001",
            "rate / 10 after: 2250 instead of 30000", "warm-up: 0.05 instead of 0",
            "velocity: PyTorch's instead of Caffe's", "gradients clipped at: 10 instead of never",
            "score threshold: 0.01 instead of 0.05",
            "compressed: nothing instead of head[.]fc6 to 1024, head[.]fc7 to 256"});
  const nn::Schedule schedule = narrow.training().schedule(3000);
  CHECK(schedule(0) == Approx(0.1));
  CHECK(schedule(151) == Approx(1));
  CHECK(schedule(2250) == Approx(0.1));
}

TEST_CASE("fast_rcnn_preset: a shorter training has the same schedule, shorter",
          "[fast_rcnn][presets]") {
  // Only what training() returns is changed, or the trainer finds out how many steps fit.
  const nn::Schedule large = fast_rcnn_preset("L", 20).training().schedule(400);
  CHECK(large(299) == 1);
  CHECK(large(300) == Approx(0.1));
  const nn::Schedule half = fast_rcnn_preset("narrow", 10).training().schedule(1500);
  CHECK(half(75) < 1);
  CHECK(half(76) == 1);
  CHECK(half(1124) == 1);
  CHECK(half(1125) == Approx(0.1));
  // Only the iterations are changed.
  FastRcnnPreset short_one = fast_rcnn_preset("narrow", 10);
  short_one.iterations = 1500;
  for (const std::int64_t step : {0, 40, 75, 76, 1124, 1125, 1499})
    CHECK(short_one.training().schedule(1500)(step) == half(step));
  const std::vector<std::string> changed = departures(short_one, fast_rcnn_preset("narrow", 10));
  CHECK(changed == std::vector<std::string>{"iterations: 1500 instead of 3000",
                                            "rate / 10 after: 1125 instead of 2250"});
}

TEST_CASE("fast_rcnn_preset: images come to the network as published", "[fast_rcnn][presets]") {
  const Preparation preparation = fast_rcnn_preset("L", 20).preparation();
  // 500 x 375 becomes 800 x 600; 500 x 200 would be 1500 wide.
  CHECK(preparation.apply(sample(500, 375)).image.width() == 800);
  CHECK(preparation.apply(sample(500, 200)).image.width() == 1000);
  CHECK(preparation.apply(sample(500, 200)).image.height() == 400);
  const Batch batch = preparation.make_batch({sample(100, 100)});
  CHECK(batch.images.shape() == Shape{1, 600, 600, 3});
  CHECK(batch.images.at({0, 0, 0, 0}) == Approx(-122.7717));  // black; red first
  CHECK(batch.images.at({0, 0, 0, 2}) == Approx(-102.9801));
  const Batch plain = fast_rcnn_preset("narrow", 20).preparation().make_batch({sample(100, 90)});
  CHECK(plain.images.shape() == Shape{1, 90, 100, 3});
  CHECK(plain.images.at({0, 0, 0, 0}) == 0);
}

TEST_CASE("fast_rcnn_preset: with a pyramid images come to the network in its sizes",
          "[fast_rcnn][presets][scale_pyramid]") {
  FastRcnnPreset preset = fast_rcnn_preset("S", 2);
  preset.model.pyramid = ScalePyramid{.sides_px = {45, 90, 180}, .longest_px = 190};
  preset.images = 1;
  preset.iterations = 60;
  struct Watcher : Detector {
    Tensor weight = add_parameter("weight", Tensor({1}));
    std::map<std::pair<std::int64_t, std::int64_t>, int> sizes;
    std::vector<Scalar> right;  ///< side of a proposal that is as wide as the image
    DetectorLoss loss(const Batch& batch, Random&) override {
      ++sizes[{batch.images.size(1), batch.images.size(2)}];
      for (const Tensor& boxes : batch.proposals) right.push_back(max_right(boxes));
      return {.total = weight * Scalar{0}, .parts = {}};
    }
    std::vector<Detections> detect(const Batch&) override { return {}; }
    static Scalar max_right(const Tensor& boxes) {
      Scalar largest = 0;
      for (std::int64_t p = 0; p < boxes.size(0); ++p)
        largest = std::max(largest, boxes.at({p, 2}));
      return largest;
    }
  } watcher;
  nn::SGD sgd(watcher, {.rate = 1});
  TrainerOptions training = preset.training();
  training.checkpoint_every = 0;
  const OneSample one(sample(100, 90));
  const auto images = preset.training_set(one);
  train(watcher, sgd, *images, preset.augmentation(), preset.preparation(), training);
  // The largest is 171 high, as its longer side ends at 190.
  REQUIRE(watcher.sizes.size() == 3);
  for (const auto& [height, width] : {std::pair{45, 50}, {90, 100}, {171, 190}})
    CHECK(watcher.sizes[{height, width}] > 8);
  CHECK(std::ranges::max(watcher.right) > 180);

  // In the test the image comes as it is, and FastRcnn::detect brings it to the sizes.
  CHECK(preset.preparation().apply(sample(500, 375)).image.width() == 500);
  preset.model.pyramid = ScalePyramid::five();
  CHECK(departures(preset, fast_rcnn_preset("S", 2)) ==
        std::vector<std::string>{
            "images of a step: 1 instead of 2",
            "sides of an image in px: 480, 576, 688, 864, 1200, at most 2000 instead of 600, at "
            "most 1000",
            "side of a region at its scale: 224 instead of any", "iterations: 60 instead of 40000",
            "rate / 10 after: 45 instead of 30000"});
}

TEST_CASE("fast_rcnn_preset: every pass sees each image and its mirror image",
          "[fast_rcnn][presets]") {
  const OneSample one(sample(100, 90));
  const FastRcnnPreset large = fast_rcnn_preset("L", 20), narrow = fast_rcnn_preset("narrow", 20);
  const auto images = large.training_set(one);
  REQUIRE(images->size() == 2);
  CHECK(images->class_names() == one.class_names());
  CHECK_FALSE(static_cast<bool>(large.augmentation()));  // not mirrored once more by chance
  const Sample plain = images->get(0), mirrored = images->get(1);
  CHECK(plain.name == "one");
  CHECK(mirrored.name == "one, mirrored");
  CHECK(plain.target.boxes.to_vector() == std::vector<Scalar>{10, 10, 60, 50, 40, 30, 90, 80});
  CHECK(mirrored.target.boxes.to_vector() == std::vector<Scalar>{40, 10, 90, 50, 10, 30, 60, 80});
  CHECK(mirrored.proposals.at({0, 0}) == 42);  // 100 - 58
  CHECK(mirrored.image.pixel(0, 50)[0] == plain.image.pixel(99, 50)[0]);
  // What moves a box to the right here moves it to the left there.
  const TargetStatistics statistics = dataset_target_statistics(*images, large.model.regions);
  const TargetStatistics half = dataset_target_statistics(one, large.model.regions);
  CHECK(std::abs(half.mean.at({1, 0})) > 1e-3);
  CHECK(statistics.mean.at({1, 0}) == Approx(0).margin(1e-6));
  CHECK(statistics.mean.at({1, 1}) == Approx(half.mean.at({1, 1})));

  CHECK(narrow.training_set(one)->size() == 1);
  int flipped = 0;
  Random random(1);
  for (int i = 0; i < 40; ++i)
    flipped += narrow.augmentation()(one.get(0), random).target.boxes.at({0, 0}) == 40;
  CHECK(flipped > 10);
  CHECK(flipped < 30);
}

TEST_CASE("make_fast_rcnn: a step of each moves what is not frozen", "[fast_rcnn][presets]") {
  for (const char* name : {"S", "M", "L", "narrow"}) {
    INFO(name);
    manual_seed(1);
    FastRcnnPreset preset = thin(name);
    preset.shorter_px = 120, preset.longer_px = 200;
    const auto model = make_fast_rcnn(preset);
    const Batch batch = preset.preparation().make_batch({sample(100, 90), sample(90, 100)});
    const nn::StateDict parameters = model->parameters();
    std::vector<std::vector<Scalar>> before;
    for (const auto& [path, tensor] : parameters) before.push_back(tensor.to_vector());

    nn::SGD sgd(*model, preset.sgd);
    Random random(1);
    sgd.zero_grad();
    model->loss(batch, random).total.backward();
    sgd.step(preset.schedule(preset.iterations)(0));
    const std::string prefix = "backbone.conv";
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const std::string& path = parameters[i].first;
      INFO(path);
      const bool frozen =
          path.starts_with(prefix + "1") || (name[0] == 'L' && path.starts_with(prefix + "2"));
      CHECK(parameters[i].second.requires_grad() == !frozen);
      CHECK((parameters[i].second.to_vector() == before[i]) == frozen);
    }
    model->eval();
    CHECK(model->detect(batch).size() == 2);
  }
}

TEST_CASE("make_fast_rcnn: parameters at full size", "[.full][fast_rcnn][presets]") {
  // The classifiers without fc8, and two sibling layers of 21 and 84 outputs.
  const auto parameters = [](const char* name) {
    return make_fast_rcnn(fast_rcnn_preset(name, 20))->parameter_count();
  };
  CHECK(parameters("S") == 60965224 - 4097 * 1000 + 4097 * 105);
  CHECK(parameters("M") == 87250536 - 1025 * 1000 + 1025 * 105);
  CHECK(parameters("L") == 138357544 - 4097 * 1000 + 4097 * 105);
}

TEST_CASE("fast_rcnn_preset explains what does not fit", "[fast_rcnn][presets][errors]") {
  CHECK_THROWS_WITH(fast_rcnn_preset("XL", 20),
                    "fast_rcnn_preset: name must be S, M, L or narrow, got \"XL\"");
  CHECK_THROWS_WITH(fast_rcnn_preset("L", 0), "fast_rcnn_preset: num_classes must be >= 1, got 0");
  FastRcnnPreset other = fast_rcnn_preset("S", 1);
  other.network = "ResNet";
  CHECK_THROWS_WITH(make_backbone(other),
                    "make_backbone: network must be CaffeNet, VggCnnM1024 or Vgg16, got "
                    "\"ResNet\"");
}
