#pragma once

#include <cstdint>
#include <vector>

#include "detection/models/backbone.h"

namespace boxgrad::detection {

/// A run of depthwise-separable blocks; the first one may halve the map.
struct SeparableStage {
  std::int64_t channels = 0;
  int blocks = 1;
  std::int64_t stride = 1;  ///< of the first block
  bool output = false;      ///< whether the stage's last map is one of the backbone's
};

struct SeparableNetOptions {
  std::int64_t stem_channels = 16;
  std::int64_t stem_kernel = 3, stem_stride = 2;
  std::vector<SeparableStage> stages = {};
  /// Batch norm and ReLU also between depthwise and pointwise, as in MobileNet. In small networks
  /// they are a third of the step and gain nothing.
  bool normalize_depthwise = false;
};

/// A small backbone in the manner of MobileNet: an ordinary convolution, then blocks of
///
///   3x3 depthwise -> 1x1 -> batch norm -> ReLU
///
/// One block costs 9 M D^2 + M N D^2 multiply-adds instead of 9 M N D^2 (M channels in, N out, on a
/// D x D map): 1/N + 1/9 of an ordinary 3x3 convolution.
/// Howard et al., "MobileNets", 2017, section 3.1.
class SeparableNet : public Backbone {
 public:
  /// Throws std::invalid_argument when no stage is an output.
  explicit SeparableNet(const SeparableNetOptions& options);

  std::vector<Tensor> maps(const Tensor& images) override;
  std::vector<std::int64_t> channels() const override { return channels_; }

 private:
  nn::Child stem_;
  std::vector<nn::Child> stages_;
  std::vector<bool> output_;
  std::vector<std::int64_t> channels_;
};

}  // namespace boxgrad::detection
