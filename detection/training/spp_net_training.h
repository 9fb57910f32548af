#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "detection/data/dataset.h"
#include "detection/data/preparation.h"
#include "detection/models/spp_net.h"
#include "detection/training/evaluate.h"
#include "detection/training/map_store.h"
#include "detection/training/preset_settings.h"
#include "detection/training/region_classifier_training.h"
#include "layers/schedule.h"
#include "layers/sgd.h"

namespace boxgrad::detection {

/// How an SPPnet learns. Rates, steps and drops (three times 30,000), the doubled rate of biases and
/// the random scale are those of the authors' code, a quarter of objects is the paper's (section
/// 4.1). Clipping and warm-up are ours, and off.
struct SppNetTraining {
  std::int64_t iterations = 90000;  ///< of 128 regions (SppNetOptions::sampling)
  /// Images whose regions a step chooses from. The maps lie on a disk, so there is no reason to
  /// take many regions of a few images, as Fast R-CNN must.
  std::int64_t images = 128;
  ScaleChoice scales = ScaleChoice::random;  ///< while the layers learn
  bool flips = true;                         ///< mirrored images have maps of their own
  /// Biases learn twice as fast and do not decay.
  nn::SGDOptions sgd = {.rate = 0.001,
                        .momentum = 0.9,
                        .weight_decay = 5e-4,
                        .velocity = nn::Velocity::caffe,
                        .groups = {{.pattern = ".*[.]bias", .rate = 2, .decay = 0}}};
  std::vector<double> drops = {1. / 3, 2. / 3};  ///< shares of the steps after which rate / 10
  double warm_up = 0;                            ///< share in which the rate rises to its value
  double clip_norm = 0;                          ///< if > 0: gradients are scaled to this length
  std::uint64_t seed = 0;

  /// The SVMs and box regressors are fitted on the first so many images; -1: all, 0: they are not
  /// (RegionScoring::softmax needs none).
  std::int64_t classifier_images = -1;
  RegionClassifierOptions classifiers = {};
};

/// What it took, and how the loss went.
struct SppNetReport {
  double seconds_maps = 0, seconds_fine_tuning = 0;
  std::int64_t maps = 0;
  double map_megabytes = 0;         ///< on disk
  std::vector<double> losses = {};  ///< means over a hundredth of the steps each, at least one
  RegionClassifierReport classifiers = {};

  double megabytes() const {
    return map_megabytes + classifiers.megabytes + classifiers.box_megabytes;
  }
  double seconds() const {
    return seconds_maps + seconds_fine_tuning + classifiers.seconds_features +
           classifiers.seconds_svms + classifiers.seconds_boxes;
  }
};

/// SPPnet's training, in stages:
///
///   maps         of all images, mirrored ones, and scales, to files in `folder`; the convolutions
///                are not needed any more
///   fine-tuning  of the fully connected layers on pooled regions: a quarter objects (IoU >= .5),
///                the rest with IoU in [.1, .5)
///   SVMs, boxes  train_region_classifiers()
///
/// The model is in evaluation mode afterwards. What was in `folder` under the stores' names is
/// replaced; the caller removes it. Same seed, same bits, for any number of threads.
///
/// dataset  with proposals
/// throws   TrainingDiverged when the loss is not finite; std::invalid_argument when the dataset is
///          empty, has nothing to learn from, or options do not fit; std::runtime_error when the
///          disk is full
///
/// He et al., "Spatial pyramid pooling ...", ECCV 2014, section 4.1, and the authors' code, which
/// stores maps and draws scales like this.
SppNetReport train_spp_net(SppNet& model, const Dataset& dataset, const Preparation& preparation,
                           const std::filesystem::path& folder,
                           const SppNetTraining& training = {});

/// An SPPnet with everything that it is trained by, as data:
///
///   "L"        VGG16 up to conv5_3, five scales: what Fast R-CNN is compared with. (SPPnet itself
///              has ZF-5, a network of five layers.)
///   "narrow"   a quarter of VGG16's width up to conv4_3 and one scale, for images of about 100 px
///              and minutes of training: tutorial 07. departures() lists what it changes
struct SppNetPreset {
  std::string name;
  double width = 1;
  std::string last_layer = "conv5_3";
  bool subtract_mean = true;  ///< inputs are bytes less ImageNet's mean, else 0 to 1
  SppNetOptions model = {};
  SppNetTraining training = {};

  Preparation preparation() const;
  /// Every setting by name, as text.
  PresetSettings settings() const;
};

/// Throws std::invalid_argument for another name and for num_classes (without background) < 1.
SppNetPreset spp_net_preset(const std::string& name, std::int64_t num_classes);

}  // namespace boxgrad::detection
