#pragma once

#include <cstdint>
#include <filesystem>

#include "detection/data/dataset.h"
#include "detection/data/preparation.h"
#include "detection/data/transforms.h"
#include "detection/models/detector_spec.h"
#include "detection/training/photo_fit.h"
#include "detection/training/trainer.h"

namespace boxgrad::detection {

/// The small dense detectors, SsdSmall and RetinaNetSmall, on a few hundred labelled photos, from
/// random weights, in minutes on two cores. What depends on the pictures (anchors, the maps that
/// carry them, colours) is measured on them.
struct DenseRecipe {
  bool focal = false;  ///< RetinaNet: a pyramid, sigmoids, focal loss; false: SSD

  // Pictures.
  int longer_px = 320;          ///< the longer side, as the network sees it
  bool vertical_flips = false;  ///< beside the horizontal: for pictures without up and down
  Augmentation changes = Augmentation::photos;  ///< ssd: crops and colours are as SSD has them
  double crop_chance = 0.5;                     ///< see photo_augmentation()
  double brightness = 0.1, contrast = 0.2;

  // Network.
  int anchor_sides = 6;        ///< of all maps together, times one or three ratios
  std::int64_t channels = 32;  ///< of RetinaNet's pyramid and subnets
  std::int64_t tower_depth = 1;
  double nms_iou = 0.45;  ///< of answers, within a class

  // Training.
  std::int64_t iterations = 1000;  ///< steps of batch_size images
  double minutes = 0;              ///< if > 0: so long instead, see TrainerOptions
  std::int64_t batch_size = 8;
  std::int64_t min_negatives = 3;  ///< ssd-small: see SsdRecipe; focal loss looks at all of them
  double rate = 0.01;              ///< of AdamW; warm_cosine()
  double trunk_factor = 1;         ///< RetinaNet: times that, for the trunk, which has batch norm
  double weight_decay = 0.01;
  double average_decay = 0.99;
  std::uint64_t seed = 0;
  std::int64_t checkpoint_every = 100;  ///< steps
  double checkpoint_seconds = 60;       ///< or so long after the last one; see TrainerOptions

  static DenseRecipe ssd_small() { return {}; }
  /// The subnets have no batch norm, and lose their ReLUs at the trunk's rate.
  static DenseRecipe retinanet() { return {.focal = true, .rate = 0.002, .trunk_factor = 5}; }

  /// What is done to the photos in training.
  Transform augmentation() const;
};

/// Size and colours: mean and deviation of the pixels of up to fifty pictures, per channel.
Preparation dense_preparation(const DenseRecipe& recipe, const Dataset& train);

/// The network that fits the photos. SSD: anchors up to 40 px on the map of stride 8, up to 96 px
/// on that of 16, larger ones on that of 32; a map without anchors is left out. RetinaNet, whose
/// maps share their subnets: a third of the sides each.
/// Throws std::invalid_argument for options out of range and a dataset without boxes.
DetectorSpec describe_dense_detector(const DenseRecipe& recipe, const Dataset& train,
                                     const Preparation& preparation);

/// Trains it; see train_ssd_mobilenet().
TrainingSummary train_dense_detector(Detector& detector, const DenseRecipe& recipe,
                                     const Preparation& preparation, const Dataset& train,
                                     const Dataset* validation = nullptr, std::int64_t looks = 5,
                                     const std::filesystem::path& out = {}, bool resume = false,
                                     const ValidationHook& on_validation = {});

}  // namespace boxgrad::detection
