#pragma once

#include <string>
#include <vector>

#include "detection/data/dataset.h"
#include "detection/data/photo_dataset.h"
#include "detection/doctor/anchor_recall.h"

namespace boxgrad::detection {

/// The boxes of photos at the size a network sees them, under blank pictures: for whatever is
/// measured on boxes alone, without decoding a photo.
class BoxesOnly : public Dataset {
 public:
  struct Photo {
    const PhotoEntry* entry = nullptr;
    const std::vector<std::int64_t>* labels = nullptr;  ///< in `classes`, of the entry's 1, 2, ...
  };
  BoxesOnly(std::vector<Photo> photos, std::vector<std::string> classes, int longer_px);

  std::int64_t size() const override { return static_cast<std::int64_t>(photos_.size()); }
  Sample get(std::int64_t index) const override;
  const std::vector<std::string>& class_names() const override { return classes_; }

 private:
  std::vector<Photo> photos_;
  std::vector<std::string> classes_;
  int longer_px_;
};

/// Sizes on the maps on which the detectors for people's own photos lay them: anchors_by_size() in
/// detection/training/photo_fit.h. A map without sizes is left out.
std::vector<AnchorLevel> on_maps(const std::vector<BoxSize>& sizes);

/// The anchors that the models of `boxgrad train` (photo_recipe.h) would have if they were trained
/// on these, with their defaults. fast-rcnn is left out, which has none. Throws
/// std::invalid_argument when there is no box.
std::vector<AnchorPreset> fitted_anchors(const std::vector<BoxesOnly::Photo>& photos,
                                         const std::vector<std::string>& classes);

}  // namespace boxgrad::detection
