#include "detection/training/evaluate.h"

#include <algorithm>

#include "core/parallel.h"
#include "layers/module.h"

namespace boxgrad::detection {

Tensor to_original(const Tensor& boxes, const BatchImage& info) {
  Tensor result = boxes.clone();
  const auto numbers = result.data();
  for (std::size_t i = 0; i < numbers.size(); ++i)
    numbers[i] /= static_cast<Scalar>(i % 2 == 0 ? info.scale_x : info.scale_y);
  return result;
}

Answers detect_all(Detector& detector, const Dataset& dataset, const Preparation& preparation,
                   std::int64_t count, std::int64_t batch_size,
                   const std::function<void(std::int64_t done)>& progress) {
  check(batch_size >= 1, "detect_all: batch_size must be >= 1, got ", batch_size);
  const std::int64_t total = count < 0 ? dataset.size() : std::min(count, dataset.size());
  const nn::EvaluationMode mode(detector);
  Answers answers;
  for (std::int64_t first = 0; first < total; first += batch_size) {
    const std::int64_t n = std::min(batch_size, total - first);
    std::vector<Sample> samples(static_cast<std::size_t>(n));
    parallel_for(n, 1, [&](std::int64_t k, std::int64_t) {
      samples[static_cast<std::size_t>(k)] = preparation.apply(dataset.get(first + k));
    });
    const Batch batch = collate(samples, preparation.batch);
    std::vector<Detections> found = detector.detect(batch);
    for (std::size_t k = 0; k < found.size(); ++k) {
      found[k].boxes = to_original(found[k].boxes, batch.infos[k]);
      answers.detections.push_back(std::move(found[k]));
      answers.targets.push_back(batch.targets[k]);
      answers.targets.back().boxes = to_original(batch.targets[k].boxes, batch.infos[k]);
      answers.names.push_back(batch.infos[k].name);
    }
    if (progress) progress(first + n);
  }
  return answers;
}

}  // namespace boxgrad::detection
