#pragma once

#include <string>
#include <vector>

#include "detection/models/backbone.h"

namespace boxgrad::detection {

struct VggCnnM1024Options {
  double width = 1;  ///< channels times this, see scaled_channels()
  /// Layers whose outputs are the maps, of conv1, norm1, pool1, conv2, norm2, pool2, conv3, conv4,
  /// conv5, pool5. Fast R-CNN takes conv5 and pools regions of it instead of pool5.
  std::vector<std::string> outputs = {"conv5"};
  /// Pooling keeps a last window that sticks out of the map, as Caffe does; 224 px need it.
  bool ceil_mode = true;
};

/// The convolutions of VGG_CNN_M_1024: model M of Fast R-CNN, as deep as CaffeNet and wider. ReLU
/// behind every convolution, normalisation before pooling. (1024 is the size of its fc7.)
///
///   layer   filter  stride  padding  channels   side of a 224 px image
///   conv1    7 x 7       2        0        96      109    then norm1 over 5 channels, k = 2
///   pool1    3 x 3       2                          54
///   conv2    5 x 5       2        1       256       26    then norm2
///   pool2    3 x 3       2                          13
///   conv3    3 x 3       1        1       512       13
///   conv4    3 x 3       1        1       512       13
///   conv5    3 x 3       1        1       512       13
///   pool5    3 x 3       2                           6
///
/// 6,528,640 parameters and 1,579,801,632 multiply-adds for 224 x 224. The filters start with He's
/// variance. Without zeros around the image cell (i, j) of conv5 looks at the pixels around
/// (16 i + 17, 16 j + 17); the published detector ignores that.
///
/// Chatfield, Simonyan, Vedaldi, Zisserman, "Return of the devil in the details: delving deep into
/// convolutional nets", BMVC 2014, table 1, CNN-M; strides, padding and normalisation as in
/// models/VGG_CNN_M_1024 of Fast R-CNN's code.
class VggCnnM1024 : public ChainBackbone {
 public:
  /// Throws std::invalid_argument for an output that is no layer.
  explicit VggCnnM1024(const VggCnnM1024Options& options = {});
};

}  // namespace boxgrad::detection
