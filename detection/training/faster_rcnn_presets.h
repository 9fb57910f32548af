#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "detection/models/faster_rcnn.h"
#include "detection/training/alternating.h"
#include "detection/training/fast_rcnn_presets.h"

namespace boxgrad::detection {

/// Faster R-CNN with everything that it is trained by, as data:
///
///   const FasterRcnnPreset preset = faster_rcnn_preset("L", 20);
///   const auto model = make_faster_rcnn(preset);
///   model->fast_rcnn().load_classifier(imagenet.state_dict());       // models/fc_classifier.h
///   nn::SGD sgd(*model, preset.detector.sgd);
///   const auto images = preset.detector.training_set(dataset);       // with their mirror images
///   train(*model, sgd, *images, preset.detector.augmentation(), preset.detector.preparation(),
///         preset.detector.training());                               // joint
///   train_alternating(start, *images, preset.detector.augmentation(),
///                     preset.detector.preparation(), preset.alternating());   // or in four steps
///
/// In the four steps fc6 and fc7 come by AlternatingOptions::on_new_network; without it they begin
/// random, which is not the published training.
struct FasterRcnnPreset {
  std::string name;
  RpnOptions rpn = {};
  /// Network, images, optimizer, and Fast R-CNN; its iterations are those of joint training.
  FastRcnnPreset detector = {};
  std::array<std::int64_t, 4> four_steps{80000, 40000, 80000, 40000};  ///< of the 4-step scheme
  std::array<std::int64_t, 4> four_step_images{1, 2, 1, 2};            ///< at a time in each
  std::int64_t four_step_regions = 64;  ///< of an image that learn, where Fast R-CNN does

  FasterRcnnOptions model() const;
  /// Each step of the 4-step scheme divides its rate by 10 for its last quarter.
  AlternatingOptions alternating() const;
  /// Every setting by name, as text.
  PresetSettings settings() const;
};

/// The settings of the paper and its code, for
///
///   "L"       VGG16: anchors of 128, 256 and 512 px a side and ratios 1:2, 1:1, 2:1 every 16 px
///   "narrow"  fast_rcnn_preset()'s "narrow", and anchors of 20, 32 and 48 px every 8 px, objects
///             from an IoU of .6: things of 20 px seldom have an anchor of .7. All of it is ours.
///             Lesson 12; departures() lists what it changes
///
/// What "L" has from where (sections of the paper's journal version, PAMI 2017):
///
///   anchors' sides and ratios                                         3.1.1, 3.3
///   512 channels of the 3x3 convolution                               3.1
///   objects from an IoU of .7 or as a truth's best, background < .3   3.1.2
///   256 anchors of an image learn, half of them objects at most       3.1.3
///   anchors across the border are ignored in training                 3.3
///   suppression at .7, 2,000 proposals left in training, 300 in test  3.3
///   the best 12,000 (test: 6,000) enter it; sides of 16 px at least   code
///   lambda 1 over the 256 anchors (paper: 10 over 2,400 places)       code
///   images of 600 px, rates, momentum, decay                          3.1.3, 3.3
///   the four steps, and 60,000 + 20,000 steps for each RPN            3.2, 3.1.3
///   30,000 + 10,000 steps for each Fast R-CNN                         code
///
/// Where the sources differ: a step of joint training averages two images (iter_size 2) with 128
/// proposals each, and 50,000 of 70,000 steps have the rate of .001 (code; the paper's figures are
/// of the four steps). Backgrounds have no lower bound of the IoU, and biases decay like weights
/// (code). Box targets of joint training are divided by .1, .1, .2, .2, as no proposals are known
/// before (code); a new FastRcnn does that by itself. In the four steps an RPN sees one image at a
/// time, Fast R-CNN 64 regions of each of two (code). Two things are not as in that code: there the
/// four steps let all anchors enter the suppression, and the 16 px are of the image as it was
/// before resizing, here of the resized one.
///
/// Throws std::invalid_argument for another name and for num_classes (without background) < 1.
/// Ren, He, Girshick, Sun, "Faster R-CNN", NIPS 2015 and PAMI 2017, section 3.
FasterRcnnPreset faster_rcnn_preset(const std::string& name, std::int64_t num_classes);

/// The whole detector, its first layers frozen. Weights are random.
std::shared_ptr<FasterRcnn> make_faster_rcnn(const FasterRcnnPreset& preset);

}  // namespace boxgrad::detection
