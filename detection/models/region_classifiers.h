#pragma once

#include <cstdint>

#include "core/tensor.h"
#include "layers/module.h"

namespace boxgrad::detection {

/// What the classifiers of R-CNN and SPPnet look at: features of R regions.
struct ClassifierFeatures {
  Tensor hidden;  ///< [R, D] of the last hidden layer: for classes
  Tensor pooled;  ///< [R, E] of the last map: for boxes, as it still knows where things are
};

/// Whose word counts for the classes.
enum class RegionScoring {
  softmax,  ///< probabilities of the network that was fine-tuned
  svm,      ///< margins of the SVMs
};

/// One linear SVM and one box regressor for each class, as R-CNN has behind its network:
///
///   score_k(r) = hidden_r . svm_weight_k + svm_bias_k
///   offsets_k(r) = pooled_r . box_weight_k + box_bias_k,   box_k(r) = decode(offsets_k(r), r)
///
/// Buffers: "svm_weight" [D, K], "svm_bias" [K], "box_weight" [E, 4 K], "box_bias" [4 K]. They are
/// fitted by train_region_classifiers (detection/training/region_classifier_training.h), not by
/// gradients; until then scores and offsets are 0.
class RegionClassifiers : public nn::Module {
 public:
  RegionClassifiers(std::int64_t hidden, std::int64_t pooled, std::int64_t num_classes);

  /// Margins [R, 1 + K]; column 0, of which no SVM speaks, is 0.
  Tensor scores(const Tensor& hidden) const;
  /// The box that each class's regressor makes of each region [R, 4]: [R, 1 + K, 4].
  Tensor boxes(const Tensor& pooled, const Tensor& regions) const;

  std::int64_t num_classes() const { return svm_bias.numel(); }
  Tensor svm_weight, svm_bias, box_weight, box_bias;
};

}  // namespace boxgrad::detection
