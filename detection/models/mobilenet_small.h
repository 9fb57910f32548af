#pragma once

#include <cstdint>
#include <memory>

#include "detection/models/classifier.h"

namespace boxgrad::detection {

struct MobileNetSmallOptions {
  double width = 1;              ///< alpha: channels times this, see scaled_channels()
  bool separable = true;         ///< false: the twin with ordinary 3x3 convolutions
  std::int64_t in_channels = 1;  ///< grey images
  std::int64_t num_classes = 10;
  int depth = 3;  ///< blocks of the last stage
};

/// MobileNet v1 for images of 28 px instead of 224: the same kind of blocks, with batch norm and
/// ReLU after both convolutions, without three of the five strides, and shorter.
///
///   stem         3x3       32 channels    28 x 28
///   stage1   1 block       64, stride 2   14 x 14
///   stage2   1 block       64             14 x 14
///   stage3   3 blocks     128, stride 2    7 x 7     as large as the last map of MobileNet
///   mean over the map, one linear layer
///
/// Resolutions of 28, 24, 20 and 16 px stand to each other as the paper's 224, 192, 160 and 128.
/// For what the paper measures on ImageNet with weeks of training: width and resolution against
/// accuracy, and separable against ordinary convolutions, in half a minute each.
///
/// Children "backbone" (a SeparableNet) and "fc", as of every Classifier.
std::shared_ptr<Classifier> make_mobilenet_small(const MobileNetSmallOptions& options = {});

}  // namespace boxgrad::detection
