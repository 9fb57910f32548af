#include "detection/models/vgg16.h"

#include <memory>

#include "core/check.h"
#include "layers/conv.h"
#include "layers/init.h"
#include "layers/pool.h"

namespace boxgrad::detection {

Vgg16::Vgg16(const Vgg16Options& options) : ChainBackbone("Vgg16", options.outputs) {
  struct Stage {
    std::int64_t channels;
    int convs;
  };
  std::int64_t in = 3;
  int number = 0;
  for (const Stage& stage : {Stage{64, 2}, {128, 2}, {256, 3}, {512, 3}, {512, 3}}) {
    ++number;
    const std::int64_t out = scaled_channels(stage.channels, options.width);
    for (int conv = 1; conv <= stage.convs && !complete(); ++conv) {
      const auto layer = std::make_shared<nn::Conv2d>(
          in, out, 3, Conv2dOptions{.padding = 1, .activation = Activation::relu});
      nn::init::kaiming_normal(layer->weight);
      nn::init::constant(layer->bias, 0);
      append(concat("conv", number, "_", conv), layer, out);
      in = out;
    }
    if (!complete())
      append(concat("pool", number),
             std::make_shared<nn::MaxPool2d>(2, MaxPool2dOptions{.ceil_mode = options.ceil_mode}),
             out);
  }
  check_complete();
}

}  // namespace boxgrad::detection
