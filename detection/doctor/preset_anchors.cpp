#include "detection/doctor/preset_anchors.h"

#include "detection/training/photo_fit.h"
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
  const MapAnchors anchors = anchors_by_size(sizes);
  std::vector<AnchorLevel> maps;
  for (std::size_t k = 0; k < anchors.size(); ++k)
    if (!anchors[k].empty()) maps.push_back({.sizes = anchors[k], .stride_px = kMapStridesPx[k]});
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
