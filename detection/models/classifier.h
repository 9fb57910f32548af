#pragma once

#include <cstdint>
#include <memory>

#include "detection/models/backbone.h"

namespace boxgrad::detection {

/// A backbone that names what is on the whole image: the mean of each channel of its last map, then
/// one linear layer.
///
///   logits[n, l] = b[l] + sum over c of w[c, l] mean over h, w of map[n, h, w, c]
///
/// images [N, H, W, 3] of any size the backbone takes -> [N, L]. Children "backbone" and "fc".
/// MobileNet's classifier as in the paper; for VGG16 it stands in for fc6 to fc8, which need
/// 224 x 224 and hold 124 million parameters.
class Classifier : public nn::Module {
 public:
  /// Throws std::invalid_argument for no backbone and for num_classes < 1.
  Classifier(std::shared_ptr<Backbone> backbone, std::int64_t num_classes);
  Tensor forward(const Tensor& images) override;

 private:
  nn::Child backbone_, fc_;
};

}  // namespace boxgrad::detection
