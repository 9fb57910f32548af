#include "detection/training/region_task.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/random.h"
#include "detection/proposals/proposal_cache.h"
#include "detection/training/starting_network.h"

namespace boxgrad::detection {

namespace {

/// Its random weights do not depend on what was drawn before.
std::shared_ptr<Vgg16> task_backbone() {
  const Random before = default_random();
  manual_seed(0);
  auto backbone = std::make_shared<Vgg16>(Vgg16Options{.width = 0.25, .outputs = {"conv4_3"}});
  default_random() = before;
  return backbone;
}

}  // namespace

RegionTask::RegionTask(const std::filesystem::path& folder, const RegionTaskOptions& options)
    : train_scenes(FashionScenes::Split::train, options.train_seed, options.train_scenes),
      val_scenes(FashionScenes::Split::val, options.val_seed, options.val_scenes),
      train(train_scenes,
            proposals(train_scenes, folder,
                      concat("train_", options.train_scenes, "_seed_", options.train_seed))),
      val(val_scenes, proposals(val_scenes, folder,
                                concat("val_", options.val_scenes, "_seed_", options.val_seed))) {
  const Random before = default_random();
  const auto backbone = task_backbone();
  start_seconds_ =
      starting_network(backbone, train_scenes,
                       folder / concat("start_", options.train_scenes, "_seed_", options.train_seed,
                                       "_steps_", options.start_steps, ".safetensors"),
                       {.steps = options.start_steps});
  start_ = backbone->state_dict();
  default_random() = before;  // the same, whether the file was there or not
}

std::shared_ptr<Vgg16> RegionTask::backbone() const {
  auto backbone = task_backbone();
  backbone->load_state_dict(start_);
  return backbone;
}

std::vector<Tensor> RegionTask::proposals(const FashionScenes& scenes,
                                          const std::filesystem::path& folder,
                                          const std::string& name) {
  double seconds = 0;
  std::vector<Tensor> boxes =
      cached_proposals(scenes, selective_search_method(SelectiveSearchOptions::preset("fast")),
                       folder, name, nullptr, &seconds);
  proposal_seconds_ += seconds;
  return boxes;
}

std::string RegionTask::seconds_text() const {
  return concat("made once and kept: starting network ", std::lround(start_seconds_),
                " s, proposals of ", train.size() + val.size(), " scenes ",
                std::lround(proposal_seconds_), " s");
}

TargetStatistics dataset_target_statistics(const Dataset& dataset, const RegionOptions& options,
                                           std::int64_t images) {
  std::vector<Regions> regions;
  const std::int64_t count = images < 0 ? dataset.size() : std::min(images, dataset.size());
  for (std::int64_t i = 0; i < count; ++i) {
    const Sample sample = dataset.get(i);
    regions.push_back(label_regions(sample.proposals, sample.target, options));
  }
  return target_statistics(regions, static_cast<std::int64_t>(dataset.class_names().size()));
}

}  // namespace boxgrad::detection
