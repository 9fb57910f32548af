#include <algorithm>
#include <set>

#include "core/check.h"
#include "core/json_fields.h"
#include "detection/models/detector_spec.h"

namespace boxgrad::detection {

namespace {

constexpr double kMaxPx = 65536;
constexpr std::int64_t kMaxWidth = 1 << 16;  // of layers: what no photo needs, and no memory holds

/// Three or four numbers in a fixed array as a list.
template <class Array>
void fixed_numbers(JsonFields& io, const std::string& key, Array& values, double min, double max) {
  std::vector<double> list(values.begin(), values.end());
  io.numbers(key, list, min, max, static_cast<int>(values.size()));
  std::transform(list.begin(), list.end(), values.begin(),
                 [](double v) { return static_cast<typename Array::value_type>(v); });
}

void anchor_fields(JsonFields& io, AnchorLevel& level) {
  io.number("stride_px", level.stride_px, 1, kMaxPx);
  std::vector<double> widths, heights;
  for (const BoxSize& size : level.sizes) {
    widths.push_back(static_cast<double>(size.width));
    heights.push_back(static_cast<double>(size.height));
  }
  io.numbers("widths_px", widths, 1e-3, kMaxPx);
  io.numbers("heights_px", heights, 1e-3, kMaxPx);
  if (!io.reading()) return;
  check(!widths.empty() && widths.size() == heights.size(),
        "anchors need as many widths_px as heights_px, at least one, got ", widths.size(), " and ",
        heights.size());
  level.sizes.clear();
  for (std::size_t i = 0; i < widths.size(); ++i)
    level.sizes.push_back(
        {.width = static_cast<Scalar>(widths[i]), .height = static_cast<Scalar>(heights[i])});
}

void preparation_fields(JsonFields& io, DetectorSpec& spec) {
  io.integer("longer_px", spec.longer_px, 32, 8192);
  io.integer("multiple_px", spec.multiple_px, 1, 1024);
  fixed_numbers(io, "mean", spec.mean, -1e3, 1e3);
  fixed_numbers(io, "std", spec.std, 1e-6, 1e3);
}

void answer_fields(JsonFields& io, PostprocessOptions& answers) {
  io.number("score_threshold", answers.score_threshold, 0, 1);
  io.number("nms_iou", answers.nms_iou, 0, 1);
  io.integer("max_per_class", answers.max_per_class, 1, 1 << 20);
  io.integer("max_per_image", answers.max_per_image, 1, 1 << 20);
}

void network_fields(JsonFields& io, DetectorSpec& spec) {
  if (spec.model.find("rcnn") == std::string::npos) io.texts("maps", spec.maps);
  if (spec.model == "ssd-mobilenet") io.boolean("tensorflow_trunk", spec.tensorflow_trunk);
  if (spec.model == "retinanet") {
    io.integer("channels", spec.channels, 1, kMaxWidth);
    io.integer("tower_depth", spec.tower_depth, 0, 64);
  }
  if (spec.model == "faster-rcnn" || spec.model == "fast-rcnn") {
    io.integer("channels", spec.channels, 1, 4096);
    io.integer("blocks", spec.blocks, 1, 256);
    io.integer("pool", spec.pool, 1, 64);
    io.integer("hidden", spec.hidden, 1, kMaxWidth);
    io.integer("proposals", spec.proposals, 1, 1 << 16);
    io.integer("regions", spec.regions, 1, 1 << 16);
  }
}

}  // namespace

void spec_fields(JsonFields& io, DetectorSpec& spec) {
  io.text("model", spec.model);
  const auto& models = detector_models();
  check(std::ranges::find(models, spec.model) != models.end(), "there is no model \"", spec.model,
        "\"");
  io.texts("classes", spec.classes);
  check(!spec.classes.empty() && spec.classes.size() <= 10000,
        "classes must be 1 to 10000 names, got ", spec.classes.size());
  check(
      std::set<std::string>(spec.classes.begin(), spec.classes.end()).size() == spec.classes.size(),
      "classes must not name one class twice");
  io.object("preparation", [&](JsonFields& inner) { preparation_fields(inner, spec); });
  if (spec.model != "fast-rcnn")
    io.objects(
        "anchors", spec.anchors.size(), [&](std::size_t n) { spec.anchors.assign(n, {}); },
        [&](JsonFields& inner, std::size_t i) { anchor_fields(inner, spec.anchors[i]); });
  // Two stages have their coder in the weights: mean and deviation of each class's targets.
  if (spec.model.find("rcnn") == std::string::npos)
    fixed_numbers(io, "box_weights", spec.box_weights, 1e-3, 1e3);
  io.object("answers", [&](JsonFields& inner) { answer_fields(inner, spec.answers); });
  io.object("network", [&](JsonFields& inner) { network_fields(inner, spec); });
  io.named_integers("compressed", spec.ranks, 1, kMaxWidth);
}

std::string spec_to_json(DetectorSpec spec) {
  return write_json([&](JsonFields& io) { spec_fields(io, spec); });
}

DetectorSpec spec_from_json(const std::string& text, const std::string& file) {
  DetectorSpec spec;
  try {
    read_json(text, file, [&](JsonFields& io) { spec_fields(io, spec); });
  } catch (const std::invalid_argument& error) {
    const std::string message = error.what();
    throw std::invalid_argument(message.starts_with(file) ? message : file + ": " + message);
  }
  return spec;
}

}  // namespace boxgrad::detection
