// detection/training/spp_net_training.cpp, detection/training/spp_net_preset.cpp,
// detection/training/map_store.cpp and detection/models/spp_net.cpp.
#include <unistd.h>

#include "core/ops.h"
#include "core/parallel.h"
#include "detection/evaluation.h"
#include "detection/models/vgg16.h"
#include "detection/proposals/with_proposals.h"
#include "detection/training/evaluate.h"
#include "detection/training/spp_net_training.h"
#include "detection/training/trainer.h"
#include "tests/catch.h"
#include "tests/toy_detector.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

struct StoreFolder {
  fs::path path = fs::temp_directory_path() / concat("boxgrad_spp_", getpid());
  StoreFolder() { fs::remove_all(path); }
  ~StoreFolder() { fs::remove_all(path); }
};

/// Windows over the 32 x 32 image, and two near the truth.
std::vector<Tensor> windows(const Dataset& data) {
  std::vector<Tensor> all;
  for (std::int64_t i = 0; i < data.size(); ++i) {
    std::vector<Scalar> numbers;
    for (int y = 0; y <= 20; y += 5)
      for (int x = 0; x <= 20; x += 5)
        numbers.insert(numbers.end(), {Scalar(x), Scalar(y), Scalar(x + 12), Scalar(y + 12)});
    const Sample sample = data.get(i);
    const auto box = sample.target.boxes.data();
    numbers.insert(numbers.end(), {box[0] - 1, box[1] + 1, box[2], box[3] + 1, box[0], box[1] - 1,
                                   box[2] + 1, box[3]});
    const auto count = static_cast<std::int64_t>(numbers.size() / 4);
    all.push_back(clip_boxes_to_image(Tensor({count, 4}, numbers), 32, 32));
  }
  return all;
}

SppNetOptions toy_options() {
  SppNetOptions options;
  options.num_classes = 2;
  options.scale = 0.5;
  options.levels = {2, 1};
  options.pyramid = {.sides_px = {32, 48}, .longest_px = 48, .region_px = 14};
  options.head.hidden = {24};
  options.head.dropout = 0;
  options.sampling.size = 32;
  return options;
}

std::shared_ptr<SppNet> toy_model() {
  manual_seed(2);
  return std::make_shared<SppNet>(
      std::make_shared<Vgg16>(Vgg16Options{.width = 0.125, .outputs = {"conv2_2"}}), toy_options());
}

SppNetTraining toy_training() {
  SppNetTraining training;
  training.iterations = 120;
  training.images = 6;
  training.sgd.rate = 0.02;
  training.classifiers = {.svm = {.c = 0.1}, .retrain_after = 20, .ridge_lambda = 1};
  return training;
}

double toy_ap50(SppNet& model, const Dataset& data) {
  const Answers answers = detect_all(model, data, {});
  return evaluate_detections(answers.detections, answers.targets, 2).mean_ap.value_or(0);
}

std::vector<Scalar> all_numbers(const nn::Module& module) {
  std::vector<Scalar> all;
  for (const auto& [name, tensor] : module.state_dict())
    all.insert(all.end(), tensor.data().begin(), tensor.data().end());
  return all;
}

}  // namespace

