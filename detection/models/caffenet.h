#pragma once

#include <string>
#include <vector>

#include "detection/models/backbone.h"

namespace boxgrad::detection {

struct CaffeNetOptions {
  /// Channels times this, rounded down to pairs: three layers come in two groups.
  double width = 1;
  /// Layers whose outputs are the maps, of conv1, pool1, norm1, conv2, pool2, norm2, conv3, conv4,
  /// conv5, pool5. Fast R-CNN takes conv5 and pools regions of it instead of pool5.
  std::vector<std::string> outputs = {"conv5"};
  /// 5 zeros around the image and 1 around the maps that pool1 and pool2 read: half of each window,
  /// so that cell (i, j) of conv5 looks at the pixels around (16 i, 16 j). Fast R-CNN has them, for
  /// its regions; the classifier of 227 x 227 does not.
  bool padded = false;
  /// Pooling keeps a last window that sticks out of the map, as Caffe does.
  bool ceil_mode = true;
};

/// The convolutions of CaffeNet, which is AlexNet on one GPU with each pooling before its
/// normalisation: model S of Fast R-CNN. ReLU behind every convolution.
///
///   layer   filter  stride  groups  channels   side of a 227 px image
///   conv1   11 x 11      4       1        96       55
///   pool1    3 x 3       2                         27    then norm1 over 5 channels
///   conv2    5 x 5       1       2       256       27
///   pool2    3 x 3       2                         13    then norm2
///   conv3    3 x 3       1       1       384       13
///   conv4    3 x 3       1       2       384       13
///   conv5    3 x 3       1       2       256       13
///   pool5    3 x 3       2                          6
///
/// 2,334,080 parameters and 665,784,864 multiply-adds for 227 x 227. The filters start with He's
/// variance.
///
/// Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural
/// networks", NIPS 2012, section 3; layers and sizes as in Caffe's bvlc_reference_caffenet, with
/// `padded` as in models/CaffeNet of py-faster-rcnn.
class CaffeNet : public ChainBackbone {
 public:
  /// Throws std::invalid_argument for an output that is no layer.
  explicit CaffeNet(const CaffeNetOptions& options = {});
};

}  // namespace boxgrad::detection
