#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "detection/data/dataset.h"

namespace boxgrad::detection {

/// A dataset and its mirror image: sample i for i < N, then sample i - N with left and right
/// exchanged, proposals and truths with it. N = dataset.size(), so that this one has 2 N.
///
/// Fast R-CNN's code doubles its list of images like this, and every pass over it sees both. A
/// random flip (half of the time, in an augmentation) is the same on average only.
class WithMirrored : public Dataset {
 public:
  /// The dataset must outlive this object.
  explicit WithMirrored(const Dataset& dataset) : dataset_(dataset) {}

  std::int64_t size() const override { return 2 * dataset_.size(); }
  /// A mirrored sample's name ends in ", mirrored". Throws std::invalid_argument for an index that
  /// there is not; passes on what the dataset throws.
  Sample get(std::int64_t index) const override;
  const std::vector<std::string>& class_names() const override { return dataset_.class_names(); }
  std::string key(std::int64_t index) const override {
    const std::string key = dataset_.key(index % dataset_.size());
    return index < dataset_.size() || key.empty() ? key : key + ", mirrored";
  }

 private:
  const Dataset& dataset_;
};

}  // namespace boxgrad::detection
