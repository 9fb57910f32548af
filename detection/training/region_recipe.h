#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "detection/data/dataset.h"
#include "detection/data/preparation.h"
#include "detection/data/transforms.h"
#include "detection/detector.h"
#include "detection/models/detector_spec.h"
#include "detection/models/fast_rcnn.h"
#include "detection/proposals/selective_search.h"
#include "detection/training/trainer.h"

namespace boxgrad::detection {

/// Fast R-CNN or Faster R-CNN on a few hundred labelled photos, from random weights, in minutes on
/// two cores: every size and rate of it. Chosen on BCCD (docs/two_stage.md says how far each
/// matters); what depends on the pictures (anchors, colours, targets) is measured on them.
///
/// How it departs from the papers: small pictures; a small backbone with batch norm instead of a
/// pretrained VGG16, so that nothing need be downloaded; a map of stride 8 for small objects; AdamW
/// and averaged weights; batches of 8 images instead of 2.
struct RegionRecipe {
  bool own_proposals = true;  ///< Faster R-CNN; false: Fast R-CNN, proposals come with the dataset

  // Pictures.
  int longer_px = 320;          ///< the longer side, as the network sees it
  bool vertical_flips = false;  ///< beside the horizontal: for pictures without up and down
  double crop_chance = 0.5;     ///< of a window of at least half of the picture, stretched back
  double brightness = 0.1, contrast = 0.2;  ///< changed by up to so much, see transforms.h

  // Network.
  std::int64_t channels = 24;  ///< of the stem; 4 times so many on the map of the regions
  int blocks = 5;              ///< of stride 8: each sees 16 px further
  std::int64_t pool = 6;
  std::int64_t hidden = 128;     ///< of both fully connected layers
  int anchor_sides = 5;          ///< anchors of a cell, times one or three ratios
  std::int64_t proposals = 200;  ///< of the RPN, in training and after
  std::int64_t regions = 64;     ///< of each image, a quarter of them objects
  double nms_iou = 0.4;          ///< of answers, within a class

  // Training.
  std::int64_t iterations = 1000;  ///< steps of batch_size images
  double minutes = 0;              ///< if > 0: so long instead, see TrainerOptions
  std::int64_t batch_size = 8;
  double rate = 0.008;  ///< of AdamW, after a warm-up of a twentieth; half a cosine to nothing
  double weight_decay = 0.01;
  double average_decay = 0.99;
  std::uint64_t seed = 0;
  std::int64_t checkpoint_every = 100;  ///< steps
  double checkpoint_seconds = 60;       ///< or so long after the last one; see TrainerOptions

  static RegionRecipe faster_rcnn() { return {}; }
  /// Selective search proposes far more of nothing than an RPN: more regions have to be looked at.
  static RegionRecipe fast_rcnn() { return {.own_proposals = false, .regions = 128}; }

  /// What is done to the photos in training.
  Transform augmentation() const;
};

/// Size and colours: mean and deviation of the pixels of up to fifty pictures, per channel.
Preparation region_preparation(const RegionRecipe& recipe, const Dataset& train);

/// Selective search for such pictures, in their own pixels: "fast" at one and a half times the size
/// that the network sees.
SelectiveSearchOptions region_search(const RegionRecipe& recipe);

/// The network that fits the photos.
/// Throws std::invalid_argument for options out of range and a dataset without boxes.
DetectorSpec describe_region_detector(const RegionRecipe& recipe, const Dataset& train,
                                      const Preparation& preparation);

/// Normalises a Fast R-CNN's targets by those of `train`, which must have proposals.
void fit_region_targets(FastRcnn& detector, const Dataset& train, const Preparation& preparation);

/// A FasterRcnn, or a FastRcnn whose targets are normalised by those of `train`, which must have
/// proposals then. Weights are drawn from default_random().
/// Throws std::invalid_argument for options out of range and a dataset without boxes.
std::shared_ptr<Detector> make_region_detector(const RegionRecipe& recipe, const Dataset& train,
                                               const Preparation& preparation);

/// Trains it. Pictures are decoded once and kept at the network's size while they take no more than
/// a gigabyte (InMemory).
///
/// validation  measured at four points of the run, or null
/// out         where checkpoint and log go, see TrainerOptions; empty: nowhere
/// resume      go on from the checkpoint in `out`
/// on_validation, seconds_spent  see TrainerOptions
TrainingSummary train_region_detector(Detector& detector, const RegionRecipe& recipe,
                                      const Preparation& preparation, const Dataset& train,
                                      const Dataset* validation = nullptr,
                                      const std::filesystem::path& out = {}, bool resume = false,
                                      const ValidationHook& on_validation = {},
                                      double seconds_spent = 0);

}  // namespace boxgrad::detection
