#include "detection/models/mobilenet_v1.h"

#include <memory>

#include "core/check.h"
#include "detection/models/separable_block.h"

namespace boxgrad::detection {

MobileNetV1::MobileNetV1(const MobileNetV1Options& options)
    : ChainBackbone("MobileNetV1", options.outputs) {
  using nn::ConvTail;
  const ConvTail full = options.folded == FoldedNorms::none ? ConvTail::norm : ConvTail::bias;
  SeparableBlockOptions block{
      .stride = 2,
      .depthwise = options.folded == FoldedNorms::all ? ConvTail::bias : ConvTail::norm,
      .pointwise = full,
      .norm = {.eps = options.eps, .activation = options.activation},
      .same_padding = options.same_padding};

  std::int64_t in = scaled_channels(32, options.width);
  append("conv0", make_conv3x3(3, in, full, block), in);

  struct Row {
    std::int64_t channels, stride;
  };
  int number = 0;
  for (const Row& row : {Row{64, 1},
                         {128, 2},
                         {128, 1},
                         {256, 2},
                         {256, 1},
                         {512, 2},
                         {512, 1},
                         {512, 1},
                         {512, 1},
                         {512, 1},
                         {512, 1},
                         {1024, 2},
                         {1024, 1}}) {
    if (complete()) break;
    const std::int64_t out = scaled_channels(row.channels, options.width);
    block.stride = row.stride;
    std::shared_ptr<nn::Module> layer;
    if (options.separable)
      layer = std::make_shared<SeparableBlock>(in, out, block);
    else
      layer = make_conv3x3(in, out, full, block);
    append(concat("block", ++number), layer, out);
    in = out;
  }
  check_complete();
}

}  // namespace boxgrad::detection
