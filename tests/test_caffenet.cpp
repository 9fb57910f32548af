// The networks of Fast R-CNN beside VGG16: detection/models/caffenet.cpp, vgg_cnn_m_1024.cpp,
// fc_classifier.cpp. That they compute what PyTorch computes, and the published counts.

#include "core/autograd.h"
#include "core/ops.h"
#include "detection/models/caffenet.h"
#include "detection/models/fast_rcnn.h"
#include "detection/models/fc_classifier.h"
#include "detection/models/vgg16.h"
#include "detection/models/vgg_cnn_m_1024.h"
#include "layers/conv.h"
#include "layers/count.h"
#include "tests/golden_network.h"

using namespace boxgrad;
using namespace boxgrad::detection;

#include "tests/golden/caffenet.h"

namespace {

/// A network of five convolutions with every algorithm, beside PyTorch.
template <class Network, class Options>
void check_network(const GoldenNetwork& golden, const Options& options, const Shape& shape) {
  for (const auto algorithm :
       {ConvAlgorithm::direct, ConvAlgorithm::im2col, ConvAlgorithm::automatic}) {
    INFO(to_string(algorithm));
    Network net(options);
    net.visit([&](const std::string&, nn::Module& module) {
      if (auto* conv = dynamic_cast<nn::Conv2d*>(&module)) conv->options.algorithm = algorithm;
    });
    fill(net, golden.seed);
    Tensor images = numbers(shape, 1000 * golden.seed + 1) * Scalar{100};
    images.requires_grad_();
    check_golden(golden, net.maps(images), net, images,
                 algorithm == ConvAlgorithm::automatic ? 1e-4 : 1e-5);
  }
}

const std::vector<std::string> kPool5 = {"pool5"};

/// The classifier of model S, M or L, at any width.
std::shared_ptr<FcClassifier> classifier(char model, double width = 1) {
  const auto hidden = [&](std::int64_t out) { return scaled_channels(out, width); };
  if (model == 'S')
    return std::make_shared<FcClassifier>(
        std::make_shared<CaffeNet>(CaffeNetOptions{.width = width, .outputs = kPool5}), 6, 6,
        FcClassifierOptions{.hidden = {hidden(4096), hidden(4096)}});
  if (model == 'M')
    return std::make_shared<FcClassifier>(
        std::make_shared<VggCnnM1024>(VggCnnM1024Options{.width = width, .outputs = kPool5}), 6, 6,
        FcClassifierOptions{.hidden = {hidden(4096), hidden(1024)}});
  return std::make_shared<FcClassifier>(
      std::make_shared<Vgg16>(Vgg16Options{.width = width, .outputs = kPool5}), 7, 7,
      FcClassifierOptions{.hidden = {hidden(4096), hidden(4096)}});
}

}  // namespace

TEST_CASE("CaffeNet and its gradients match torch", "[networks]") {
  check_network<CaffeNet>(
      kCaffeNet,
      CaffeNetOptions{.width = 0.25, .outputs = {"norm1", "conv5", "pool5"}, .padded = true},
      {2, 51, 67, 3});
}

TEST_CASE("VggCnnM1024 and its gradients match torch", "[networks]") {
  check_network<VggCnnM1024>(
      kVggCnnM1024, VggCnnM1024Options{.width = 0.25, .outputs = {"norm1", "conv5", "pool5"}},
      {1, 69, 85, 3});
}

