#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "detection/data/dataset.h"
#include "detection/models/backbone.h"
#include "layers/module.h"

namespace boxgrad::detection {

struct StartingNetworkOptions {
  std::int64_t steps = 1500;
  std::int64_t batch_size = 64;
  int crop_px = 32;        ///< side of the crops
  double rate = 0.05;      ///< of SGD with momentum 0.9, falling along half a cosine
  double max_norm = 1;     ///< larger gradients are scaled down to it
  std::uint64_t seed = 0;  ///< of crops and weights of the last layer
};

/// What the R-CNN papers get from ImageNet: a backbone that has seen the things before, as a
/// classifier of single objects. Here those are crops of training scenes: three in four a truth,
/// its box shifted and stretched by up to a tenth, one in four a window that overlaps no truth by
/// more than 0.3 (class 0); each resized to crop_px x crop_px, half of them mirrored. Each crop
/// asks the dataset for its scene: photos belong into memory first (detection/data/in_memory.h).
///
/// Ten plain convolutions stay at the loss of guessing for hundreds of steps before they begin to
/// learn, and one large gradient throws them back. Without max_norm the step at which they begin
/// is a matter of rounding, another on another CPU; with it they begin alike.
///
/// Trains a Classifier on top of `backbone`, in place; the classifier itself is thrown away.
/// Returns the share of the last 1,000 crops that it named correctly before learning from them.
/// Throws std::invalid_argument for options that are not > 0.
double train_starting_network(const std::shared_ptr<Backbone>& backbone, const Dataset& dataset,
                              const StartingNetworkOptions& options = {});

/// The same, once: the weights are kept in `file`, and later calls read them. Returns the seconds
/// that training took, which the file remembers; 0 for a file that does not say.
/// Throws std::runtime_error when the file's weights were trained with other options or on other
/// images (their number, and hash_dataset of detection/data/dataset_hash.h), and what reading a file
/// that does not fit the backbone throws: delete it then.
double starting_network(const std::shared_ptr<Backbone>& backbone, const Dataset& dataset,
                        const std::filesystem::path& file,
                        const StartingNetworkOptions& options = {});

}  // namespace boxgrad::detection
