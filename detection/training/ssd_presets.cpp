#include "detection/training/ssd_presets.h"

#include "core/check.h"

namespace boxgrad::detection {

SsdPreset ssd_preset(const std::string& name, std::int64_t num_classes) {
  check(num_classes >= 1, "ssd_preset: num_classes must be >= 1, got ", num_classes);
  check(name == "07" || name == "07+12", "ssd_preset: name must be 07 or 07+12, got \"", name,
        "\"");
  SsdPreset p;
  p.name = name;
  p.model = ssd300_options(num_classes);
  p.sgd = {.rate = 0.001,
           .momentum = 0.9,
           .weight_decay = 5e-4,
           .velocity = nn::Velocity::caffe,
           .groups = {{.pattern = ".*[.]bias", .rate = 2, .decay = 0}}};
  if (name == "07") {
    p.iterations = 60000;
    p.drops_at = {40000, 50000};
    p.changes.zoom_out.chance = 0;
  }
  return p;
}

std::shared_ptr<Ssd> make_ssd(const SsdPreset& preset) {
  return make_ssd300(preset.model, preset.width);
}

TrainerOptions SsdPreset::training() const {
  return {.iterations = iterations,
          .batch_size = images,
          .schedule = [s = schedule()](std::int64_t) { return s; }};
}

PresetSettings SsdPreset::settings() const {
  std::string drops, groups, min_ious;
  for (const std::int64_t at : drops_at) drops += concat(drops.empty() ? "" : ", ", at);
  for (const nn::ParameterGroup& g : sgd.groups)
    groups +=
        concat(groups.empty() ? "" : ", ", g.pattern, " at rate x", g.rate, ", decay x", g.decay);
  for (const double iou : changes.zoom_in.min_ious)
    min_ious += concat(min_ious.empty() ? "" : ", ", iou);
  const ColorJitterOptions& colors = changes.colors;
  const Color& fill = changes.zoom_out.fill;
  const SsdOptions& m = model;
  const auto& p = m.postprocess;
  return {
      {"width", concat(width)},
      {"object from IoU", concat(m.match_iou)},
      {"negatives of a positive", concat(m.mining.negatives_per_positive)},
      {"negatives of an image at least", concat(m.mining.min_negatives)},
      {"weight of the box loss", concat(m.box_weight)},
      {"prior of an object", concat(m.prior)},
      {"sides of an image in px", concat(changes.width, " x ", changes.height)},
      {"colours changed", concat(colors.chance, " of each")},
      {"brightness", concat(colors.brightness)},
      {"contrast", concat(colors.contrast)},
      {"saturation", concat(colors.saturation)},
      {"hue in degrees", concat(colors.hue)},
      {"zoom-out", concat(changes.zoom_out.chance, ", up to x", changes.zoom_out.max_ratio)},
      {"canvas", concat(int{fill.red}, ", ", int{fill.green}, ", ", int{fill.blue})},
      {"zoom-in from", concat(changes.zoom_in.min_scale)},
      {"zoom-in from IoU", min_ious},
      {"zoom-in stretched up to", concat(changes.zoom_in.max_aspect)},
      {"zoom-in tries", concat(changes.zoom_in.tries)},
      {"mirrored", concat(changes.flip_chance)},
      {"upside down", changes.vertical_flips ? "yes" : "no"},
      {"images of a step", concat(images)},
      {"iterations", concat(iterations)},
      {"rate", concat(sgd.rate)},
      {"rate / 10 after", drops},
      {"momentum", concat(sgd.momentum)},
      {"velocity", sgd.velocity == nn::Velocity::caffe ? "Caffe's" : "PyTorch's"},
      {"weight decay", concat(sgd.weight_decay)},
      {"groups", groups},
      {"score threshold", concat(p.score_threshold)},
      {"into suppression", concat(p.max_per_class)},
      {"suppression", concat(p.nms_iou)},
      {"reported", concat(p.max_per_image)},
  };
}

}  // namespace boxgrad::detection
