#pragma once

#include <cstdint>
#include <vector>

#include "detection/data/dataset.h"

namespace boxgrad::detection {

/// A dataset whose samples carry proposals, for detectors that need some (FastRcnn). They go
/// through every transform with the image, as the truths do. All of them stay in memory: 16 bytes a
/// box in float.
class WithProposals : public Dataset {
 public:
  /// proposals[i] [P, 4], best first, in pixels of image i as `dataset` holds it; at most `limit`
  /// of them are used, all if it is negative. The dataset must outlive this object. Throws
  /// std::invalid_argument when there is not one list for each image.
  WithProposals(const Dataset& dataset, std::vector<Tensor> proposals, std::int64_t limit = -1);

  std::int64_t size() const override { return dataset_.size(); }
  Sample get(std::int64_t index) const override;
  const std::vector<std::string>& class_names() const override { return dataset_.class_names(); }
  std::string key(std::int64_t index) const override { return dataset_.key(index); }
  const std::vector<Tensor>& proposals() const { return proposals_; }  ///< one list per image

 private:
  const Dataset& dataset_;
  std::vector<Tensor> proposals_;
};

}  // namespace boxgrad::detection
