#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "detection/data/preparation.h"
#include "detection/models/ssd.h"

namespace boxgrad::detection {

/// VGG16 as SSD changes it, up to fc7:
///
///   "vgg"           conv1_1 to conv5_3, pools that keep a last odd row: 300 px become 38 cells of
///                   conv4_3 and 19 of conv5_3
///   "conv4_3_norm"  L2Norm from 20 of conv4_3: the first map. Its numbers are ten times those of
///                   the later maps
///   pool5           3x3 with stride 1: the map stays as large as it is ...
///   "fc6"           ... and the fully connected layer's 7x7 window becomes 3x3 taps that are
///                   6 cells apart ("a trous"), 1024 channels
///   "fc7"           1x1, 1024 channels: the second map
///
/// Liu et al., "SSD", ECCV 2016, section 3.1; the layers of the authors' Caffe model.
class SsdVgg16 : public Backbone {
 public:
  /// width: channels times this, see scaled_channels().
  explicit SsdVgg16(double width = 1);
  std::vector<Tensor> maps(const Tensor& images) override;
  std::vector<std::int64_t> channels() const override { return channels_; }

 private:
  nn::Child vgg_, norm_, fc6_, fc7_;
  std::vector<std::int64_t> channels_;
};

/// What SSD300 is beside its backbone: ssd300_levels(), 3x3 heads without a prior, and the defaults.
SsdOptions ssd300_options(std::int64_t num_classes);

/// SSD300 as published: six maps of 38, 19, 10, 5, 3 and 1 cells a side, 3x3 heads, 8,732 default
/// boxes (ssd300_levels()), heads that start without a prior. With 20 classes 26,285,486 parameters
/// and 31,373,537,792 multiply-adds, as torchvision's ssd300_vgg16.
///
/// All that ImageNet's VGG16 does not have (fc6 and fc7, extra layers, heads) starts as published,
/// from "Xavier" filters (Glorot's rule; Caffe's filler of that name has variance 1 / fan_in) and
/// biases of 0; VGG itself from He's rule, until weights are loaded.
///
/// width < 1 makes VGG and the extra layers narrower: the same network for minutes of training.
std::shared_ptr<Ssd> make_ssd300(std::int64_t num_classes, double width = 1);
/// With other options; `levels` must be of six maps. With a prior, the background's biases start
/// from that instead of 0.
std::shared_ptr<Ssd> make_ssd300(const SsdOptions& options, double width = 1);

/// What MobileNet-SSD is beside its backbone: mobilenet_ssd_levels(), 3x3 heads without a prior, and
/// the defaults.
SsdOptions mobilenet_ssd_options(std::int64_t num_classes);

/// MobileNet-SSD at 300 px: MobileNet v1's block11 and block13 and four extra maps with batch norm,
/// 19, 10, 5, 3, 2 and 1 cells a side, six boxes in every cell: 3,000. Extra layers and heads start
/// as those of SSD300. A box is an object from an IoU of .5, as in SSD; the port that the boxes are
/// from takes .45 (SsdOptions::match_iou).
///
/// It learns from two images at a time or more: of one, the last map has a single cell, which is no
/// variance for the batch norm behind it, and loss() throws std::invalid_argument in training.
std::shared_ptr<Ssd> make_mobilenet_ssd(std::int64_t num_classes, double width = 1);
/// With other options, as for SSD300.
std::shared_ptr<Ssd> make_mobilenet_ssd(const SsdOptions& options, double width = 1);

/// Its boxes in pixels of a 300 x 300 image: steps 16 32 64 100 150 300, sides from 60 to 330 in
/// steps of 45, ratios 2 and 3 on every map, as in the well-known port to PyTorch.
std::vector<AnchorLevel> mobilenet_ssd_levels();

/// Images stretched to 300 x 300, whatever their proportions, as bytes less ImageNet's mean; or
/// from -1 to 1 for MobileNet.
Preparation ssd300_preparation();
Preparation mobilenet_ssd_preparation();

}  // namespace boxgrad::detection
