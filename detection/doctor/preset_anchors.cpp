#include "detection/doctor/preset_anchors.h"

#include <cmath>

#include "detection/training/photo_recipe.h"

namespace boxgrad::detection {

BoxesOnly::BoxesOnly(std::vector<Photo> photos, std::vector<std::string> classes, int longer_px)
    : photos_(std::move(photos)), classes_(std::move(classes)), longer_px_(longer_px) {}

Sample BoxesOnly::get(std::int64_t index) const {
  const auto& [entry, labels] = photos_.at(static_cast<std::size_t>(index));
  const PhotoFit fit{.first = static_cast<double>(longer_px_)};
  const auto [width, height] = fit.size(entry->width, entry->height);
  Sample sample;
  sample.image = Image(static_cast<int>(width), static_cast<int>(height));
  sample.name = entry->image.filename().string();
  sample.scale_x = width / entry->width;
  sample.scale_y = height / entry->height;
  sample.target.boxes = Tensor({static_cast<std::int64_t>(entry->objects.size()), 4});
  Scalar* out = sample.target.boxes.data().data();
  for (const PhotoEntry::Object& o : entry->objects) {
    for (const double edge : {o.x1 * sample.scale_x, o.y1 * sample.scale_y, o.x2 * sample.scale_x,
                              o.y2 * sample.scale_y})
      *out++ = static_cast<Scalar>(edge);
    sample.target.labels.push_back(labels->at(static_cast<std::size_t>(o.label - 1)));
    sample.target.difficult.push_back(o.difficult);
  }
  return sample;
}

std::vector<AnchorLevel> on_maps(const std::vector<BoxSize>& sizes) {
  std::vector<AnchorLevel> maps{{{}, 8}, {{}, 16}, {{}, 32}};
  for (const BoxSize& size : sizes) {
    const Scalar side = std::sqrt(size.width * size.height);
    maps[side <= 40 ? 0 : side <= 96 ? 1 : 2].sizes.push_back(size);
  }
  std::erase_if(maps, [](const AnchorLevel& map) { return map.sizes.empty(); });
  return maps;
}

std::vector<AnchorPreset> fitted_anchors(const std::vector<BoxesOnly::Photo>& photos,
                                         const std::vector<std::string>& classes) {
  std::vector<AnchorPreset> presets;
  for (const std::string& model : detector_models()) {
    const PhotoRecipe recipe = PhotoRecipe::of(model);
    const DetectorSpec spec = describe(recipe, BoxesOnly(photos, classes, recipe.longer_px()));
    if (!spec.anchors.empty())
      presets.push_back({model, {.first = static_cast<double>(spec.longer_px)}, spec.anchors});
  }
  return presets;
}

}  // namespace boxgrad::detection
