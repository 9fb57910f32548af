#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/random.h"
#include "detection/data/batch.h"
#include "detection/target.h"
#include "layers/module.h"

namespace boxgrad::detection {

/// What a training step minimises, and what people want to see of it.
struct DetectorLoss {
  Tensor total;  ///< [1]
  /// Named shares of the total ("class", "box"), already weighted: they add up to it.
  std::vector<std::pair<std::string, double>> parts;
  std::int64_t positives = 0, negatives = 0;  ///< anchors or regions that the losses looked at
};

/// A network that finds boxes. The trainer, the evaluation and the command line know no more.
class Detector : public nn::Module {
 public:
  /// The loss of a batch; `random` serves whatever is sampled.
  virtual DetectorLoss loss(const Batch& batch, Random& random) = 0;

  /// What the network sees in each image: boxes in pixels of the *batch's* images, clipped to each
  /// image's own size, best score first. Runs under a NoGradGuard; the caller chooses eval().
  virtual std::vector<Detections> detect(const Batch& batch) = 0;
};

}  // namespace boxgrad::detection
