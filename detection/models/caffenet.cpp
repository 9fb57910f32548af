#include "detection/models/caffenet.h"

#include <memory>

#include "core/check.h"
#include "layers/conv.h"
#include "layers/init.h"
#include "layers/local_response_norm.h"
#include "layers/pool.h"

namespace boxgrad::detection {

CaffeNet::CaffeNet(const CaffeNetOptions& options) : ChainBackbone("CaffeNet", options.outputs) {
  struct Layer {
    std::int64_t channels, kernel, stride, padding, groups;
    bool pooled, normalised;  // what follows
  };
  std::int64_t in = 3;
  int number = 0;
  for (const Layer& layer :
       {Layer{96, 11, 4, options.padded ? 5 : 0, 1, true, true}, Layer{256, 5, 1, 2, 2, true, true},
        Layer{384, 3, 1, 1, 1, false, false}, Layer{384, 3, 1, 1, 2, false, false},
        Layer{256, 3, 1, 1, 2, true, false}}) {
    if (complete()) break;
    ++number;
    const std::int64_t out = 2 * scaled_channels(layer.channels / 2, options.width);
    const auto conv = std::make_shared<nn::Conv2d>(in, out, layer.kernel,
                                                   Conv2dOptions{.stride = layer.stride,
                                                                 .padding = layer.padding,
                                                                 .groups = layer.groups,
                                                                 .activation = Activation::relu});
    nn::init::kaiming_normal(conv->weight);
    nn::init::constant(conv->bias, 0);
    append(concat("conv", number), conv, out);
    in = out;
    if (layer.pooled && !complete())
      append(concat("pool", number),
             std::make_shared<nn::MaxPool2d>(
                 3, MaxPool2dOptions{.stride = 2,
                                     .padding = options.padded && number < 5 ? 1 : 0,
                                     .ceil_mode = options.ceil_mode}),
             out);
    if (layer.normalised && !complete())
      append(concat("norm", number), std::make_shared<nn::LocalResponseNorm>(), out);
  }
  check_complete();
}

}  // namespace boxgrad::detection
