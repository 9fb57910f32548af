// detection/models/{ssd300,extra_maps}.h.
#include <algorithm>
#include <cmath>
#include <utility>

#include "core/autograd.h"
#include "core/gradcheck.h"
#include "core/ops.h"
#include "core/random.h"
#include "detection/models/extra_maps.h"
#include "detection/models/ssd300.h"
#include "detection/models/vgg16.h"
#include "layers/adamw.h"
#include "layers/conv.h"
#include "layers/count.h"
#include "layers/init.h"
#include "layers/l2_norm.h"
#include "layers/pool.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

Tensor random_images(std::int64_t n, std::int64_t side) {
  Random random(3);
  Tensor images({n, side, side, 3});
  for (Scalar& v : images.data()) v = static_cast<Scalar>(random.uniform(-1, 1));
  return images;
}

Tensor parameter(const nn::Module& module, const std::string& name) {
  for (const auto& [path, tensor] : module.state_dict())
    if (path == name) return tensor;
  FAIL("no parameter " << name);
  return {};
}

}  // namespace

TEST_CASE("SSD300: maps, boxes and counts as published", "[ssd300]") {
  const auto model = make_ssd300(20);
  CHECK(model->parameter_count() == 26285486);  // torchvision's ssd300_vgg16(num_classes=21)
  const Tensor image({1, 300, 300, 3});
  const NoGradGuard guard;
  Ssd::Heads heads;
  const nn::ModelCount count = nn::count_layers(*model, [&] { heads = model->heads(image); });
  CHECK(count.multiply_adds == 31373537792);
  for (const nn::LayerCount& layer : count.layers) {
    INFO(layer.path << ": " << layer.ops);
    CHECK(model->find(layer.path) != nullptr);
    if (layer.multiply_adds > 0) CHECK(layer.parameters > 0);
  }
  CHECK(heads.logits.shape() == Shape{1, 8732, 21});
  CHECK(heads.offsets.shape() == Shape{1, 8732, 4});
  CHECK(heads.anchors.size(0) == 8732);
  // The middle of the last map's only cell, 264 px wide.
  const std::int64_t first_of_last = 8728;
  CHECK(heads.anchors.at({first_of_last, 0}) == Approx(150 - 132));
  CHECK(heads.anchors.at({first_of_last, 3}) == Approx(150 + 132));
}

TEST_CASE("MobileNet-SSD: 3,000 boxes on six maps", "[ssd300]") {
  const auto model = make_mobilenet_ssd(20, 0.25);
  model->eval();
  const NoGradGuard guard;
  const nn::OutputTap tap({"backbone.body.block11", "backbone.extra4"});
  const Ssd::Heads heads = model->heads(random_images(1, 300));
  CHECK(tap.output("backbone.body.block11").shape() == Shape{1, 19, 19, 128});
  CHECK(tap.output("backbone.extra4").shape() == Shape{1, 1, 1, 64});
  CHECK(heads.anchors.size(0) == 3000);
  CHECK(heads.logits.shape() == Shape{1, 3000, 21});
  // Squares of 60 px around the first centre, (8, 8).
  CHECK(heads.anchors.at({0, 0}) == Approx(8 - 30));
  CHECK(heads.anchors.at({0, 2}) == Approx(8 + 30));
  const std::vector<AnchorLevel> levels = mobilenet_ssd_levels();
  CHECK(levels.size() == 6);
  CHECK(levels.back().sizes[1].width == Approx(std::sqrt(285. * 330)));
}

TEST_CASE("MobileNet-SSD's options are a caller's: from which IoU a box is an object", "[ssd300]") {
  // 41 px between the cells of (152, 152) and (168, 152), inside of both squares of 60 px and of
  // both boxes of 85 x 42, all of area 3600: IoU 41^2 / 3600 = .467 with four, less with the others.
  Batch batch;
  batch.images = random_images(2, 300);  // batch norm on the last map's cell needs two
  batch.targets = {{.boxes = Tensor({1, 4}, {139.5, 131.5, 180.5, 172.5}), .labels = {1}}, {}};
  Random random(1);
  SsdOptions options = mobilenet_ssd_options(2);
  CHECK(make_mobilenet_ssd(options, 1. / 8)->loss(batch, random).positives == 1);  // its best one
  options.match_iou = Scalar(0.45);
  const auto model = make_mobilenet_ssd(options, 1. / 8);
  CHECK(model->loss(batch, random).positives == 4);
  batch.images = random_images(1, 300);
  batch.targets.pop_back();
  CHECK_THROWS_AS(model->loss(batch, random), std::invalid_argument);
  model->eval();
  CHECK(model->loss(batch, random).positives == 4);
}

