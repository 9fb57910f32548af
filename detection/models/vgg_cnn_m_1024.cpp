#include "detection/models/vgg_cnn_m_1024.h"

#include <memory>

#include "core/check.h"
#include "layers/conv.h"
#include "layers/init.h"
#include "layers/local_response_norm.h"
#include "layers/pool.h"

namespace boxgrad::detection {

VggCnnM1024::VggCnnM1024(const VggCnnM1024Options& options)
    : ChainBackbone("VggCnnM1024", options.outputs) {
  struct Layer {
    std::int64_t channels, kernel, stride, padding;
    bool normalised, pooled;  // what follows
  };
  std::int64_t in = 3;
  int number = 0;
  for (const Layer& layer : {Layer{96, 7, 2, 0, true, true}, Layer{256, 5, 2, 1, true, true},
                             Layer{512, 3, 1, 1, false, false}, Layer{512, 3, 1, 1, false, false},
                             Layer{512, 3, 1, 1, false, true}}) {
    if (complete()) break;
    ++number;
    const std::int64_t out = scaled_channels(layer.channels, options.width);
    const auto conv = std::make_shared<nn::Conv2d>(
        in, out, layer.kernel,
        Conv2dOptions{
            .stride = layer.stride, .padding = layer.padding, .activation = Activation::relu});
    nn::init::kaiming_normal(conv->weight);
    nn::init::constant(conv->bias, 0);
    append(concat("conv", number), conv, out);
    in = out;
    if (layer.normalised && !complete())
      append(concat("norm", number),
             std::make_shared<nn::LocalResponseNorm>(
                 LocalResponseNormOptions{.alpha = Scalar(5e-4), .k = 2}),
             out);
    if (layer.pooled && !complete())
      append(concat("pool", number),
             std::make_shared<nn::MaxPool2d>(
                 3, MaxPool2dOptions{.stride = 2, .ceil_mode = options.ceil_mode}),
             out);
  }
  check_complete();
}

}  // namespace boxgrad::detection
