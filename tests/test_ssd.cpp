// detection/models/ssd.cpp, detection/models/separable_net.cpp and detection/models/ssd_small.cpp.
#include <cmath>
#include <span>

#include "core/draw.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "detection/models/ssd.h"
#include "detection/models/ssd_inspect.h"
#include "detection/models/ssd_small.h"
#include "layers/activation.h"
#include "tests/catch.h"
#include "tests/toy_detector.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

Batch toy_batch(std::int64_t images) {
  const ToyDataset data;
  std::vector<Sample> samples;
  for (std::int64_t i = 0; i < images; ++i) samples.push_back(data.get(i));
  return collate(samples);
}

}  // namespace

TEST_CASE("Ssd: heads line up with the anchors", "[ssd]") {
  const auto model = make_toy();
  const Batch batch = toy_batch(3);
  const Ssd::Heads heads = model->heads(batch.images);
  CHECK(heads.anchors.shape() == Shape{8 * 8 * 2, 4});
  CHECK(heads.logits.shape() == Shape{3, 128, 3});
  CHECK(heads.offsets.shape() == Shape{3, 128, 4});
  // The second anchor of the second cell: 12 px around (6, 2).
  CHECK(slice(heads.anchors, 0, 3, 4).to_vector() == std::vector<Scalar>{0, -4, 12, 8});
}

TEST_CASE("Ssd: a backbone that was put in another's place is the one that runs", "[ssd]") {
  const auto model = make_toy();
  const Tensor images = toy_batch(1).images;
  const std::vector<Scalar> before = model->heads(images).logits.to_vector();
  SeparableNetOptions net;
  net.stem_channels = 4;
  net.stages = {{.channels = 16, .stride = 2, .output = true}};
  model->replace("backbone", std::make_shared<SeparableNet>(net));
  CHECK(model->heads(images).logits.to_vector() != before);

  net.stages.push_back({.channels = 16, .stride = 2, .output = true});
  model->replace("backbone", std::make_shared<SeparableNet>(net));
  CHECK_THROWS_WITH(model->heads(images), "Ssd: there are heads for 1 maps, the backbone gave 2");
}

TEST_CASE("Ssd: the prior makes an untrained network say background", "[ssd]") {
  const auto model = make_toy({.prior = 0.01});
  const auto heads = model->heads(Tensor({1, 32, 32, 3}));
  // Batch norm of a black image gives 0 everywhere, so only biases speak.
  const Tensor probability = softmax(heads.logits);
  double background = 0;
  for (std::int64_t a = 0; a < 128; ++a) background += double(probability.at({0, a, 0})) / 128;
  CHECK(background == Approx(0.99).margin(0.005));
}

TEST_CASE("Ssd: the three ways to choose anchors and their normalisers", "[ssd]") {
  const Batch batch = toy_batch(4);
  Random random(1);
  const auto ssd = make_toy();
  const DetectorLoss a = ssd->loss(batch, random);
  CHECK(a.positives >= 4);
  CHECK(a.negatives == 3 * a.positives);
  CHECK(double(a.total.item()) == Approx(a.parts[0].second + a.parts[1].second));

  const auto all = make_toy({.sampling = AnchorSampling::all});
  const DetectorLoss b = all->loss(batch, random);
  CHECK(b.positives == a.positives);
  CHECK(b.negatives == 4 * 128 - a.positives);
  CHECK(b.parts[1].second == Approx(a.parts[1].second));  // the same boxes over the same N

  const auto mean = make_toy({.sampling = AnchorSampling::mean});
  const DetectorLoss d = mean->loss(batch, random);
  CHECK(d.negatives == b.negatives);
  // The same sum over all 4 * 128 anchors instead of over the positives.
  CHECK(d.parts[0].second ==
        Approx(b.parts[0].second * double(b.positives) / (4 * 128)).epsilon(1e-4));

  const auto notes = make_toy({.sampling = AnchorSampling::notes});
  const DetectorLoss c = notes->loss(batch, random);
  CHECK(c.positives + c.negatives <= 4 * 64);
  for (const AnchorAssignment& image : notes->last_assignment()) {
    CHECK(image.selection.positives.size() <= 16);
    CHECK(image.selection.negatives.size() == 3 * image.selection.positives.size());
  }
  // L_class over N_total: about four times smaller than over N_p for a 3:1 batch.
  CHECK(c.parts[0].second < a.parts[0].second);
}

