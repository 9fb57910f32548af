#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "core/random.h"
#include "detection/scale_pyramid.h"
#include "detection/training/feature_store.h"

namespace boxgrad::detection {

/// Which scale's map a region is pooled from.
enum class ScaleChoice {
  nearest,  ///< the one that suits it: nearest_scales()
  random,   ///< any: SPPnet's code, while it trains
};

/// The convolutional maps of images, at every scale of a pyramid, on disk. A network whose
/// convolutions do not learn computes them once, and pools from them what regions it likes as often
/// as it likes. (The features of all regions would take fifty times the room.)
///
///   MapStore maps(folder, pyramid);
///   maps.write(7, image, [&](const Tensor& scaled) { return model.map(scaled); });
///   maps.features(7, boxes, ScaleChoice::nearest, random,
///                 [&](const Tensor& map, const Tensor& boxes) { return model.pool(map, boxes); });
class MapStore {
 public:
  /// Empty. Throws what FeatureStore throws, and std::invalid_argument for a pyramid without sizes.
  MapStore(std::filesystem::path folder, ScalePyramid pyramid);

  /// Computes the maps of image [1, H, W, C]: map(scaled) gives [1, h, w, D], with one D for all.
  void write(std::int64_t number, const Tensor& image,
             const std::function<Tensor(const Tensor& scaled)>& map);
  /// Regions [R, 4], in pixels of the image as it was given, pooled from its maps: [R, ...].
  /// Throws std::invalid_argument for an image that was not written.
  Tensor features(std::int64_t number, const Tensor& boxes, ScaleChoice choice, Random& random,
                  const std::function<Tensor(const Tensor& map, const Tensor& boxes)>& pool) const;

  std::int64_t maps() const { return maps_; }  ///< written so far
  double megabytes() const { return store_.megabytes(); }

 private:
  struct Entry {
    double width = 0, height = 0;                        ///< of the image; 0: not written
    std::vector<std::vector<std::int64_t>> shapes = {};  ///< of each scale's map
  };
  std::int64_t scales() const { return static_cast<std::int64_t>(pyramid_.sides_px.size()); }

  ScalePyramid pyramid_;
  FeatureStore store_;
  std::vector<Entry> entries_;
  std::int64_t maps_ = 0;
};

}  // namespace boxgrad::detection
