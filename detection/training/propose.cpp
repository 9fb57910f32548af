#include "detection/training/propose.h"

#include <algorithm>

#include "core/check.h"
#include "core/parallel.h"
#include "detection/training/evaluate.h"
#include "layers/module.h"

namespace boxgrad::detection {

std::vector<Tensor> propose_all(FasterRcnn& model, const Dataset& dataset,
                                const Preparation& preparation, std::int64_t before_nms,
                                std::int64_t count, std::int64_t batch_size) {
  check(before_nms >= 1 && count >= 1 && batch_size >= 1,
        "propose_all: before_nms, count and batch_size must be >= 1, got ", before_nms, ", ", count,
        " and ", batch_size);
  const nn::EvaluationMode mode(model);
  std::vector<Tensor> result;
  for (std::int64_t first = 0; first < dataset.size(); first += batch_size) {
    const std::int64_t n = std::min(batch_size, dataset.size() - first);
    std::vector<Sample> samples(static_cast<std::size_t>(n));
    parallel_for(n, 1, [&](std::int64_t k, std::int64_t) {
      samples[static_cast<std::size_t>(k)] = preparation.apply(dataset.get(first + k));
    });
    const Batch batch = collate(samples, preparation.batch);
    const std::vector<Tensor> found = model.propose(batch, before_nms, count);
    for (std::size_t k = 0; k < found.size(); ++k)
      result.push_back(to_original(found[k], batch.infos[k]));
  }
  return result;
}

}  // namespace boxgrad::detection
