#include "detection/models/mobilenet_small.h"

#include "detection/models/separable_net.h"

namespace boxgrad::detection {

std::shared_ptr<Classifier> make_mobilenet_small(const MobileNetSmallOptions& options) {
  const auto channels = [&](std::int64_t full) { return scaled_channels(full, options.width); };
  const SeparableNetOptions net{
      .in_channels = options.in_channels,
      .stem_channels = channels(32),
      .stem_stride = 1,
      .stages = {{.channels = channels(64), .stride = 2},
                 {.channels = channels(64)},
                 {.channels = channels(128), .blocks = options.depth, .stride = 2, .output = true}},
      .normalize_depthwise = true,
      .separable = options.separable};
  return std::make_shared<Classifier>(std::make_shared<SeparableNet>(net), options.num_classes);
}

}  // namespace boxgrad::detection
