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
///   nn::SGD sgd(*model, preset.detector.sgd);
///   const auto images = preset.detector.training_set(dataset);       // with their mirror images
///   train(*model, sgd, *images, preset.detector.augmentation(), preset.detector.preparation(),
///         preset.detector.training());                               // joint
///   train_alternating(start, *images, preset.detector.augmentation(),
///                     preset.detector.preparation(), preset.alternating());   // or in four steps
struct FasterRcnnPreset {
  std::string name;
  RpnOptions rpn = {};
  /// Network, images, optimizer, and Fast R-CNN; its iterations are those of joint training.
  FastRcnnPreset detector = {};
  std::array<std::int64_t, 4> four_steps{80000, 40000, 80000, 40000};  ///< of the 4-step scheme

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
///             from an IoU of .6: things of 20 px seldom have an anchor of .7. Lesson 12;
///             departures() lists what it changes
///
/// Anchors are objects from an IoU of .7 or when they are a truth's best, background below .3;
/// 256 of an image learn, half of them objects at most. The best 12,000 are suppressed at .7 in
/// training, and 2,000 of them are left; 6,000 and 300 in the test; sides of 16 px at least.
///
/// Where the sources differ: a step of joint training takes one image and 128 of its proposals, and
/// 50,000 of 70,000 steps have the rate of .001 (code; the paper trains in four steps only, of
/// 60,000 + 20,000 for each RPN). Backgrounds have no lower bound of the IoU (code). Here steps 2
/// and 4 of the four take one image, too (code: two).
///
/// Throws std::invalid_argument for another name and for num_classes (without background) < 1.
/// Ren, He, Girshick, Sun, "Faster R-CNN", NIPS 2015, section 3.
FasterRcnnPreset faster_rcnn_preset(const std::string& name, std::int64_t num_classes);

/// The whole detector, its first layers frozen. Weights are random.
std::shared_ptr<FasterRcnn> make_faster_rcnn(const FasterRcnnPreset& preset);

}  // namespace boxgrad::detection
