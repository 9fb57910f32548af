#include "core/check.h"
#include "detection/training/spp_net_training.h"

namespace boxgrad::detection {

SppNetPreset spp_net_preset(const std::string& name, std::int64_t num_classes) {
  check(num_classes >= 1, "spp_net_preset: num_classes must be >= 1, got ", num_classes);
  SppNetPreset p;
  p.name = name;
  p.model.num_classes = num_classes;
  if (name == "L") return p;
  check(name == "narrow", "spp_net_preset: name must be L or narrow, got \"", name, "\"");
  p.width = 0.25;
  p.last_layer = "conv4_3";  // objects of 20 px have 3 cells of a stride of 8
  p.subtract_mean = false;
  p.model.scale = 1. / 8;
  p.model.pyramid = {.sides_px = {128}, .longest_px = 128, .region_px = 48};  // scenes as they are
  p.model.head.hidden = {256, 256};
  p.model.head.dropout = 0;
  p.training.iterations = 3000;
  p.training.images = 16;
  p.training.scales = ScaleChoice::nearest;
  p.training.sgd.rate = 0.01;
  p.training.sgd.velocity = nn::Velocity::torch;
  p.training.drops = {0.75};
  p.training.warm_up = 0.05;
  p.training.clip_norm = 10;
  p.training.classifier_images = 500;
  // A class has some 160 truths in 500 scenes: few of them would pass their margin with 2 (lesson 06
  // measures it).
  p.training.classifiers.svm.positive_weight = 20;
  return p;
}

Preparation SppNetPreset::preparation() const {
  Preparation result;  // images as they are: the pyramid brings them to their sizes
  if (subtract_mean) result.batch = imagenet_bytes();
  return result;
}

PresetSettings SppNetPreset::settings() const {
  const auto list = [](const auto& values, const char* between) {
    std::string text;
    for (const auto& v : values) text += concat(text.empty() ? "" : between, v);
    return text;
  };
  std::string groups;
  for (const nn::ParameterGroup& g : training.sgd.groups)
    groups +=
        concat(groups.empty() ? "" : ", ", g.pattern, " at rate x", g.rate, ", decay x", g.decay);
  const auto& m = model;
  const auto& t = training;
  const auto& c = t.classifiers;
  return {
      {"width", concat(width)},
      {"backbone up to", last_layer},
      {"pixels per cell", concat(1 / m.scale)},
      {"bins", list(m.levels, ", ")},
      {"shorter sides in px",
       concat(list(m.pyramid.sides_px, ", "), ", at most ", m.pyramid.longest_px)},
      {"side of a region at its scale", concat(m.pyramid.region_px)},
      {"fully connected", list(m.head.hidden, ", ")},
      {"dropout", concat(m.head.dropout)},
      {"regions of a step", concat(m.sampling.size)},
      {"share of objects", concat(m.sampling.positive_fraction)},
      {"object from IoU", concat(m.regions.positive)},
      {"background IoU", concat(m.regions.negative_low, " to ", m.regions.negative_high)},
      {"images of a step", concat(t.images)},
      {"scales in training", t.scales == ScaleChoice::random ? "random" : "nearest"},
      {"mirrored", t.flips ? "each image, too" : "no"},
      {"input", subtract_mean ? "0 to 255 less the mean" : "0 to 1"},
      {"iterations", concat(t.iterations)},
      {"rate", concat(t.sgd.rate)},
      {"rate / 10 after shares", list(t.drops, ", ")},
      {"warm-up", concat(t.warm_up)},
      {"momentum", concat(t.sgd.momentum)},
      {"velocity", t.sgd.velocity == nn::Velocity::caffe ? "Caffe's" : "PyTorch's"},
      {"weight decay", concat(t.sgd.weight_decay)},
      {"groups", groups},
      {"gradients clipped at", t.clip_norm > 0 ? concat(t.clip_norm) : std::string("never")},
      {"images for SVMs and boxes",
       t.classifier_images < 0 ? std::string("all") : concat(t.classifier_images)},
      {"C of the SVMs", concat(c.svm.c)},
      {"weight of their positives", concat(c.svm.positive_weight)},
      {"negatives of the SVMs", concat("IoU below ", c.negative_iou)},
      {"lambda of the boxes", concat(c.ridge_lambda)},
      {"score threshold", concat(m.postprocess.score_threshold)},
      {"suppression", concat(m.postprocess.nms_iou)},
  };
}

}  // namespace boxgrad::detection
