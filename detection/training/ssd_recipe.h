#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "detection/data/dataset.h"
#include "detection/data/preparation.h"
#include "detection/data/transforms.h"
#include "detection/models/detector_spec.h"
#include "detection/models/ssd.h"
#include "detection/training/photo_fit.h"
#include "detection/training/trainer.h"

namespace boxgrad::detection {

/// What a pretrained trunk does while the heads learn.
enum class Trunk {
  tuned,   ///< its filters learn, at their own rate; batch norm keeps scale, offset and statistics
  frozen,  ///< nothing of it changes; of a pretrained one alone
};

/// SSD on MobileNet v1 on a few hundred labelled photos, in minutes on two cores. Chosen on BCCD's
/// validation split (docs/single_shot.md has the commands that measure what one of the choices is
/// worth); what depends on the pictures (anchors, the maps that carry them, colours) is measured on
/// them.
struct SsdRecipe {
  /// The unpacked package of the face detector (make faces), whose trunk is the start. Empty: a
  /// trunk from random weights, with batch norm that learns.
  std::filesystem::path pretrained = {};
  Trunk trunk = Trunk::tuned;

  // Pictures.
  int longer_px = 320;          ///< the longer side, as the network sees it
  bool vertical_flips = false;  ///< beside the horizontal: for pictures without up and down
  /// With Augmentation::ssd the three lines behind it mean nothing.
  Augmentation changes = Augmentation::photos;
  double crop_chance = 0.5;  ///< of a window of at least half of the picture, stretched back
  double brightness = 0.1, contrast = 0.2;  ///< changed by up to so much, see transforms.h

  // Network.
  int anchor_sides = 6;   ///< anchors of all maps together, times one or three ratios
  double nms_iou = 0.45;  ///< of answers, within a class

  // Training.
  std::int64_t iterations = 1000;  ///< steps of batch_size images
  double minutes = 0;              ///< if > 0: so long instead, see TrainerOptions
  std::int64_t batch_size = 8;
  /// Hardest negatives of each photo at least, so that photos without objects teach, too; the paper
  /// has 0. 3 is what one matched anchor brings along: where there is one, nothing changes.
  std::int64_t min_negatives = 3;
  double rate = 3e-3;        ///< of AdamW for what is new; warm_cosine()
  double trunk_rate = 3e-4;  ///< for a pretrained trunk
  double weight_decay = 0.01;
  double average_decay = 0.995;
  std::uint64_t seed = 0;
  std::int64_t checkpoint_every = 100;  ///< steps
  double checkpoint_seconds = 60;       ///< or so long after the last one; see TrainerOptions

  /// What is done to the photos in training.
  Transform augmentation() const;
};

/// Size and colours. A pretrained trunk wants those that it learned with, (v / 255 - .5) / .5.
/// Sides are multiples of 32, with which TensorFlow's padding is the same for every picture.
Preparation ssd_preparation(const SsdRecipe& recipe, const Dataset& train);

/// The network that fits the photos. Which map of MobileNet v1 carries anchors of a size: block5
/// (stride 8) up to 40 px, block11 (16) up to 96 px, block13 (32) larger ones. A map without
/// anchors is left out, and the network ends with the last one that has some. Throws
/// std::invalid_argument for an option out of range, a frozen trunk without pretrained weights and a
/// dataset without boxes.
DetectorSpec describe_ssd_mobilenet(const SsdRecipe& recipe, const Dataset& train,
                                    const Preparation& preparation);

/// The network itself, with the pretrained trunk if there is one; other weights are drawn from
/// default_random(). Throws also for a package that is not there or damaged.
std::shared_ptr<Ssd> make_ssd_mobilenet(const SsdRecipe& recipe, const Dataset& train,
                                        const Preparation& preparation);

/// Freezes of a pretrained trunk what the recipe wants frozen: its batch norm, or all of it. Throws
/// std::invalid_argument for a trunk that is to be frozen and starts from random weights.
void settle_trunk(Detector& detector, const SsdRecipe& recipe);

/// Trains it. Pictures are decoded once and kept at the network's size while they take no more than
/// a gigabyte (InMemory).
///
/// validation  measured at `looks` points of the run, or null
/// out         where checkpoint and log go, see TrainerOptions; empty: nowhere
/// resume      go on from the checkpoint in `out`
/// on_validation  see TrainerOptions
TrainingSummary train_ssd_mobilenet(Detector& detector, const SsdRecipe& recipe,
                                    const Preparation& preparation, const Dataset& train,
                                    const Dataset* validation = nullptr, std::int64_t looks = 5,
                                    const std::filesystem::path& out = {}, bool resume = false,
                                    const ValidationHook& on_validation = {});

}  // namespace boxgrad::detection
