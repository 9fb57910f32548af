#pragma once

#include <string>
#include <vector>

#include "detection/models/backbone.h"

namespace boxgrad::detection {

struct Vgg16Options {
  double width = 1;  ///< channels times this, see scaled_channels(); 0.25 trains in minutes
  /// Layers whose outputs are the maps, of conv1_1, conv1_2, pool1, ..., conv5_3, pool5. Fast R-CNN
  /// takes conv5_3 and pools regions of it instead of pool5; SSD takes conv4_3, too.
  std::vector<std::string> outputs = {"conv5_3"};
  /// Pooling keeps a last odd row or column, as Caffe does: a side of 600 px becomes 38 cells of
  /// conv5_3 instead of 37.
  bool ceil_mode = false;
};

/// The convolutions of VGG16: 13 filters of 3x3 with padding 1, each with a bias and ReLU, and a
/// 2x2 max pooling after the 2nd, 4th, 7th, 10th and 13th.
///
///   layers           channels   stride
///   conv1_1 conv1_2        64        1     then pool1
///   conv2_1 conv2_2       128        2     then pool2
///   conv3_1 .. conv3_3    256        4     then pool3
///   conv4_1 .. conv4_3    512        8     then pool4
///   conv5_1 .. conv5_3    512       16     then pool5
///
/// 14,714,688 parameters and 15,346,630,656 multiply-adds for an image of 224 x 224. The filters
/// start with He's variance, as there is no batch norm to keep signals alive over 13 layers.
///
/// Simonyan, Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR
/// 2015, table 1, column D; layers named as in the authors' Caffe model. Equals
/// torchvision.models.vgg16().features up to where it ends.
class Vgg16 : public ChainBackbone {
 public:
  /// Throws std::invalid_argument for an output that is no layer.
  explicit Vgg16(const Vgg16Options& options = {});
};

}  // namespace boxgrad::detection
