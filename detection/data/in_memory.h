#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "detection/data/dataset.h"
#include "detection/data/transforms.h"

namespace boxgrad::detection {

struct InMemoryOptions {
  /// How a sample is made smaller before it is kept; it must not draw random numbers. Empty: kept
  /// as it is. scale_x and scale_y lead back to the file's pixels as ever.
  Transform resize = {};
  /// Samples are kept while their pixels and boxes take no more than this; the others are made
  /// again whenever they are asked for.
  std::int64_t max_bytes = std::int64_t{1} << 30;
};

/// A dataset that decodes and resizes each picture once. A large JPEG takes longer to read than a
/// small network takes to learn from it, and a training reads it dozens of times.
///
///   const InMemory fast(folder, {.resize = preparation.resize});
///
/// Samples are made when first asked for, each kept as the dataset gave it: the same bits as
/// without. The dataset must outlive this object.
class InMemory : public Dataset {
 public:
  explicit InMemory(const Dataset& dataset, InMemoryOptions options = {});

  std::int64_t size() const override { return dataset_.size(); }
  /// Passes on what the dataset throws, and keeps nothing then.
  Sample get(std::int64_t index) const override;
  const std::vector<std::string>& class_names() const override { return dataset_.class_names(); }
  std::string key(std::int64_t index) const override { return dataset_.key(index); }

  std::int64_t kept() const;        ///< samples in memory
  std::int64_t bytes_kept() const;  ///< that they take

 private:
  const Dataset& dataset_;
  InMemoryOptions options_;
  mutable std::mutex mutex_;
  mutable std::vector<std::shared_ptr<const Sample>> samples_;  ///< null: not kept
  mutable std::int64_t kept_ = 0, bytes_ = 0;
};

}  // namespace boxgrad::detection