TEST_CASE("MobileNet-SSD: parameters and multiply-adds, layer by layer", "[ssd300][count]") {
  // MobileNet v1 at 300 px: output side, channels in and out of each block; conv0 before them.
  struct Block {
    std::int64_t side, in, out;
  };
  const std::vector<Block> blocks{{150, 32, 64},   {75, 64, 128},  {75, 128, 128}, {38, 128, 256},
                                  {38, 256, 256},  {19, 256, 512}, {19, 512, 512}, {19, 512, 512},
                                  {19, 512, 512},  {19, 512, 512}, {19, 512, 512}, {10, 512, 1024},
                                  {10, 1024, 1024}};
  std::int64_t parameters = 27 * 32 + 2 * 32, multiply_adds = 150 * 150 * 27 * 32;
  for (const auto& [side, in, out] : blocks) {
    parameters += 9 * in + 2 * in + in * out + 2 * out;  // filters; scale and offset of two norms
    multiply_adds += side * side * (9 * in + in * out);
  }
  CHECK(parameters == 4231976 - 1024 * 1000 - 1000);  // the classifier's without its last layer
  // Extra maps: the side before and behind, channels in, reduced and out.
  struct Extra {
    std::int64_t before, side, in, reduced, out;
  };
  for (const auto& [before, side, in, reduced, out] : std::vector<Extra>{{10, 5, 1024, 256, 512},
                                                                         {5, 3, 512, 128, 256},
                                                                         {3, 2, 256, 128, 256},
                                                                         {2, 1, 256, 128, 256}}) {
    parameters += in * reduced + 2 * reduced + 9 * reduced * out + 2 * out;
    multiply_adds += before * before * in * reduced + side * side * 9 * reduced * out;
  }
  // Heads: in each cell six boxes of 21 classes and 4 offsets.
  for (const auto& [side, channels] : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {19, 512}, {10, 1024}, {5, 512}, {3, 256}, {2, 256}, {1, 256}}) {
    parameters += (9 * channels + 1) * 6 * 25;
    multiply_adds += side * side * 9 * channels * 6 * 25;
  }
  const auto model = make_mobilenet_ssd(20);
  CHECK(model->parameter_count() == parameters);
  const Tensor image({1, 300, 300, 3});
  const NoGradGuard guard;
  model->eval();
  const nn::ModelCount count = nn::count_layers(*model, [&] { model->heads(image); });
  CHECK(count.multiply_adds == multiply_adds);
  for (const nn::LayerCount& layer : count.layers) {
    INFO(layer.path << ": " << layer.ops);
    CHECK(model->find(layer.path) != nullptr);
  }
  CHECK(model->options().match_iou == Scalar(0.5));
}

TEST_CASE("SSD300 and MobileNet-SSD: new layers start from Glorot's filters and zero biases",
          "[ssd300]") {
  manual_seed(8);
  for (const auto& model : {make_ssd300(3, 1. / 8), make_mobilenet_ssd(3, 1. / 8)}) {
    int convolutions = 0;
    model->visit([&](const std::string& path, nn::Module& module) {
      const auto* conv = dynamic_cast<const nn::Conv2d*>(&module);
      const bool is_new = path.find("extra") != std::string::npos ||
                          path.find("_head") != std::string::npos || path.ends_with("fc6") ||
                          path.ends_with("fc7");
      if (conv == nullptr || !is_new) return;
      INFO(path);
      ++convolutions;
      const nn::init::Fans fans = nn::init::fans(conv->weight.shape());
      const double limit = std::sqrt(6. / double(fans.in + fans.out));
      double largest = 0, squares = 0;
      for (const Scalar v : conv->weight.data()) {
        largest = std::max(largest, std::abs(double(v)));
        squares += double(v) * double(v);
      }
      CHECK(largest <= limit * 1.000001);
      CHECK(largest > 0.95 * limit);
      // Uniform: variance limit^2 / 3, over hundreds of numbers.
      CHECK(squares / double(conv->weight.numel()) == Approx(limit * limit / 3).epsilon(0.2));
      if (conv->bias.defined())
        for (const Scalar v : conv->bias.data()) CHECK(v == 0);
    });
    const bool vgg = model->find("backbone.body.fc6") != nullptr;
    CHECK(convolutions == 4 * 2 + 6 * 2 + (vgg ? 2 : 0));
  }
}

TEST_CASE("SSD300 and MobileNet-SSD keep the prior that their options ask for", "[ssd300]") {
  SsdOptions vgg = ssd300_options(3), mobilenet = mobilenet_ssd_options(3);
  vgg.prior = mobilenet.prior = 0.01;
  const double background = std::log(3 * 0.99 / 0.01);
  for (const auto& model : {make_ssd300(vgg, 1. / 32), make_mobilenet_ssd(mobilenet, 1. / 8)})
    for (int map = 1; map <= 6; ++map) {
      INFO("map " << map);
      const Tensor bias = parameter(*model, concat("class_head", map, ".bias"));
      for (std::int64_t i = 0; i < bias.numel(); ++i)
        CHECK(double(bias.at({i})) == Approx(i % 4 == 0 ? background : 0));
      for (const Scalar v : parameter(*model, concat("box_head", map, ".bias")).to_vector())
        CHECK(v == 0);
    }
}