TEST_CASE("CaffeNet, VggCnnM1024: the sides of their maps", "[networks]") {
  const auto sides = [](Backbone& net, std::int64_t side) {
    std::vector<std::int64_t> result;
    for (const Tensor& map : net.maps(Tensor({1, side, side, 3}))) result.push_back(map.size(1));
    return result;
  };
  using Sides = std::vector<std::int64_t>;
  const std::vector<std::string> all = {"conv1", "pool1", "conv2", "pool2", "conv5", "pool5"};
  CaffeNet s({.width = 0.05, .outputs = all});
  CHECK(sides(s, 227) == Sides{55, 27, 27, 13, 13, 6});
  CHECK(s.channels() == Sides{4, 4, 12, 12, 12, 12});  // pairs
  CaffeNet padded({.width = 0.05, .outputs = all, .padded = true});
  CHECK(sides(padded, 600) == Sides{150, 76, 76, 39, 39, 19});
  VggCnnM1024 m({.width = 0.05, .outputs = all});
  CHECK(sides(m, 224) == Sides{109, 54, 26, 13, 13, 6});
  VggCnnM1024 floored({.width = 0.05, .outputs = all, .ceil_mode = false});
  CHECK(sides(floored, 224) == Sides{109, 54, 26, 12, 12, 5});
  CHECK(sides(m, 600) == Sides{297, 148, 73, 36, 36, 18});
}

TEST_CASE("CaffeNet looks where its cells are", "[networks]") {
  // With its padding, cell (i, j) of conv5 sees the pixels around (16 i, 16 j) and as far on one
  // side as on the other.
  CaffeNet net({.width = 0.05, .outputs = {"pool2"}, .padded = true});
  Tensor image = Tensor::rand({1, 193, 193, 3});
  image.requires_grad_();
  const Tensor map = net(image);
  REQUIRE(map.shape() == Shape{1, 13, 13, 12});
  Tensor dy(map.shape());
  for (std::int64_t c = 0; c < 12; ++c) dy.set({0, 6, 6, c}, 1);
  map.backward(dy);
  const auto touched = [&](std::int64_t h, std::int64_t w) {
    Scalar sum = 0;
    for (std::int64_t c = 0; c < 3; ++c) sum += std::abs(image.grad().at({0, h, w, c}));
    return sum > 0;
  };
  // 5 + 4 (1 + 2 (2 + 1)) pixels on each side of (96, 96).
  for (std::int64_t i = 0; i < 193; ++i)
    if (std::abs(i - 96) > 33) CHECK_FALSE((touched(96, i) || touched(i, 96)));
}

TEST_CASE("the networks of Fast R-CNN: the published counts", "[networks][count]") {
  // Without fc6 to fc8, which take seconds to fill: their counts are products.
  struct Published {
    std::shared_ptr<Backbone> backbone;
    std::int64_t side, parameters, multiply_adds;
    std::vector<std::int64_t> widths;  // of the map, fc6, fc7, fc8
    std::int64_t all_parameters, all_multiply_adds;
  };
  for (const Published& p : {Published{std::make_shared<CaffeNet>(),
                                       227,
                                       2334080,
                                       665784864,
                                       {6 * 6 * 256, 4096, 4096, 1000},
                                       60965224,
                                       724406816},
                             Published{std::make_shared<VggCnnM1024>(),
                                       224,
                                       6528640,
                                       1579801632,
                                       {6 * 6 * 512, 4096, 1024, 1000},
                                       87250536,
                                       1660517408}}) {
    nn::ModelCount count = nn::count_layers(*p.backbone, Shape{1, p.side, p.side, 3});
    CHECK(count.parameters == p.parameters);
    CHECK(count.multiply_adds == p.multiply_adds);
    for (std::size_t i = 1; i < p.widths.size(); ++i) {
      count.parameters += (p.widths[i - 1] + 1) * p.widths[i];
      count.multiply_adds += p.widths[i - 1] * p.widths[i];
    }
    CHECK(count.parameters == p.all_parameters);
    CHECK(count.multiply_adds == p.all_multiply_adds);
  }
}

TEST_CASE("FcClassifier: the published counts", "[.full][networks][count]") {
  struct Published {
    char model;
    std::int64_t side, parameters, multiply_adds;
  };
  for (const Published& p :
       {Published{'S', 227, 60965224, 724406816}, Published{'M', 224, 87250536, 1660517408},
        Published{'L', 224, 138357544, 15470264320}}) {
    INFO(p.model);
    const auto net = classifier(p.model);
    const nn::ModelCount count = nn::count_layers(*net, Shape{1, p.side, p.side, 3});
    CHECK(count.parameters == p.parameters);
    CHECK(count.multiply_adds == p.multiply_adds);
  }
}

