#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "detection/data/preparation.h"
#include "detection/data/ssd_augmentation.h"
#include "detection/models/ssd300.h"
#include "detection/training/preset_settings.h"
#include "detection/training/trainer.h"
#include "layers/schedule.h"
#include "layers/sgd.h"

namespace boxgrad::detection {

/// SSD300 with everything that it is trained by, as data:
///
///   const SsdPreset preset = ssd_preset("07+12", 20);
///   const auto model = make_ssd(preset);
///   model->find("backbone.body.vgg")->load_partial(imagenet.state_dict());   // of a Vgg16
///   nn::SGD sgd(*model, preset.sgd);
///   train(*model, sgd, dataset, preset.augmentation(), preset.preparation(), preset.training());
struct SsdPreset {
  std::string name;  ///< as ssd_preset() knows it
  double width = 1;  ///< of VGG16 and the extra layers
  SsdOptions model = {};
  SsdAugmentationOptions changes = {};

  std::int64_t images = 32;                           ///< of a step
  std::int64_t iterations = 120000;                   ///< of all
  std::vector<std::int64_t> drops_at{80000, 100000};  ///< where the rate is divided by 10
  nn::SGDOptions sgd = {};

  Preparation preparation() const { return ssd300_preparation(); }
  Transform augmentation() const { return ssd_augmentation(changes); }
  nn::Schedule schedule() const { return nn::multistep(drops_at, 0.1); }
  TrainerOptions training() const;  ///< batch size, iterations, schedule

  /// Every setting by name, as text.
  PresetSettings settings() const;
};

/// The settings of the paper and its code for PASCAL VOC, for
///
///   "07"     VOC 2007 as in the paper: 40,000 steps of 32 images with the rate .001, 10,000 with
///            .0001, 10,000 with .00001. Without zoom-out, which the paper adds in section 3.6
///            only, to trainings of twice as many steps
///   "07+12"  VOC 2007 and 2012 as in the code (ssd_pascal.py): 80,000, 20,000 and 20,000
///
/// Momentum .9, decay 5e-4; biases learn at twice the rate and without decay (code). Nothing is
/// frozen. All that SSD does to images: ssd_augmentation(). The rate enters the velocity, as in
/// Caffe.
///
/// Weights are random at first: VGG16's should come from ImageNet. So do the authors' fc6 and fc7,
/// every third tap and every fourth channel of the classifier's; here they start like new layers.
///
/// Throws std::invalid_argument for another name and for num_classes (without background) < 1.
/// Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, section 3.
SsdPreset ssd_preset(const std::string& name, std::int64_t num_classes);

/// The detector. Weights are random.
std::shared_ptr<Ssd> make_ssd(const SsdPreset& preset);

}  // namespace boxgrad::detection
