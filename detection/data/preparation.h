#pragma once

#include <utility>
#include <vector>

#include "detection/data/batch.h"
#include "detection/data/transforms.h"

namespace boxgrad::detection {

/// How every image, in training and after, comes to a network: brought to its size, then to its
/// numbers. It belongs to the weights like the class names.
struct Preparation {
  Transform resize = {};  ///< empty: images keep their sizes. Must not draw random numbers
  BatchOptions batch = {};

  Sample apply(Sample sample) const {
    Random none;
    return resize ? resize(std::move(sample), none) : sample;
  }
  /// Images as a network's input, each resized.
  Batch make_batch(std::vector<Sample> samples) const {
    for (Sample& sample : samples) sample = apply(std::move(sample));
    return collate(samples, batch);
  }
};

}  // namespace boxgrad::detection