TEST_CASE("MapStore gives back what the network would compute", "[spp_net]") {
  const StoreFolder folder;
  const auto model = toy_model();
  model->eval();
  const auto map = [&](const Tensor& scaled) { return model->map(scaled); };
  const auto pool = [&](const Tensor& one, const Tensor& own) { return model->pool(one, own); };
  MapStore maps(folder.path, model->options().pyramid);
  const Tensor image = Tensor::rand({1, 32, 40, 3}), small = Tensor::rand({1, 36, 32, 3});
  maps.write(3, image, map);
  maps.write(0, small, map);
  CHECK(maps.maps() == 4);
  CHECK(maps.megabytes() > 0);
  const Tensor boxes({3, 4}, {0, 0, 30, 30, 2, 2, 12, 12, 5, 5, 20, 18});
  Random random(1);
  CHECK(maps.features(3, boxes, ScaleChoice::nearest, random, pool).to_vector() ==
        model->region_features(image, boxes).pooled.to_vector());
  CHECK(maps.features(0, boxes, ScaleChoice::nearest, random, pool).to_vector() ==
        model->region_features(small, boxes).pooled.to_vector());
  CHECK(maps.features(0, Tensor({0, 4}), ScaleChoice::nearest, random, pool).size(0) == 0);

  // A random scale is one of the two.
  const auto at = [&](double side) {
    model->options().pyramid = {.sides_px = {side}, .longest_px = 48};
    return model->region_features(image, slice(boxes, 0, 0, 1)).pooled.to_vector();
  };
  const auto first = at(32), second = at(48);
  CHECK(first != second);
  int seen = 0;
  for (int i = 0; i < 20; ++i) {
    const auto found =
        maps.features(3, slice(boxes, 0, 0, 1), ScaleChoice::random, random, pool).to_vector();
    REQUIRE((found == first || found == second));
    seen += found == first;
  }
  CHECK((seen > 2 && seen < 18));

  CHECK_THROWS_WITH(maps.features(1, boxes, ScaleChoice::nearest, random, pool),
                    "MapStore: no map was written for image 1");
  CHECK_THROWS_WITH(maps.features(9, boxes, ScaleChoice::nearest, random, pool),
                    "MapStore: no map was written for image 9");
  CHECK_THROWS_WITH(maps.write(-1, image, map),
                    "MapStore: the image's number must be >= 0, got -1");
  CHECK_THROWS_WITH(maps.write(1, Tensor({32, 40, 3}), map),
                    "MapStore: image must be [1, H, W, C], got [32, 40, 3]");
  CHECK_THROWS_WITH(maps.write(1, image,
                               [](const Tensor&) {
                                 return Tensor({2, 3});
                               }),
                    "MapStore: a map must be [1, h, w, D], got [2, 3]");
  CHECK_THROWS_WITH(MapStore(folder.path / "none", {.sides_px = {}}),
                    "ScalePyramid: needs a side, and longest_px and region_px > 0");
}

TEST_CASE("SppNet: the whole image as a region is the image by itself", "[spp_net]") {
  const auto model = toy_model();
  model->eval();
  const Tensor image = Tensor::rand({1, 32, 32, 3});
  const Tensor map = model->map(image);
  CHECK_FALSE(map.requires_grad());
  const Tensor pooled = model->pool(map, Tensor({1, 4}, {0, 0, 32, 32}));
  REQUIRE(pooled.shape() == Shape{1, 5 * 16});
  for (std::int64_t c = 0; c < 16; ++c) {  // its last bin is the maximum of the whole map
    Scalar largest = 0;
    for (std::int64_t h = 0; h < 16; ++h)
      for (std::int64_t w = 0; w < 16; ++w) largest = std::max(largest, map.at({0, h, w, c}));
    CHECK(pooled.at({0, 4 * 16 + c}) == largest);
  }
  const DetectorLoss none = model->loss_of_pooled(Tensor({0, 80}), {});
  CHECK(none.total.item() == 0);
  const DetectorLoss some = model->loss_of_pooled(cat({pooled, pooled}, 0), {0, 2});
  CHECK(some.positives == 1);
  CHECK(some.negatives == 1);
}

