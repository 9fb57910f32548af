#include "detection/data/in_memory.h"

#include <utility>

#include "core/check.h"

namespace boxgrad::detection {

namespace {

std::int64_t bytes_of(const Sample& sample) {
  return static_cast<std::int64_t>(sample.image.data().size()) +
         (sample.target.boxes.numel() + sample.proposals.numel()) *
             static_cast<std::int64_t>(sizeof(Scalar));
}

/// Whoever gets a sample may write into it: tensors are handles, and share their numbers.
Sample own_copy(const Sample& sample) {
  Sample copy = sample;
  copy.target.boxes = sample.target.boxes.clone();
  copy.proposals = sample.proposals.clone();
  return copy;
}

}  // namespace

InMemory::InMemory(const Dataset& dataset, InMemoryOptions options)
    : dataset_(dataset),
      options_(std::move(options)),
      samples_(static_cast<std::size_t>(dataset.size())) {
  check(options_.max_bytes >= 0, "InMemory: max_bytes must be >= 0, got ", options_.max_bytes);
}

Sample InMemory::get(std::int64_t index) const {
  check(index >= 0 && index < size(), "InMemory: index must be 0 to ", size() - 1, ", got ", index);
  const auto i = static_cast<std::size_t>(index);
  std::shared_ptr<const Sample> known;
  {
    const std::lock_guard lock(mutex_);
    known = samples_[i];
  }
  if (known) return own_copy(*known);
  // Two threads may make the same sample at once; that costs time once, and a lock would cost it
  // always.
  Sample sample = dataset_.get(index);
  if (options_.resize) {
    Random none;
    sample = options_.resize(std::move(sample), none);
  }
  const std::int64_t bytes = bytes_of(sample);
  const std::lock_guard lock(mutex_);
  if (!samples_[i] && bytes_ + bytes <= options_.max_bytes) {
    samples_[i] = std::make_shared<const Sample>(own_copy(sample));
    bytes_ += bytes;
    ++kept_;
  }
  return sample;
}

std::int64_t InMemory::kept() const {
  const std::lock_guard lock(mutex_);
  return kept_;
}

std::int64_t InMemory::bytes_kept() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace boxgrad::detection