TEST_CASE("the classifiers of Fast R-CNN learn at full size", "[.full][networks]") {
  for (const char model : {'S', 'M', 'L'}) {
    INFO(model);
    const auto net = classifier(model);
    const std::int64_t side = model == 'S' ? 227 : 224;
    const Tensor logits = (*net)(Tensor::randn({1, side, side, 3}));
    CHECK(logits.shape() == Shape{1, 1000});
    sum(logits * logits).backward();
    for (const auto& [name, parameter] : net->parameters()) {
      INFO(name);
      REQUIRE(parameter.has_grad());
      double squares = 0;
      for (const Scalar g : parameter.grad().data()) squares += static_cast<double>(g) * g;
      CHECK(std::isfinite(squares));
      CHECK(squares > 0);
    }
  }
}

TEST_CASE("the classifiers of Fast R-CNN learn when they are narrow", "[networks]") {
  for (const char model : {'S', 'M', 'L'}) {
    INFO(model);
    const auto net = classifier(model, 1. / 16);
    const std::int64_t side = model == 'S' ? 227 : 224;
    const Tensor logits = (*net)(Tensor::randn({1, side, side, 3}));
    CHECK(logits.shape() == Shape{1, 1000});
    sum(logits).backward();
    for (const auto& [name, parameter] : net->parameters()) {
      INFO(name);
      CHECK(parameter.has_grad());
    }
  }
}

TEST_CASE("RoI pooling takes the place of the last pooling", "[networks][fast_rcnn]") {
  // A region of 14 x 14 cells in 7 x 7 bins is what pool5 does to the whole image: the classifier's
  // fc7, and with fc8's weights in cls_score its logits, come out of Fast R-CNN.
  const double width = 1. / 16;
  const auto source = classifier('L', width);
  source->eval();
  FastRcnn detector(std::make_shared<Vgg16>(Vgg16Options{.width = width}),
                    {.num_classes = 999, .head = {.hidden = {256, 256}}});
  detector.eval();
  const auto trunk = detector.load_partial(source->state_dict());
  CHECK(trunk.loaded.size() == 26);
  const auto head = detector.head().load_partial(source->state_dict());
  CHECK(head.loaded ==
        std::vector<std::string>{"fc6.weight", "fc6.bias", "fc7.weight", "fc7.bias"});
  detector.head().find("cls_score")->load_state_dict(source->find("fc8")->state_dict());

  const NoGradGuard guard;
  const Tensor image = Tensor::randn({1, 224, 224, 3});
  const auto output =
      detector.classify(detector.features(image), Tensor({1, 5}, {0, 0, 0, 13 * 16, 13 * 16}));
  CHECK(relative_error(output.logits, (*source)(image)) < 1e-5);
}

TEST_CASE("FcClassifier explains what does not fit", "[networks][errors]") {
  const auto backbone = std::make_shared<CaffeNet>(CaffeNetOptions{.width = 0.02});
  FcClassifier net(backbone, 6, 6, {.num_classes = 3, .hidden = {8}});
  CHECK_THROWS_WITH(net(Tensor({1, 227, 227, 3})),
                    "FcClassifier: images must give a map of 6 x 6, got 13 x 13 of images [1, "
                    "227, 227, 3]");
  CHECK_THROWS_WITH(FcClassifier(nullptr, 6, 6), "FcClassifier: the backbone must not be null");
  CHECK_THROWS_WITH(FcClassifier(backbone, 6, 0),
                    "FcClassifier: the map must be at least 1 x 1, got 6 x 0");
  CHECK_THROWS_WITH(FcClassifier(backbone, 6, 6, {.num_classes = 0}),
                    "FcClassifier: num_classes must be >= 1, got 0");
  CHECK_THROWS_WITH(CaffeNet({.width = 0.02, .outputs = {"conv6"}}),
                    "CaffeNet: there is no layer \"conv6\" among conv1 to pool5");
  CHECK_THROWS_WITH(VggCnnM1024({.width = 0.02, .outputs = {"norm3"}}),
                    "VggCnnM1024: there is no layer \"norm3\" among conv1 to pool5");
}
