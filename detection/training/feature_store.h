#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace boxgrad::detection {

/// Features of the regions of many images on disk, a file for each image: what R-CNN and SPPnet
/// train their classifiers from, as they do not fit into memory. (R-CNN with VGG16 takes 2.5 GPU
/// days and hundreds of gigabytes for the 5,000 images of VOC 2007: Fast R-CNN, section 1.1.)
class FeatureStore {
 public:
  /// An empty store in `folder`: files of features that are there are removed, others stay.
  /// Throws std::filesystem::filesystem_error when the folder cannot be made.
  explicit FeatureStore(std::filesystem::path folder);

  /// features  [R, D], R may be 0. Throws std::runtime_error when the disk is full, and
  /// std::invalid_argument for another rank, another D than before, or a number < 0.
  void write(std::int64_t image, const Tensor& features);
  /// What was written for the image. Throws std::runtime_error naming the file when it cannot be
  /// read, and std::invalid_argument when it was never written or holds something else.
  Tensor read(std::int64_t image) const;

  double megabytes() const { return bytes_ / 1e6; }  ///< written so far

 private:
  std::filesystem::path file(std::int64_t image) const;

  std::filesystem::path folder_;
  std::int64_t width_ = -1;
  double bytes_ = 0;
};

}  // namespace boxgrad::detection
