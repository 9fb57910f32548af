#include "detection/models/ssd300.h"

#include "core/autograd.h"
#include "detection/data/transforms.h"
#include "detection/models/extra_maps.h"
#include "detection/models/mobilenet_v1.h"
#include "detection/models/vgg16.h"
#include "layers/conv.h"
#include "layers/init.h"
#include "layers/l2_norm.h"
#include "layers/pool.h"

namespace boxgrad::detection {

namespace {

/// The extra maps of both networks, the last two without padding for VGG.
std::vector<ExtraMap> extra_maps(double width, bool vgg) {
  const auto scaled = [width](std::int64_t channels) { return scaled_channels(channels, width); };
  std::vector<ExtraMap> extras{{.reduced = scaled(256), .channels = scaled(512)}};
  for (int k = 0; k < 3; ++k) extras.push_back({.reduced = scaled(128), .channels = scaled(256)});
  if (vgg)
    for (const std::size_t k : {2, 3}) extras[k].stride = 1, extras[k].padding = 0;
  return extras;
}

/// Filters by Glorot's rule and biases of 0 for the extra layers and the heads, but for the prior
/// that Ssd has put into the background's biases.
std::shared_ptr<Ssd> started(std::shared_ptr<Ssd> model) {
  const bool has_prior = model->options().prior > 0;
  const auto classes = static_cast<std::size_t>(1 + model->options().num_classes);
  model->visit([&](const std::string& path, nn::Module& module) {
    auto* conv = dynamic_cast<nn::Conv2d*>(&module);
    if (conv == nullptr || path.starts_with("backbone.body")) return;
    nn::init::xavier_uniform(conv->weight);
    if (!conv->bias.defined()) return;
    const bool says_prior = has_prior && path.starts_with("class_head");
    const auto bias = conv->bias.data();
    for (std::size_t i = 0; i < bias.size(); ++i)
      if (!says_prior || i % classes != 0) bias[i] = 0;
  });
  return model;
}

Transform to_300() {
  return [](Sample sample, Random&) { return resize(sample, 300, 300); };
}

}  // namespace

SsdVgg16::SsdVgg16(double width) {
  const std::int64_t conv = scaled_channels(512, width), fc = scaled_channels(1024, width);
  channels_ = {conv, fc};
  vgg_ =
      add_module("vgg", std::make_shared<Vgg16>(Vgg16Options{
                            .width = width, .outputs = {"conv4_3", "conv5_3"}, .ceil_mode = true}));
  norm_ = add_module("conv4_3_norm", std::make_shared<nn::L2Norm>(conv, Scalar(20)));
  const auto fc6 = std::make_shared<nn::Conv2d>(
      conv, fc, 3, Conv2dOptions{.padding = 6, .dilation = 6, .activation = Activation::relu});
  const auto fc7 =
      std::make_shared<nn::Conv2d>(fc, fc, 1, Conv2dOptions{.activation = Activation::relu});
  for (const auto& layer : {fc6, fc7}) {
    nn::init::xavier_uniform(layer->weight);
    nn::init::constant(layer->bias, 0);
  }
  fc6_ = add_module("fc6", fc6);
  fc7_ = add_module("fc7", fc7);
}

std::vector<Tensor> SsdVgg16::maps(const Tensor& images) {
  std::vector<Tensor> conv;
  {
    const ModuleScope scope("vgg");
    conv = vgg_.as<Backbone>().maps(images);
  }
  const Tensor pool5 = max_pool2d(conv[1], 3, {.stride = 1, .padding = 1});
  return {norm_(conv[0]), fc7_(fc6_(pool5))};
}

SsdOptions ssd300_options(std::int64_t num_classes) {
  return {.num_classes = num_classes, .levels = ssd300_levels(), .prior = 0};
}

std::shared_ptr<Ssd> make_ssd300(std::int64_t num_classes, double width) {
  return make_ssd300(ssd300_options(num_classes), width);
}

std::shared_ptr<Ssd> make_ssd300(const SsdOptions& options, double width) {
  return started(std::make_shared<Ssd>(
      std::make_shared<ExtraMaps>(std::make_shared<SsdVgg16>(width), extra_maps(width, true)),
      options));
}

std::vector<AnchorLevel> mobilenet_ssd_levels() {
  std::vector<AnchorLevel> levels;
  Scalar side = 60;
  for (const Scalar step : {16, 32, 64, 100, 150, 300}) {
    levels.push_back({ssd_box_sizes(side, side + 45, {2, 3}), step});
    side += 45;
  }
  return levels;
}

SsdOptions mobilenet_ssd_options(std::int64_t num_classes) {
  return {.num_classes = num_classes, .levels = mobilenet_ssd_levels(), .prior = 0};
}

std::shared_ptr<Ssd> make_mobilenet_ssd(std::int64_t num_classes, double width) {
  return make_mobilenet_ssd(mobilenet_ssd_options(num_classes), width);
}

std::shared_ptr<Ssd> make_mobilenet_ssd(const SsdOptions& options, double width) {
  return started(std::make_shared<Ssd>(
      std::make_shared<ExtraMaps>(std::make_shared<MobileNetV1>(MobileNetV1Options{
                                      .width = width, .outputs = {"block11", "block13"}}),
                                  extra_maps(width, false), nn::ConvTail::norm),
      options));
}

Preparation ssd300_preparation() {
  return {.resize = to_300(),
          .batch = {.mean = {123. / 255, 117. / 255, 104. / 255},
                    .std = {1. / 255, 1. / 255, 1. / 255}}};
}

Preparation mobilenet_ssd_preparation() {
  return {.resize = to_300(), .batch = {.mean = {.5, .5, .5}, .std = {.5, .5, .5}}};
}

}  // namespace boxgrad::detection