TEST_CASE("SsdVgg16 is VGG with a norm, a pool that keeps the size, and holes", "[ssd300]") {
  manual_seed(5);
  SsdVgg16 net(1. / 64);  // 1 to 8 channels
  const NoGradGuard guard;
  const Tensor images = random_images(1, 75);
  const std::vector<Tensor> maps = net.maps(images);
  REQUIRE(maps.size() == 2);
  CHECK(maps[0].shape() == Shape{1, 10, 10, 8});
  CHECK(maps[1].shape() == Shape{1, 5, 5, 16});
  CHECK(net.channels() == std::vector<std::int64_t>{8, 16});

  Vgg16 vgg({.width = 1. / 64, .outputs = {"conv4_3", "conv5_3"}, .ceil_mode = true});
  vgg.load_partial(net.state_dict(), "vgg.");
  const std::vector<Tensor> conv = vgg.maps(images);
  const Tensor normed = l2_norm(conv[0], Tensor::full({8}, 20));
  const Tensor pooled = max_pool2d(conv[1], 3, {.stride = 1, .padding = 1});
  const Tensor fc6 = relu(conv2d(pooled, parameter(net, "fc6.weight"), parameter(net, "fc6.bias"),
                                 {.padding = 6, .dilation = 6}));
  const Tensor fc7 = relu(conv2d(fc6, parameter(net, "fc7.weight"), parameter(net, "fc7.bias")));
  for (std::size_t i = 0; i < normed.data().size(); ++i)
    CHECK(maps[0].data()[i] == Approx(normed.data()[i]).margin(1e-4));
  for (std::size_t i = 0; i < fc7.data().size(); ++i)
    CHECK(maps[1].data()[i] == Approx(fc7.data()[i]).margin(1e-5));
}

TEST_CASE("ExtraMaps halve the last map again and again", "[ssd300]") {
  manual_seed(6);
  const auto body = std::make_shared<Vgg16>(Vgg16Options{.width = 1. / 64, .outputs = {"conv2_2"}});
  for (const nn::ConvTail tail : {nn::ConvTail::bias, nn::ConvTail::norm}) {
    ExtraMaps net(body,
                  {{.reduced = 2, .channels = 6},
                   {.reduced = 3, .channels = 4},
                   {.reduced = 3, .channels = 5, .stride = 1, .padding = 0}},
                  tail);
    CHECK(net.channels() == std::vector<std::int64_t>{2, 6, 4, 5});
    const std::vector<Tensor> maps = net.maps(random_images(2, 24));
    REQUIRE(maps.size() == 4);
    CHECK(maps[1].shape() == Shape{2, 6, 6, 6});
    CHECK(maps[2].shape() == Shape{2, 3, 3, 4});
    CHECK(maps[3].shape() == Shape{2, 1, 1, 5});
    CHECK(net.find("extra2_reduce") != nullptr);
    // Every parameter gets a gradient.
    net.zero_grad();
    sum(maps[3]).backward();
    for (const auto& [name, tensor] : net.parameters()) {
      INFO(name);
      CHECK(tensor.grad().defined());
    }
  }
  CHECK_THROWS_WITH(ExtraMaps(body, {{.reduced = 2}}), Catch::Contains("channels"));
  CHECK_THROWS_WITH(ExtraMaps(nullptr, {}), Catch::Contains("null"));
}

TEST_CASE("a narrow SSD300 learns from a few steps", "[ssd300]") {
  manual_seed(7);
  const auto model = make_ssd300(2, 1. / 32);
  Sample sample{.image = Image(120, 90, 200, 90, 30), .name = "one"};
  sample.target = {.boxes = Tensor({1, 4}, {20, 30, 70, 80}), .labels = {2}};
  const Batch batch = ssd300_preparation().make_batch({sample});
  CHECK(batch.images.shape() == Shape{1, 300, 300, 3});
  CHECK(batch.images.at({0, 5, 5, 0}) == Approx(200 - 123).margin(0.01));
  CHECK(batch.targets[0].boxes.at({0, 3}) == Approx(80. * 300 / 90));
  Random random(1);
  nn::AdamW optimizer(*model, {.rate = 1e-4});
  double first = 0, last = 0;
  for (int step = 0; step < 8; ++step) {
    optimizer.zero_grad();
    const DetectorLoss loss = model->loss(batch, random);
    CHECK(loss.positives > 0);
    CHECK(loss.negatives == 3 * loss.positives);
    last = double(loss.total.item());
    if (step == 0) first = last;
    loss.total.backward();
    for (const auto& [name, tensor] : model->parameters()) {
      INFO(name);
      CHECK(tensor.has_grad());
    }
    optimizer.step();
  }
  CHECK(last < first);
  CHECK(mobilenet_ssd_preparation().make_batch({sample}).images.at({0, 5, 5, 0}) ==
        Approx((200. / 255 - .5) / .5));
}
