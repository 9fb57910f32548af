#pragma once

#include <string>
#include <vector>

#include "detection/models/backbone.h"
#include "layers/activation.h"

namespace boxgrad::detection {

/// Which convolutions have a bias, batch norm being folded into their filters. A network that was
/// trained with batch norm is turned into `all` by nn::fold_batch_norms().
enum class FoldedNorms {
  none,       ///< every convolution is followed by batch norm: for training
  pointwise,  ///< conv0 and the 1x1 are folded, the depthwise are not
  all,        ///< no batch norm anywhere: for inference
};

struct MobileNetV1Options {
  double width = 1;  ///< alpha: channels times this, see scaled_channels()
  /// Layers whose outputs are the maps, of conv0 (stride 2), block1 (2), block2 and 3 (4), block4
  /// and 5 (8), block6 to 11 (16), block12 and 13 (32).
  std::vector<std::string> outputs = {"block13"};
  /// false: the twin of the paper's table 4, an ordinary 3x3 convolution in the place of each
  /// block.
  bool separable = true;

  // What networks trained elsewhere need. TensorFlow's: relu6, eps 1e-3, same_padding.
  Activation activation = Activation::relu;
  Scalar eps = Scalar(1e-5);  ///< of batch norm
  bool same_padding = false;
  FoldedNorms folded = FoldedNorms::none;
};

/// MobileNet v1 without its classifier: a 3x3 convolution with stride 2 and 32 channels, then 13
/// SeparableBlocks, with batch norm and ReLU after each of the 27 convolutions.
///
///   block      1    2    3    4    5    6   7..11   12    13
///   channels  64  128  128  256  256  512    512  1024  1024
///   stride     1    2    1    2    1    2      1     2     1
///
/// Table 1 of the paper prints stride 2 for block 13, whose output is 7 x 7 like its input: 1 is
/// meant, and gives the published 569 M. With Classifier(trunk, 1000), at 224 x 224: 568,740,352
/// multiply-adds and 4,231,976 parameters (4,209,088 filters, the rest batch norm and a bias); the
/// twin has 4,867,293,184. The resolution multiplier rho needs no option: it is the size of the
/// images.
///
/// Howard et al., "MobileNets: Efficient convolutional neural networks for mobile vision
/// applications", 2017.
class MobileNetV1 : public ChainBackbone {
 public:
  /// Throws std::invalid_argument for an output that is no layer.
  explicit MobileNetV1(const MobileNetV1Options& options = {});
};

}  // namespace boxgrad::detection
