#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/image.h"
#include "detection/target.h"

namespace boxgrad::detection {

/// An image with its truth and a name for messages (a file, or "train/17").
struct Sample {
  Image image = {};
  Target target = {};
  std::string name = {};
  /// Where objects may be, [P, 4] in pixels of `image`, for detectors that do not find them
  /// themselves; none otherwise.
  Tensor proposals = Tensor({0, 4});
  /// Pixels of `image` per pixel of the image that the dataset holds, as resizing changed it. A box
  /// found in `image` is divided by it: (x1 / scale_x, y1 / scale_y, ...).
  double scale_x = 1, scale_y = 1;
};

/// Labelled images by number. get() may be called from several threads at once and is a pure
/// function of the dataset and the number: order and threads cannot change what is trained on.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual std::int64_t size() const = 0;
  virtual Sample get(std::int64_t index) const = 0;
  /// Names of classes 1, 2, ...: class_names()[label - 1]. Background has no entry.
  virtual const std::vector<std::string>& class_names() const = 0;
  /// What tells a sample from others without reading it: a photo's id, file name and size. "" where only
  /// get() knows. What is made from a dataset is known again by it (dataset_hash.h).
  virtual std::string key(std::int64_t) const { return {}; }
};

/// The truths of all its images, which are read or drawn for it.
inline std::vector<Target> targets_of(const Dataset& dataset) {
  std::vector<Target> targets;
  for (std::int64_t i = 0; i < dataset.size(); ++i) targets.push_back(dataset.get(i).target);
  return targets;
}

}  // namespace boxgrad::detection