TEST_CASE("Ssd: images without objects give 0, not NaN, and negatives when asked", "[ssd]") {
  Batch batch = toy_batch(2);
  for (Target& target : batch.targets) target = Target();
  Random random(1);
  const DetectorLoss none = make_toy()->loss(batch, random);
  CHECK(none.total.item() == 0);
  CHECK(none.positives + none.negatives == 0);
  const DetectorLoss some = make_toy({.mining = {.min_negatives = 5}})->loss(batch, random);
  CHECK(some.negatives == 10);
  CHECK(some.total.item() > 0);
}

TEST_CASE("Ssd: the same bits for any number of threads", "[ssd]") {
  const int before = num_threads();
  const Batch batch = toy_batch(6);
  std::vector<Scalar> first;
  for (const int threads : {1, 2, 3, 4, 8}) {
    set_num_threads(threads);
    const auto model = make_toy({.sampling = AnchorSampling::notes});
    Random random(1);
    const DetectorLoss loss = model->loss(batch, random);
    loss.total.backward();
    std::vector<Scalar> numbers{loss.total.item()};
    for (const auto& [name, tensor] : model->parameters())
      for (const Scalar v : tensor.grad().to_vector()) numbers.push_back(v);
    if (first.empty()) first = numbers;
    CHECK(numbers == first);
  }
  set_num_threads(before);
}

TEST_CASE("Ssd: detections stay inside each image of a padded batch", "[ssd]") {
  const auto model = make_toy({.prior = 0.5});
  Batch batch = toy_batch(2);
  batch.infos[1].width = 16;
  batch.infos[1].height = 20;
  model->eval();
  const std::vector<Detections> found = model->detect(batch);
  REQUIRE(found.size() == 2);
  REQUIRE(found[1].scores.size() > 0);
  for (std::size_t i = 0; i < found[1].scores.size(); ++i) {
    CHECK(found[1].boxes.at({std::int64_t(i), 2}) <= 16);
    CHECK(found[1].boxes.at({std::int64_t(i), 3}) <= 20);
    CHECK(found[1].labels[i] >= 1);
  }
}

TEST_CASE("Ssd explains what does not fit", "[ssd][errors]") {
  SeparableNetOptions net;
  net.stages = {{.channels = 8, .output = true}};
  const auto backbone = std::make_shared<SeparableNet>(net);
  SsdOptions options;
  options.levels = {{{{8, 8}}, 4}, {{{16, 16}}, 8}};
  CHECK_THROWS_WITH(Ssd(backbone, options), "Ssd: num_classes must be >= 1, got 0");
  options.num_classes = 2;
  CHECK_THROWS_WITH(Ssd(backbone, options), "Ssd: the backbone has 1 maps, the anchors 2 levels");
  CHECK_THROWS_WITH(SeparableNet({}), "SeparableNet: at least one stage must be an output");
}

TEST_CASE("SeparableNet: maps, strides and channels", "[ssd]") {
  SeparableNetOptions net;
  net.stages = {{.channels = 8, .stride = 2, .output = true},
                {.channels = 12, .blocks = 2, .stride = 2, .output = true}};
  net.normalize_depthwise = true;
  SeparableNet backbone(net);
  const auto maps = backbone.maps(Tensor::rand({2, 32, 48, 3}));
  CHECK(maps[0].shape() == Shape{2, 8, 12, 8});
  CHECK(maps[1].shape() == Shape{2, 4, 6, 12});
  CHECK(backbone.channels() == std::vector<std::int64_t>{8, 12});
}

TEST_CASE("make_ssd_small and anchor_sides", "[ssd]") {
  SsdSmallOptions options;
  options.ssd.num_classes = 10;
  const auto model = make_ssd_small(options);
  CHECK(model->heads(Tensor({1, 128, 128, 3})).anchors.size(0) == 1920);
  options.sides = {1, 2, 3};
  CHECK_THROWS_WITH(make_ssd_small(options),
                    "make_ssd_small: sides must be 4 (two maps) or 6 (three maps), got 3");
  options.sides = {10, 14, 20, 28, 40, 56};
  CHECK(make_ssd_small(options)->heads(Tensor({1, 64, 64, 3})).anchors.size(0) ==
        (64 + 16 + 4) * 6);

  options.sides = {20, 30, 40, 54};
  options.only_stride = 8;
  CHECK(make_ssd_small(options)->heads(Tensor({1, 128, 128, 3})).anchors.size(0) == 256 * 12);
  options.only_stride = 16;
  CHECK(make_ssd_small(options)->heads(Tensor({1, 128, 128, 3})).anchors.size(0) == 64 * 12);
  options.only_stride = 4;
  CHECK_THROWS_WITH(make_ssd_small(options), Catch::Contains("only_stride"));

  const ToyDataset data(12);  // squares of 8 to 13 px
  const auto sides = anchor_sides(data, {}, 4);
  REQUIRE(sides.size() == 4);
  CHECK(sides.front() >= 8);
  CHECK(sides.back() <= Scalar(13.01));
  CHECK(sides[1] / sides[0] == Approx(sides[3] / sides[2]));
  CHECK_THROWS_WITH(anchor_sides(data, {}, 1), "anchor_sides: count must be >= 2, got 1");
}

