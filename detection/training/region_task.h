#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "detection/data/fashion_scenes.h"
#include "detection/models/vgg16.h"
#include "detection/proposals/with_proposals.h"
#include "detection/regions.h"

namespace boxgrad::detection {

struct RegionTaskOptions {
  std::int64_t train_scenes = 2000, val_scenes = FashionScenes::kValSize;
  std::uint64_t train_seed = 7, val_seed = FashionScenes::kValSeed;
  std::int64_t start_steps = 3000;  ///< of the starting network's training

  /// A handful of everything, which shows in seconds that a program runs.
  static RegionTaskOptions quick() {
    return {.train_scenes = 20, .val_scenes = 10, .start_steps = 5};
  }
};

/// What every two-stage system of the lessons is trained and measured on, so that their figures can
/// be compared: the same scenes, the same proposals (selective search, "fast"), and the same
/// starting weights. It plays the part that VOC 2007, the published proposals and a network trained
/// on ImageNet play in the papers.
///
/// Proposals and starting network are computed once and kept in `folder`, under names that say what
/// they are of; lessons share it.
class RegionTask {
  double proposal_seconds_ = 0, start_seconds_ = 0;  // first: what follows counts into them

 public:
  /// Takes minutes the first time, with progress bars. Throws what FashionScenes, cached_proposals
  /// and starting_network throw.
  explicit RegionTask(const std::filesystem::path& folder, const RegionTaskOptions& options = {});
  RegionTask(const RegionTask&) = delete;  // the datasets refer to its scenes
  RegionTask& operator=(const RegionTask&) = delete;

  const FashionScenes train_scenes, val_scenes;
  const WithProposals train, val;  ///< the same with their proposals

  std::int64_t num_classes() const {  ///< without background
    return static_cast<std::int64_t>(train_scenes.class_names().size());
  }
  /// A new copy of the starting network: VGG16 of a quarter of the width up to conv4_3, 128
  /// channels of stride 8.
  std::shared_ptr<Vgg16> backbone() const;

  /// What making them took, whenever that was: their files remember it.
  double proposal_seconds() const { return proposal_seconds_; }
  double start_seconds() const { return start_seconds_; }
  /// "made once and kept: starting network 120 s, proposals of 2500 scenes 13 s".
  std::string seconds_text() const;

 private:
  std::vector<Tensor> proposals(const FashionScenes& scenes, const std::filesystem::path& folder,
                                const std::string& name);

  nn::StateDict start_;
};

/// Mean and deviation of the box targets of each class, over the first images of a dataset with
/// proposals (all of them if images < 0, as Fast R-CNN's code does): what
/// FastRcnn::set_target_statistics wants.
TargetStatistics dataset_target_statistics(const Dataset& dataset, const RegionOptions& options,
                                           std::int64_t images = -1);

}  // namespace boxgrad::detection
