// detection/models/{rcnn,spp_net,region_classifiers}.cpp,
// detection/training/{region_classifier_training,feature_store}.h.
#include <unistd.h>

#include <cmath>

#include "core/files.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "detection/boxes.h"
#include "detection/evaluation.h"
#include "detection/models/fast_rcnn.h"
#include "detection/models/faster_rcnn.h"
#include "detection/models/rcnn.h"
#include "detection/models/spp_net.h"
#include "detection/models/vgg16.h"
#include "detection/proposals/with_proposals.h"
#include "detection/training/evaluate.h"
#include "detection/training/feature_store.h"
#include "detection/training/region_classifier_training.h"
#include "layers/count.h"
#include "layers/sgd.h"
#include "tests/catch.h"
#include "tests/toy_detector.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / concat("boxgrad_rcnn_", getpid());
  Folder() { fs::remove_all(path); }
  ~Folder() { fs::remove_all(path); }
};

/// Windows over the whole 32 x 32 image, and one near each truth.
std::vector<Tensor> toy_proposals(const Dataset& data) {
  std::vector<Tensor> all;
  for (std::int64_t i = 0; i < data.size(); ++i) {
    std::vector<Scalar> numbers;
    for (int y = 0; y <= 20; y += 10)
      for (int x = 0; x <= 20; x += 10)
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

std::shared_ptr<Backbone> toy_backbone() {
  manual_seed(2);
  return std::make_shared<Vgg16>(Vgg16Options{.width = 0.125, .outputs = {"conv2_2"}});
}

RcnnOptions toy_rcnn() {
  RcnnOptions options;
  options.num_classes = 2;
  options.warp = {.size = 12, .context = 1};
  options.head.hidden = {24};
  options.head.dropout = 0;
  options.windows.size = 32;
  return options;
}

SppNetOptions toy_spp() {
  SppNetOptions options;
  options.num_classes = 2;
  options.scale = 0.5;
  options.levels = {2, 1};
  options.pyramid = {.sides_px = {32}, .longest_px = 32, .region_px = 12};
  options.head.hidden = {24};
  options.head.dropout = 0;
  return options;
}

Batch toy_batch(const Dataset& data, std::int64_t images) {
  std::vector<Sample> samples;
  for (std::int64_t i = 0; i < images; ++i) samples.push_back(data.get(i));
  return collate(samples);
}

template <class Model>
double fine_tune(Model& model, const Dataset& data, int steps) {
  nn::SGD sgd(model, {.rate = 0.02, .momentum = 0.9});
  Random random(1);
  double loss = 0;
  for (int step = 0; step < steps; ++step) {
    sgd.zero_grad();
    const DetectorLoss now = model.loss(toy_batch(data, 4), random);
    loss = double(now.total.item());
    now.total.backward();
    sgd.step();
  }
  return loss;
}

template <class Model>
RegionClassifierReport train_stages(Model& model, const Dataset& data, const fs::path& folder) {
  model.eval();
  return train_region_classifiers(
      model.classifiers(), data, {},
      [&](const Tensor& image, const Tensor& boxes) { return model.region_features(image, boxes); },
      folder, {.svm = {.c = 0.1}, .retrain_after = 20, .ridge_lambda = 1});
}

template <class Model>
double ap50(Model& model, const Dataset& data) {
  const Answers answers = detect_all(model, data, {});
  return evaluate_detections(answers.detections, answers.targets, 2).mean_ap.value_or(0);
}

}  // namespace

TEST_CASE("FeatureStore: what was written, a file for each image", "[feature_store]") {
  const Folder folder;
  {
    FeatureStore store(folder.path / "a");
    store.write(0, Tensor({2, 3}, {1, 2, 3, 4, 5, 6}));
    store.write(7, Tensor({0, 3}));
    CHECK(store.read(0).to_vector() == std::vector<Scalar>{1, 2, 3, 4, 5, 6});
    CHECK(store.read(7).shape() == Shape{0, 3});
    CHECK(store.megabytes() > 0);
    CHECK_THROWS_WITH(store.write(1, Tensor({2, 4})),
                      "FeatureStore: features must be [R, 3] as before, got [2, 4]");
    CHECK_THROWS_WITH(store.write(1, Tensor({4})),
                      "FeatureStore: features must be [R, D], got [4]");
    CHECK_THROWS(store.write(-1, Tensor({1, 3})));
    CHECK_THROWS_WITH(store.read(1), ContainsSubstring("nothing was written for image 1"));
    write_file_atomically(folder.path / "a" / "0.features.safetensors", "not a tensor file");
    CHECK_THROWS_WITH(store.read(0), ContainsSubstring("0.features.safetensors"));
    write_file_atomically(folder.path / "a" / "notes.txt", "kept");
  }
  FeatureStore again(folder.path / "a");  // empty, and other files are left alone
  CHECK_THROWS(again.read(7));
  CHECK(fs::exists(folder.path / "a" / "notes.txt"));
}

TEST_CASE("RegionClassifiers: margins, and a box for each class", "[rcnn]") {
  RegionClassifiers both(2, 3, 2);
  const Tensor hidden({1, 2}, {1, 2}), pooled({1, 3}, {1, 0, 2}), regions({1, 4}, {10, 10, 20, 30});
  CHECK(both.scores(hidden).to_vector() == std::vector<Scalar>{0, 0, 0});
  CHECK(both.boxes(pooled, regions).to_vector() ==
        std::vector<Scalar>{10, 10, 20, 30, 10, 10, 20, 30, 10, 10, 20, 30});
  both.svm_weight.set({0, 0}, 3), both.svm_weight.set({1, 1}, -1),
      both.svm_bias.set({1}, Scalar(.5));
  CHECK(both.scores(hidden).to_vector() == std::vector<Scalar>{0, 3, -1.5});
  both.box_weight.set({2, 4}, Scalar(.1));  // class 2, tx: 2 * .1 widths to the right
  both.box_bias.set({1}, Scalar(-.5));      // class 1, ty: half a height up
  const auto boxes = both.boxes(pooled, regions).to_vector();
  CHECK(std::vector<Scalar>(boxes.begin() + 4, boxes.begin() + 8) ==
        std::vector<Scalar>{10, 0, 20, 20});
  CHECK(double(boxes[8]) == Approx(12));
  CHECK(double(boxes[10]) == Approx(22));
  CHECK_THROWS(RegionClassifiers(2, 0, 2));
}

TEST_CASE("R-CNN and SPPnet sample a quarter of objects from however many images", "[rcnn]") {
  RcnnOptions windows = toy_rcnn();
  SppNetOptions pooled = toy_spp();
  pooled.regions.negative_low = 0;
  const auto check_step = [&](const Batch& batch, std::int64_t size) {
    windows.windows.size = pooled.sampling.size = size;
    Rcnn rcnn(toy_backbone(), windows);
    SppNet spp(toy_backbone(), pooled);
    for (Detector* model : {static_cast<Detector*>(&rcnn), static_cast<Detector*>(&spp)}) {
      Random random(1);
      const DetectorLoss loss = model->loss(batch, random);
      CHECK(loss.positives == size / 4);
      CHECK(loss.negatives == size - size / 4);
    }
  };
  const ToyDataset scenes(64);
  const WithProposals data(scenes, toy_proposals(scenes));
  check_step(toy_batch(data, 3), 32);
  check_step(toy_batch(data, 5), 32);
  check_step(toy_batch(data, 64), 32);  // fewer than one of each image
  check_step(toy_batch(data, 64), 128);

  // One image has all objects; of another nothing is chosen, as it has nothing.
  Batch uneven = toy_batch(data, 5);
  std::vector<Tensor> copies(8, uneven.targets[3].boxes);
  copies.push_back(uneven.proposals[3]);
  uneven.proposals[3] = cat(copies, 0);
  for (const std::size_t n : {0u, 1u, 2u, 4u}) uneven.targets[n] = {};
  uneven.proposals[1] = Tensor({0, 4});
  check_step(uneven, 32);

  Batch nothing = toy_batch(data, 2);
  nothing.targets = {{}, {}};
  nothing.proposals = {Tensor({0, 4}), Tensor({0, 4})};
  Random random;
  CHECK(SppNet(toy_backbone(), pooled).loss(nothing, random).total.item() == 0);
  CHECK_THROWS_WITH(Rcnn(toy_backbone(), windows).loss(nothing, random),
                    "Rcnn: the batch has no window to learn from");
}

TEST_CASE("R-CNN: fine-tuning, SVMs, boxes", "[rcnn]") {
  const Folder folder;
  const ToyDataset scenes(12);
  const WithProposals data(scenes, toy_proposals(scenes));
  Rcnn model(toy_backbone(), toy_rcnn());
  Random random(1);
  const double before = double(model.loss(toy_batch(data, 4), random).total.item());
  CHECK(fine_tune(model, data, 60) < 0.5 * before);
  const DetectorLoss loss = model.loss(toy_batch(data, 4), random);
  CHECK(loss.positives == 8);  // a quarter of 32
  CHECK(loss.negatives == 24);

  // Windows in small groups are the same windows.
  const Tensor image = toy_batch(data, 1).images, boxes = data.get(0).proposals;
  model.eval();
  const auto whole = model.region_features(image, boxes);
  model.options().windows_at_once = 4;
  const auto parts = model.region_features(image, boxes);
  REQUIRE(whole.hidden.shape() == parts.hidden.shape());
  for (std::size_t i = 0; i < whole.hidden.data().size(); ++i)
    CHECK(double(whole.hidden.data()[i]) == Approx(double(parts.hidden.data()[i])).margin(1e-4));
  CHECK(model.region_features(image, Tensor({0, 4})).hidden.shape() == Shape{0, 24});

  const RegionClassifierReport report = train_stages(model, data, folder.path);
  CHECK(report.positives == std::vector<std::int64_t>{6, 6});
  CHECK(report.regions == 12 * 12);
  CHECK(report.megabytes > 12 * 12 * 24 * sizeof(Scalar) / 1e6);
  CHECK(ap50(model, data) > 0.9);
  model.options().scoring = RegionScoring::softmax;
  model.options().postprocess.score_threshold = 0.05;
  CHECK(ap50(model, data) > 0.9);
}

TEST_CASE("SPPnet: one map for all regions, frozen convolutions", "[rcnn]") {
  const Folder folder;
  const ToyDataset scenes(12);
  const WithProposals data(scenes, toy_proposals(scenes));
  const auto backbone = toy_backbone();
  SppNet model(backbone, toy_spp());
  std::vector<Scalar> before;
  for (const auto& [name, tensor] : backbone->state_dict())
    before.insert(before.end(), tensor.data().begin(), tensor.data().end());
  const double first = fine_tune(model, data, 1);
  CHECK(fine_tune(model, data, 80) < 0.5 * first);
  std::vector<Scalar> after;
  for (const auto& [name, tensor] : backbone->state_dict())
    after.insert(after.end(), tensor.data().begin(), tensor.data().end());
  CHECK(before == after);
  train_stages(model, data, folder.path);
  CHECK(ap50(model, data) > 0.8);
  model.options().pyramid.sides_px = {24, 32, 48};  // several scales serve the same head
  model.options().pyramid.longest_px = 64;
  CHECK(ap50(model, data) > 0.5);
}

TEST_CASE("FastRcnn through a pyramid of one scale, and SVMs on its features", "[rcnn]") {
  const Folder folder;
  const ToyDataset scenes(6);
  const WithProposals data(scenes, toy_proposals(scenes));
  FastRcnn model(toy_backbone(), {.num_classes = 2,
                                  .pool = 3,
                                  .scale = 0.5,
                                  .head = {.hidden = {16}, .dropout = 0},
                                  .postprocess = {.score_threshold = 0}});
  model.eval();
  const Batch batch = toy_batch(data, 3);
  const auto plain = model.detect(batch);
  model.options().pyramid = ScalePyramid{.sides_px = {32}, .longest_px = 32};
  const auto pyramid = model.detect(batch);
  for (std::size_t n = 0; n < plain.size(); ++n) {
    REQUIRE(plain[n].boxes.shape() == pyramid[n].boxes.shape());
    for (std::size_t i = 0; i < plain[n].boxes.data().size(); ++i)
      CHECK(double(plain[n].boxes.data()[i]) ==
            Approx(double(pyramid[n].boxes.data()[i])).margin(1e-3));
    REQUIRE(plain[n].scores.size() == pyramid[n].scores.size());
    for (std::size_t i = 0; i < plain[n].scores.size(); ++i)
      CHECK(double(plain[n].scores[i]) == Approx(double(pyramid[n].scores[i])).epsilon(1e-5));
  }
  RegionClassifiers classifiers(16, 3 * 3 * 16, 2);
  const auto report = train_region_classifiers(
      classifiers, data, {},
      [&](const Tensor& image, const Tensor& boxes) {
        const Tensor pooled = model.pooled_features(image, boxes);
        return ClassifierFeatures{model.head().hidden(pooled),
                                  reshape(pooled, {boxes.size(0), -1})};
      },
      folder.path);
  CHECK(report.positives == std::vector<std::int64_t>{3, 3});
}

TEST_CASE("two-stage detectors compute at the paths of their layers", "[rcnn]") {
  const ToyDataset scenes(1);
  const WithProposals data(scenes, toy_proposals(scenes));
  const Batch batch = toy_batch(data, 1);
  const Tensor boxes = data.get(0).proposals;
  const auto check_paths = [](nn::Module& model, const std::function<void()>& run) {
    for (const nn::LayerCount& layer : nn::count_layers(model, run).layers) {
      INFO(layer.path << ": " << layer.ops);
      CHECK(model.find(layer.path) != nullptr);
      if (layer.multiply_adds > 0) CHECK(layer.parameters > 0);
    }
  };
  Rcnn rcnn(toy_backbone(), toy_rcnn());
  check_paths(rcnn, [&] { rcnn.region_features(batch.images, boxes); });
  SppNet spp_net(toy_backbone(), toy_spp());
  check_paths(spp_net, [&] { spp_net.region_features(batch.images, boxes); });
  FasterRcnnOptions options;
  options.rpn.anchors = {{{8, 8}, {12, 12}}, 2};
  options.rpn.channels = 4;
  options.fast_rcnn.num_classes = 2;
  options.fast_rcnn.pool = 3;
  options.fast_rcnn.scale = 0.5;
  options.fast_rcnn.head = {.hidden = {16}, .dropout = 0};
  FasterRcnn faster_rcnn(toy_backbone(), options);
  check_paths(faster_rcnn, [&] { faster_rcnn.detect(batch); });
  check_paths(faster_rcnn, [&] { faster_rcnn.propose(batch); });
}

TEST_CASE("train_region_classifiers: classes without truths, images without; the same bits",
          "[rcnn][threads]") {
  const Folder folder;
  const ToyDataset scenes(4);
  auto proposals = toy_proposals(scenes);
  proposals[1] = Tensor({0, 4});
  const WithProposals data(scenes, proposals);
  // Features that are the box itself: no network at all.
  const auto features = [](const Tensor&, const Tensor& boxes) {
    return ClassifierFeatures{boxes.clone(), boxes.clone()};
  };
  const int before = num_threads();
  std::vector<Scalar> first;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    RegionClassifiers classifiers(4, 4, 3);  // of class 3 there is none
    const auto report = train_region_classifiers(classifiers, data, {}, features, folder.path);
    CHECK(report.positives == std::vector<std::int64_t>{2, 2, 0});
    CHECK(classifiers.svm_bias.at({2}) == -1);
    CHECK(classifiers.scores(Tensor({1, 4}, {1, 2, 3, 4})).at({0, 3}) == -1);
    std::vector<Scalar> numbers;
    for (const auto& [name, tensor] : classifiers.state_dict())
      numbers.insert(numbers.end(), tensor.data().begin(), tensor.data().end());
    if (first.empty()) first = numbers;
    CHECK(numbers == first);
  }
  set_num_threads(before);
  RegionClassifiers wrong(5, 4, 2);
  CHECK_THROWS_WITH(train_region_classifiers(wrong, data, {}, features, folder.path),
                    ContainsSubstring("must be [12, 5] and [12, 4], got [12, 4] and [12, 4]"));
  RegionClassifiers few(4, 4, 1);
  CHECK_THROWS_WITH(train_region_classifiers(few, data, {}, features, folder.path),
                    "train_region_classifiers: label 2 of 1 classes");
}

TEST_CASE("R-CNN and SPPnet explain what does not fit", "[rcnn][errors]") {
  CHECK_THROWS_WITH(Rcnn(nullptr, toy_rcnn()), "Rcnn: the backbone is null");
  CHECK_THROWS_WITH(SppNet(nullptr, toy_spp()), "SppNet: the backbone is null");
  const ToyDataset scenes(2);
  Rcnn rcnn(toy_backbone(), toy_rcnn());
  SppNet spp(toy_backbone(), toy_spp());
  Batch batch = toy_batch(scenes, 2);
  batch.proposals.pop_back();
  Random random;
  CHECK_THROWS_WITH(rcnn.detect(batch), "Rcnn: the batch has 2 images and proposals for 1");
  CHECK_THROWS_WITH(spp.loss(batch, random), "SppNet: the batch has 2 images and proposals for 1");
}