TEST_CASE("found_by names the map with the loudest anchor that is right", "[ssd]") {
  const Batch batch = toy_batch(4);
  const auto model = make_toy({});
  model->eval();
  const Tensor anchors = model->heads(batch.images).anchors;
  // Untrained heads leave the anchors nearly where they are: found are truths that overlap one.
  std::size_t truths = 0, found = 0;
  for (const FoundBy& one : found_by(*model, batch)) {
    CHECK(one.side_px >= Scalar(7.9));
    CHECK(one.side_px <= Scalar(13.1));
    CHECK((one.level == -1) == (one.score == 0));
    CHECK(one.level < static_cast<int>(model->last_maps().size()));
    ++truths;
    found += one.level >= 0;
  }
  std::size_t expected = 0;
  for (const Target& target : batch.targets) expected += target.labels.size();
  CHECK(truths == expected);
  CHECK(found > 0);
  // Heads that always say nothing find nothing.
  for (auto [name, tensor] : model->parameters())
    if (name.find("box_head") != std::string::npos)
      for (Scalar& v : tensor.data()) v = name.ends_with("bias") ? Scalar(-50) : 0;
  for (const FoundBy& one : found_by(*model, batch)) CHECK(one.level == -1);
}

TEST_CASE("anchor_beliefs counts anchors that say background, and objects", "[ssd]") {
  const Batch batch = toy_batch(4);
  const auto shy = make_toy({.prior = 0.01});
  const AnchorBeliefs before = anchor_beliefs(*shy, batch);
  CHECK(before.background_share > 0.99);
  CHECK(before.object_on_positives < 0.1);
  CHECK(shy->is_training());
  // A head that always says class 1: no anchor is background, and every positive is an object.
  for (auto [name, tensor] : shy->parameters())
    if (name == "class_head1.bias")
      for (std::int64_t a = 0; a < tensor.numel(); a += 3) {
        tensor.set({a}, Scalar(-20));
        tensor.set({a + 1}, Scalar(20));
      }
  const AnchorBeliefs after = anchor_beliefs(*shy, batch);
  CHECK(after.background_share == 0);
  CHECK(after.object_on_positives == Approx(1));
}

TEST_CASE("anchors_sheet draws one panel per sample", "[ssd]") {
  const auto model = make_toy();
  const ToyDataset data;
  const std::vector<Sample> samples{data.get(0), data.get(1)};
  const int padding = GridOptions().padding, panel = enlarged(samples[0].image).first.width();
  const Image one = anchors_sheet(*model, std::span(samples).first(1), {}, data.class_names());
  CHECK(one.width() == panel + 2 * padding);
  CHECK(one.height() == one.width());
  const Image two = anchors_sheet(*model, samples, {}, data.class_names());  // side by side
  CHECK(two.width() == 2 * panel + 3 * padding);
  CHECK(two.height() == one.height());
}

TEST_CASE("who looks at an Ssd leaves its mode and its running statistics alone", "[ssd]") {
  const auto model = make_toy();
  const ToyDataset data;
  const std::vector<Sample> samples{data.get(0), data.get(1)};
  const Batch batch = toy_batch(2);
  const auto state = [&] {
    std::vector<std::vector<Scalar>> numbers;
    for (const auto& [name, tensor] : model->state_dict()) numbers.push_back(tensor.to_vector());
    return numbers;
  };
  const auto before = state();
  anchors_sheet(*model, samples, {}, data.class_names());
  CHECK((state() == before));
  anchor_beliefs(*model, batch);
  found_by(*model, batch);
  CHECK((state() == before));
  CHECK(model->is_training());
  Random random(1);
  model->loss(batch, random);  // which does move them
  CHECK((state() != before));
}
