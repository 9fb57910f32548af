#include "detection/models/classifier.h"

#include <utility>

#include "core/check.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/pool.h"

namespace boxgrad::detection {

Classifier::Classifier(std::shared_ptr<Backbone> backbone, std::int64_t num_classes) {
  check(backbone != nullptr, "Classifier: the backbone must not be null");
  check(num_classes >= 1, "Classifier: num_classes must be >= 1, got ", num_classes);
  const std::int64_t features = backbone->channels().back();
  backbone_ = add_module("backbone", std::move(backbone));
  fc_ = add_module("fc", std::make_shared<nn::Linear>(features, num_classes));
}

Tensor Classifier::forward(const Tensor& images) {
  const Tensor mean = global_avg_pool2d(backbone_(images));
  return fc_(flatten(mean));  // [N, 1, 1, C] -> [N, C] -> [N, L]
}

}  // namespace boxgrad::detection
