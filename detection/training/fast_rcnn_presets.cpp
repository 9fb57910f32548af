#include "detection/training/fast_rcnn_presets.h"

#include <utility>

#include "core/check.h"
#include "detection/data/with_mirrored.h"
#include "detection/models/caffenet.h"
#include "detection/models/vgg16.h"
#include "detection/models/vgg_cnn_m_1024.h"

namespace boxgrad::detection {

FastRcnnPreset fast_rcnn_preset(const std::string& name, std::int64_t num_classes) {
  check(num_classes >= 1, "fast_rcnn_preset: num_classes must be >= 1, got ", num_classes);
  FastRcnnPreset p;
  p.name = name;
  p.model.num_classes = num_classes;
  p.model.scale = 1. / 16;
  p.model.head = {.hidden = {4096, 4096}, .dropout = 0.5, .class_std = 0.01, .box_std = 0.001};
  p.model.regions = {
      .positive = Scalar(0.5), .negative_low = Scalar(0.1), .negative_high = Scalar(0.5)};
  p.model.sampling = {.size = 64, .positive_fraction = 0.25};
  p.model.lambda = 1;
  p.model.postprocess = {
      .score_threshold = 0.05, .max_per_class = 300, .nms_iou = 0.3, .max_per_image = 100};
  p.sgd = {.rate = 0.001,
           .momentum = 0.9,
           .weight_decay = 5e-4,
           .velocity = nn::Velocity::caffe,
           .groups = {{.pattern = ".*[.]bias", .rate = 2, .decay = 0}}};
  p.compression = {{.layers = "head[.]fc6", .t = 1024}, {.layers = "head[.]fc7", .t = 256}};

  if (name == "S" || name == "M") {
    p.network = name == "S" ? "CaffeNet" : "VggCnnM1024";
    p.last_layer = "conv5";
    p.frozen_through = "conv1";
    p.model.pool = 6;
    if (name == "M") p.model.head.hidden = {4096, 1024};
    return p;
  }
  p.network = "Vgg16";
  p.last_layer = "conv5_3";
  p.frozen_through = "conv2_2";
  p.model.pool = 7;
  if (name == "L") return p;

  check(name == "narrow", "fast_rcnn_preset: name must be S, M, L or narrow, got \"", name, "\"");
  p.width = 0.25;
  p.last_layer = "conv4_3";  // objects of 20 px have 3 cells of a stride of 8
  p.frozen_through = "conv1_2";
  p.model.scale = 1. / 8;
  p.model.pool = 5;
  p.model.head.hidden = {256, 256};
  p.model.head.dropout = 0;
  p.model.postprocess.score_threshold = 0.01;  // AP looks at the whole curve; as SSD has it
  p.shorter_px = p.longer_px = 0;
  p.subtract_mean = false;
  p.mirrored_copies = false;
  p.flip_probability = 0.5;
  p.iterations = 3000;
  p.warm_up = 0.05;
  p.clip_norm = 10;
  p.sgd.rate = 0.01;
  p.sgd.velocity = nn::Velocity::torch;
  p.compression = {};
  return p;
}

std::shared_ptr<ChainBackbone> make_backbone(const FastRcnnPreset& p) {
  std::shared_ptr<ChainBackbone> net;
  if (p.network == "CaffeNet")
    net = std::make_shared<CaffeNet>(
        CaffeNetOptions{.width = p.width, .outputs = {p.last_layer}, .padded = true});
  else if (p.network == "VggCnnM1024")
    net = std::make_shared<VggCnnM1024>(
        VggCnnM1024Options{.width = p.width, .outputs = {p.last_layer}});
  else if (p.network == "Vgg16")
    net = std::make_shared<Vgg16>(
        Vgg16Options{.width = p.width, .outputs = {p.last_layer}, .ceil_mode = true});
  check(net != nullptr, "make_backbone: network must be CaffeNet, VggCnnM1024 or Vgg16, got \"",
        p.network, "\"");
  if (!p.frozen_through.empty()) net->freeze_through(p.frozen_through);
  return net;
}

std::shared_ptr<FastRcnn> make_fast_rcnn(const FastRcnnPreset& preset) {
  return std::make_shared<FastRcnn>(make_backbone(preset), preset.model);
}

Preparation FastRcnnPreset::preparation() const {
  Preparation result;
  if (shorter_px > 0 && !model.pyramid)
    result.resize = [shorter = shorter_px, longer = longer_px](Sample sample, Random&) {
      return resize_shorter_side(sample, shorter, longer);
    };
  if (subtract_mean) result.batch = imagenet_bytes();
  return result;
}

std::shared_ptr<const Dataset> FastRcnnPreset::training_set(const Dataset& dataset) const {
  if (mirrored_copies) return std::make_shared<WithMirrored>(dataset);
  return {std::shared_ptr<const Dataset>(), &dataset};  // owns nothing
}

Transform FastRcnnPreset::augmentation() const {
  std::vector<Transform> steps;
  if (flip_probability > 0) steps.push_back(random_horizontal_flip(flip_probability));
  if (model.pyramid) steps.push_back(random_scale(*model.pyramid));
  return steps.empty() ? Transform() : chain(std::move(steps));
}

nn::Schedule FastRcnnPreset::schedule(std::int64_t steps) const {
  return nn::warm_up_multistep(steps, warm_up, drops);
}

TrainerOptions FastRcnnPreset::training() const {
  return {.iterations = iterations,
          .batch_size = images,
          .schedule = [preset = *this](std::int64_t steps) { return preset.schedule(steps); },
          .clip_norm = clip_norm};
}

PresetSettings FastRcnnPreset::settings() const {
  const auto numbers = [](const auto& values) {
    std::string text;
    for (const auto& v : values) text += concat(text.empty() ? "" : ", ", v);
    return text;
  };
  std::vector<std::int64_t> drop_steps;
  for (const double share : drops)
    drop_steps.push_back(static_cast<std::int64_t>(share * double(iterations)));
  std::string ranks, groups;
  for (const nn::CompressOptions& c : compression)
    ranks += concat(ranks.empty() ? "" : ", ", c.layers, " to ", c.t);
  for (const nn::ParameterGroup& g : sgd.groups)
    groups +=
        concat(groups.empty() ? "" : ", ", g.pattern, " at rate x", g.rate, ", decay x", g.decay);
  const auto& m = model;
  return {
      {"network", network},
      {"width", concat(width)},
      {"backbone up to", last_layer},
      {"frozen up to", frozen_through},
      {"pixels per cell", concat(1 / m.scale)},
      {"bins of a region", concat(m.pool, " x ", m.pool)},
      {"fully connected", numbers(m.head.hidden)},
      {"dropout", concat(m.head.dropout)},
      {"standard deviations of the new layers", concat(m.head.class_std, ", ", m.head.box_std)},
      {"weight of the box loss", concat(m.lambda)},
      {"images of a step", concat(images)},
      {"regions of an image", concat(m.sampling.size)},
      {"share of objects", concat(m.sampling.positive_fraction)},
      {"object from IoU", concat(m.regions.positive)},
      {"background IoU", concat(m.regions.negative_low, " to ", m.regions.negative_high)},
      {"sides of an image in px",
       m.pyramid        ? concat(numbers(m.pyramid->sides_px), ", at most ", m.pyramid->longest_px)
       : shorter_px > 0 ? concat(shorter_px, ", at most ", longer_px)
                        : std::string("as they are")},
      {"side of a region at its scale", m.pyramid ? concat(m.pyramid->region_px) : "any"},
      {"input", subtract_mean ? "0 to 255 less the mean" : "0 to 1"},
      {"mirrored", mirrored_copies ? std::string("each image, too")
                                   : concat("with probability ", flip_probability)},
      {"iterations", concat(iterations)},
      {"rate", concat(sgd.rate)},
      {"rate / 10 after", numbers(drop_steps)},
      {"warm-up", concat(warm_up)},
      {"momentum", concat(sgd.momentum)},
      {"velocity", sgd.velocity == nn::Velocity::caffe ? "Caffe's" : "PyTorch's"},
      {"weight decay", concat(sgd.weight_decay)},
      {"groups", groups},
      {"gradients clipped at", clip_norm > 0 ? concat(clip_norm) : std::string("never")},
      {"score threshold", concat(m.postprocess.score_threshold)},
      {"suppression", concat(m.postprocess.nms_iou)},
      {"compressed", ranks.empty() ? std::string("nothing") : ranks},
  };
}

}  // namespace boxgrad::detection
