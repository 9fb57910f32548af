#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "detection/data/dataset.h"
#include "detection/models/detector_spec.h"

namespace boxgrad::detection {

/// What a training will need at its peak, in bytes.
struct MemoryEstimate {
  std::int64_t weights = 0;  ///< with gradients, AdamW's two moments and the running mean: 5 copies
  std::int64_t step = 0;     ///< what a batch leaves for backward(), and works with
  std::int64_t look = 0;     ///< what a look at the validation photos works with, between steps
  std::int64_t photos = 0;   ///< kept in memory at the network's size, and batches made ahead
  std::int64_t program = 32 << 20;  ///< code, libraries, stacks, the index of the photos
  std::int64_t total() const { return program + weights + std::max(step, look) + photos; }
  /// "about 620 MB: 480 for a step, ..."
  std::string text() const;
};

/// Measured, not guessed: a batch of the largest of a few photos goes through a network of the
/// spec's kind, forwards and backwards, and as many as a look takes forwards alone, twice each.
/// What counts is by how much the process grew, as malloc keeps what is freed; where the system does
/// not say, the bytes of tensors. The network is thrown away, and default_random() is as before.
///
/// look_photos  of the validation photos, so many at a time; 0: there are none
/// kept_bytes   of photos that the training keeps (InMemoryOptions)
MemoryEstimate estimate_memory(const DetectorSpec& spec, const Dataset& train,
                               std::int64_t batch_size, std::int64_t look_photos,
                               std::int64_t kept_bytes = std::int64_t{1} << 30);

}  // namespace boxgrad::detection
