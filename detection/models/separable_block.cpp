#include "detection/models/separable_block.h"

namespace boxgrad::detection {

namespace {

Conv2dOptions conv3x3_options(const SeparableBlockOptions& options, std::int64_t groups) {
  return {.stride = options.stride,
          .padding = options.same_padding ? 0 : 1,
          .same_padding = options.same_padding,
          .groups = groups};
}

}  // namespace

SeparableBlock::SeparableBlock(std::int64_t in_channels, std::int64_t out_channels,
                               const SeparableBlockOptions& options)
    : depthwise_(add_module("depthwise", nn::make_conv(in_channels, in_channels, 3,
                                                       conv3x3_options(options, in_channels),
                                                       options.depthwise, options.norm))),
      pointwise_(add_module("pointwise", nn::make_conv(in_channels, out_channels, 1, {},
                                                       options.pointwise, options.norm))) {}

std::shared_ptr<nn::Module> make_conv3x3(std::int64_t in_channels, std::int64_t out_channels,
                                         nn::ConvTail tail, const SeparableBlockOptions& options) {
  return nn::make_conv(in_channels, out_channels, 3, conv3x3_options(options, 1), tail,
                       options.norm);
}

}  // namespace boxgrad::detection
