#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "detection/models/backbone.h"
#include "layers/conv_norm.h"

namespace boxgrad::detection {

/// One more map behind the last one: a 1x1 convolution to few channels, then a 3x3 one.
struct ExtraMap {
  std::int64_t reduced = 0, channels = 0;
  std::int64_t stride = 2, padding = 1;  ///< of the 3x3
};

/// A backbone's maps, and smaller and smaller ones behind them, for objects that fill the image:
///
///   X_0 = the body's last map,   X_k = relu(conv3x3(relu(conv1x1(X_k-1))))
///
/// "body"; "extra1_reduce", "extra1", "extra2_reduce", ...
///
/// Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, section 3 and figure 2.
class ExtraMaps : public Backbone {
 public:
  /// `tail` is what follows the convolutions: a bias as in SSD, or batch norm. Filters are drawn by
  /// Glorot's rule. Throws std::invalid_argument for channels that are not > 0.
  ExtraMaps(std::shared_ptr<Backbone> body, const std::vector<ExtraMap>& extras,
            nn::ConvTail tail = nn::ConvTail::bias);

  std::vector<Tensor> maps(const Tensor& images) override;
  std::vector<std::int64_t> channels() const override { return channels_; }

 private:
  nn::Child body_;
  std::vector<nn::Child> layers_;  ///< two for each extra map
  std::vector<std::int64_t> channels_;
};

}  // namespace boxgrad::detection
