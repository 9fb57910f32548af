#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "detection/data/preparation.h"
#include "detection/models/fast_rcnn.h"
#include "detection/training/preset_settings.h"
#include "detection/training/trainer.h"
#include "layers/schedule.h"
#include "layers/sgd.h"
#include "layers/svd_linear.h"

namespace boxgrad::detection {

/// A network of Fast R-CNN with everything that it is trained by, as data:
///
///   const FastRcnnPreset preset = fast_rcnn_preset("L", 20);
///   const auto model = make_fast_rcnn(preset);
///   model->load_classifier(imagenet.state_dict());           // detection/models/fc_classifier.h
///   const auto images = preset.training_set(dataset);        // with their mirror images
///   model->set_target_statistics(dataset_target_statistics(*images, preset.model.regions));
///   nn::SGD sgd(*model, preset.sgd);
///   train(*model, sgd, *images, preset.augmentation(), preset.preparation(), preset.training());
struct FastRcnnPreset {
  std::string name;     ///< as fast_rcnn_preset() knows it
  std::string network;  ///< "CaffeNet", "VggCnnM1024" or "Vgg16"
  double width = 1;
  std::string last_layer;      ///< of the backbone; RoI pooling takes the place of what came behind
  std::string frozen_through;  ///< the last layer that stays as ImageNet taught it
  FastRcnnOptions model = {};

  int shorter_px = 600, longer_px = 1000;  ///< of images without model.pyramid; 0: as they are
  bool subtract_mean = true;               ///< inputs are bytes less ImageNet's mean, else 0 to 1
  bool mirrored_copies = true;  ///< training_set() holds each image twice, as the code does
  double flip_probability = 0;  ///< or: augmentation() mirrors an image so often

  std::int64_t images = 2;  ///< N of a step; model.sampling.size are R / N
  std::int64_t iterations = 40000;
  std::vector<double> drops = {0.75};  ///< shares of the iterations after which the rate / 10
  double warm_up = 0;                  ///< share in which the rate rises to its value
  double clip_norm = 0;
  nn::SGDOptions sgd = {};

  std::vector<nn::CompressOptions> compression = {};  ///< section 3.1, after training

  /// With model.pyramid images stay as they are: it brings them to their sizes, at random in training
  /// (augmentation()) and region by region in the test (FastRcnn::detect). A size that the
  /// preparation gave them would come last and undo the pyramid's.
  Preparation preparation() const;
  /// What training visits: the dataset with mirrored copies behind it (WithMirrored), or as it is.
  /// It must not outlive the dataset.
  std::shared_ptr<const Dataset> training_set(const Dataset& dataset) const;
  /// Random flips, and one of model.pyramid's sizes at random; empty without either.
  Transform augmentation() const;
  /// Of a training of so many steps: the same shares of it as of `iterations`.
  nn::Schedule schedule(std::int64_t steps) const;
  /// Batch size, iterations, schedule, clipping. Other iterations, or minutes, in what it returns
  /// shorten or stretch the schedule.
  TrainerOptions training() const;

  /// Every setting by name, as text.
  PresetSettings settings() const;
};

/// The settings of the paper and its code, for
///
///   "S"       CaffeNet, regions of 6 x 6 bins, conv1 frozen
///   "M"       VGG_CNN_M_1024, likewise
///   "L"       VGG16, regions of 7 x 7 bins, conv1_1 to conv2_2 frozen
///   "narrow"  a quarter of VGG16's width up to conv4_3, for images of about 100 px and minutes of
///             training: tutorial 09. departures() lists what it changes
///
/// N = 2 images, R = 128 regions, a quarter of them objects (IoU >= .5), the rest with IoU in
/// [.1, .5); new layers from Gaussians of .01 (classes) and .001 (boxes); rate .001 for 30,000
/// steps and .0001 for 10,000, momentum .9, decay 5e-4; shorter side 600 px, longer at most 1000;
/// dropout .5 behind fc6 and fc7; suppression at .3 within a class; fc6 and fc7 compressed to 1024
/// and 256 singular values.
///
/// Where the sources differ: biases learn at twice the rate and without decay (code; the paper
/// decays them); the list of images is doubled by mirrored ones (code; the paper mirrors with
/// probability .5), and box targets are normalised by the statistics of all of them (code).
/// Where ours is a choice: detections below .05 are dropped (the code adapts a threshold per class
/// to the whole test set, its successor takes .05), 300 boxes of a class enter suppression, 100 of
/// an image are reported.
///
/// Throws std::invalid_argument for another name and for num_classes (without background) < 1.
/// Girshick, "Fast R-CNN", ICCV 2015, sections 2, 3.1 and 4.
FastRcnnPreset fast_rcnn_preset(const std::string& name, std::int64_t num_classes);

/// The preset's backbone, its first layers frozen.
std::shared_ptr<ChainBackbone> make_backbone(const FastRcnnPreset& preset);
/// The same with its head: the whole detector. Weights are random.
std::shared_ptr<FastRcnn> make_fast_rcnn(const FastRcnnPreset& preset);

}  // namespace boxgrad::detection
