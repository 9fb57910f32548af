#include "detection/training/memory_estimate.h"

#include <algorithm>
#include <vector>

#include "core/check.h"
#include "core/memory.h"
#include "core/random.h"

namespace boxgrad::detection {

namespace {

/// The second step finds what the first one freed in pieces, some too small for it; and so do later
/// ones, up to this factor.
constexpr int kTimes = 2;
constexpr double kPieces = 1.15;

/// The largest of a few photos, so that the estimate is not that of a small one.
Sample largest_photo(const Dataset& train, const Preparation& preparation) {
  Sample largest;
  const std::int64_t images = std::min<std::int64_t>(train.size(), 8);
  for (std::int64_t k = 0; k < images; ++k) {
    Sample sample = preparation.apply(train.get(k * train.size() / images));
    if (sample.image.data().size() > largest.image.data().size() ||
        (sample.image.data().size() == largest.image.data().size() &&
         sample.target.labels.size() > largest.target.labels.size()))
      largest = std::move(sample);
  }
  return largest;
}

/// Bytes of tensors at the peak of a step on `count` copies of a photo, weights left out.
std::int64_t step_bytes(Detector& detector, const Sample& photo, int count,
                        const BatchOptions& options, bool learn) {
  const MemoryProfiler profiler;
  const std::int64_t before = tensor_bytes();
  {
    const Batch batch =
        collate(std::vector<Sample>(static_cast<std::size_t>(count), photo), options);
    Random random;
    if (learn)
      detector.loss(batch, random).total.backward();
    else
      detector.detect(batch);
  }
  const std::vector<double> timeline = profiler.report().timeline;
  return static_cast<std::int64_t>(*std::ranges::max_element(timeline)) - before;
}

std::int64_t megabytes(std::int64_t bytes) { return (bytes + (1 << 19)) >> 20; }

}  // namespace

std::string MemoryEstimate::text() const {
  return concat(
      "about ", megabytes(total()), " MB: ", megabytes(step), " for a step",
      look > 0 ? concat(" or ", megabytes(look), " for a look at the validation photos") : "", ", ",
      megabytes(weights), " for weights and optimiser, ", megabytes(photos), " for photos, ",
      megabytes(program), " for the program");
}

MemoryEstimate estimate_memory(const DetectorSpec& spec, const Dataset& train,
                               std::int64_t batch_size, std::int64_t look_photos,
                               std::int64_t kept_bytes) {
  MemoryEstimate estimate;
  release_free_memory();
  const std::int64_t start = resident_bytes();
  const Random random = default_random();
  const auto twin = make_detector(spec);
  const Preparation preparation = preparation_of(spec);
  const Sample photo = largest_photo(train, preparation);
  const std::int64_t parameters =
      twin->parameter_count() * static_cast<std::int64_t>(sizeof(Scalar));
  // Gradients and the kernels' working memory stay once they are there, so that everything is
  // counted from here.
  release_free_memory();
  const std::int64_t before = resident_bytes();
  const auto bytes_of = [&](std::int64_t batch, bool learn) {
    twin->train(learn);
    std::int64_t most = 0;
    for (int time = 0; time < kTimes; ++time) {
      const std::int64_t tensors =
          step_bytes(*twin, photo, static_cast<int>(batch), preparation.batch, learn);
      const std::int64_t grown = resident_bytes() - before - parameters;  // gradients are weights'
      most = std::max({most, tensors, before > 0 ? grown : 0});
    }
    release_free_memory();
    return static_cast<std::int64_t>(kPieces * static_cast<double>(most));
  };
  estimate.step = bytes_of(batch_size, true);
  if (look_photos > 0) estimate.look = bytes_of(look_photos, false);
  default_random() = random;

  const auto bytes = static_cast<std::int64_t>(photo.image.data().size());
  const std::int64_t input = bytes * static_cast<std::int64_t>(sizeof(Scalar));
  estimate.weights = 5 * parameters;
  // The caller's detector is counted among the weights.
  if (start > 0) estimate.program = std::max<std::int64_t>(start - parameters, 8 << 20);
  // Four batches wait, and one is being made.
  estimate.photos = std::min(kept_bytes, train.size() * bytes) + 5 * batch_size * input;
  return estimate;
}

}  // namespace boxgrad::detection
