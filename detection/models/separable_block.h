#pragma once

#include <cstdint>

#include "layers/conv_norm.h"
#include "layers/module.h"

namespace boxgrad::detection {

struct SeparableBlockOptions {
  std::int64_t stride = 1;
  nn::ConvTail depthwise = nn::ConvTail::norm;  ///< what follows the depthwise convolution
  nn::ConvTail pointwise = nn::ConvTail::norm;  ///< and the pointwise one
  BatchNormOptions norm = {.activation = Activation::relu};
  bool same_padding = false;  ///< TensorFlow's, see Conv2dOptions
};

/// A depthwise-separable convolution: each channel is filtered for itself, then every pixel's
/// channels are mixed.
///
///   y = pointwise(depthwise(x)):   3x3 depthwise (stride) -> tail -> 1x1, M -> N channels -> tail
///
/// Children "depthwise" and "pointwise". On a D x D result it costs 9 M D^2 + M N D^2 multiply-adds
/// instead of 9 M N D^2: 1/N + 1/9 of an ordinary 3x3 convolution.
///
/// Howard et al., "MobileNets", 2017, section 3.1.
class SeparableBlock : public nn::Module {
 public:
  SeparableBlock(std::int64_t in_channels, std::int64_t out_channels,
                 const SeparableBlockOptions& options);
  Tensor forward(const Tensor& x) override { return nn::separable(x, depthwise_, pointwise_); }

 private:
  nn::Child depthwise_, pointwise_;
};

/// An ordinary 3x3 convolution with the options of a block: what the block replaces.
std::shared_ptr<nn::Module> make_conv3x3(std::int64_t in_channels, std::int64_t out_channels,
                                         nn::ConvTail tail, const SeparableBlockOptions& options);

}  // namespace boxgrad::detection
