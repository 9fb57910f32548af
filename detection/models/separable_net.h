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
  std::int64_t in_channels = 3;  ///< 1 for grey images
  std::int64_t stem_channels = 16;
  std::int64_t stem_kernel = 3, stem_stride = 2;
  std::vector<SeparableStage> stages = {};
  /// Batch norm and ReLU also between depthwise and pointwise, as in MobileNet. In small networks
  /// they are a third of the step and gain nothing.
  bool normalize_depthwise = false;
  /// false: an ordinary 3x3 convolution in the place of each block, for comparison.
  bool separable = true;
};

/// A small backbone in the manner of MobileNet: an ordinary convolution "stem", then "stage1",
/// "stage2", ... of SeparableBlocks, by default without the normalisation in their middle:
///
///   3x3 depthwise -> 1x1 -> batch norm -> ReLU
class SeparableNet : public ChainBackbone {
 public:
  /// Throws std::invalid_argument when no stage is an output.
  explicit SeparableNet(const SeparableNetOptions& options);
};

}  // namespace boxgrad::detection