TEST_CASE("train_spp_net: maps once, fully connected layers, SVMs and boxes", "[spp_net]") {
  const StoreFolder folder;
  const ToyDataset scenes(12);
  const WithProposals data(scenes, windows(scenes));
  const auto model = toy_model();
  const auto before = all_numbers(*model->find("backbone"));
  const SppNetReport report = train_spp_net(*model, data, {}, folder.path, toy_training());
  CHECK(all_numbers(*model->find("backbone")) == before);
  CHECK(report.maps == 12 * 2 * 2);  // mirrored, two scales
  CHECK(report.map_megabytes > 48 * 16 * 16 * 16 * sizeof(Scalar) / 1e6);
  CHECK(report.megabytes() > report.map_megabytes);
  CHECK(report.seconds() >= report.seconds_fine_tuning);
  REQUIRE(report.losses.size() == 120);
  CHECK(report.losses.back() < 0.5 * report.losses.front());
  CHECK(report.classifiers.positives == std::vector<std::int64_t>{6, 6});
  CHECK_FALSE(model->is_training());
  CHECK(toy_ap50(*model, data) > 0.8);
  model->options().scoring = RegionScoring::softmax;
  model->options().postprocess.score_threshold = 0.05;
  CHECK(toy_ap50(*model, data) > 0.8);
}

TEST_CASE("train_spp_net computes the same bits with any number of threads", "[spp_net][threads]") {
  const ToyDataset scenes(4);
  const WithProposals data(scenes, windows(scenes));
  SppNetTraining training = toy_training();
  training.iterations = 8;
  training.warm_up = 0.5;
  training.clip_norm = 1;
  const int before = num_threads();
  std::vector<Scalar> expected;
  for (const int threads : {1, 2, 3}) {
    const StoreFolder folder;
    set_num_threads(threads);
    const auto model = toy_model();
    train_spp_net(*model, data, {}, folder.path, training);
    if (expected.empty()) expected = all_numbers(*model);
    CHECK(all_numbers(*model) == expected);
  }
  set_num_threads(before);
}

TEST_CASE("train_spp_net explains what does not fit", "[spp_net][errors]") {
  const StoreFolder folder;
  const ToyDataset scenes(2);
  const auto model = toy_model();
  SppNetTraining training = toy_training();
  const WithProposals data(scenes, windows(scenes));
  CHECK_THROWS_WITH(train_spp_net(*model, ToyDataset(0), {}, folder.path, training),
                    "train_spp_net: the dataset is empty");
  training.sgd.rate = 1e30;
  CHECK_THROWS_AS(train_spp_net(*model, data, {}, folder.path, training), TrainingDiverged);
  training.iterations = 0;
  CHECK_THROWS_WITH(train_spp_net(*model, data, {}, folder.path, training),
                    "train_spp_net: iterations must be >= 1, got 0");
  training.iterations = 1;
  training.images = 0;
  CHECK_THROWS_WITH(train_spp_net(*model, data, {}, folder.path, training),
                    "train_spp_net: images must be >= 1, got 0");
}

TEST_CASE("the presets of SPPnet", "[spp_net]") {
  const SppNetPreset large = spp_net_preset("L", 20), narrow = spp_net_preset("narrow", 10);
  CHECK(large.model.levels == std::vector<std::int64_t>{6, 3, 2, 1});
  CHECK(large.model.pyramid.sides_px == std::vector<double>{480, 576, 688, 864, 1200});
  CHECK(large.model.sampling.size == 128);
  CHECK(large.model.regions.negative_low == Scalar(0.1));
  CHECK(large.training.iterations == 90000);
  CHECK(large.training.classifiers.negative_iou == Scalar(0.3));
  CHECK(large.preparation().batch.std[0] == Approx(1. / 255));
  CHECK(narrow.preparation().batch.std[0] == 1);
  CHECK(departures(large, spp_net_preset("L", 1)).empty());
  const auto list = departures(narrow, large);
  CHECK(list.size() == 18);
  CHECK(std::ranges::find(list, "weight of their positives: 20 instead of 2") != list.end());
  CHECK(std::ranges::find(list, "width: 0.25 instead of 1") != list.end());
  CHECK(std::ranges::find(list, "iterations: 3000 instead of 90000") != list.end());
  CHECK_THROWS_WITH(spp_net_preset("S", 20), "spp_net_preset: name must be L or narrow, got \"S\"");
  CHECK_THROWS_WITH(spp_net_preset("L", 0), "spp_net_preset: num_classes must be >= 1, got 0");
}
