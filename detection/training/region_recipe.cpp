#include "detection/training/region_recipe.h"

#include "core/check.h"
#include "detection/data/in_memory.h"
#include "detection/models/faster_rcnn.h"
#include "detection/training/photo_fit.h"
#include "detection/training/recipe_fields.h"
#include "detection/training/region_task.h"
#include "layers/adamw.h"

namespace boxgrad::detection {

namespace {

constexpr std::int64_t kImagesForTargets = 300;
constexpr Scalar kStride = 8;

void check_recipe(const RegionRecipe& r) {
  check(r.longer_px >= 32, "RegionRecipe: longer_px must be >= 32, got ", r.longer_px);
  check(r.channels >= 1 && r.blocks >= 1 && r.pool >= 1 && r.hidden >= 1 && r.proposals >= 1 &&
            r.regions >= 1,
        "RegionRecipe: channels, blocks, pool, hidden, proposals and regions must be >= 1");
}

}  // namespace

Transform RegionRecipe::augmentation() const {
  return photo_augmentation(vertical_flips, crop_chance, brightness, contrast);
}

Preparation region_preparation(const RegionRecipe& recipe, const Dataset& train) {
  check_recipe(recipe);
  return photo_preparation(train, recipe.longer_px, 2 * static_cast<int>(kStride));
}

SelectiveSearchOptions region_search(const RegionRecipe& recipe) {
  SelectiveSearchOptions search = SelectiveSearchOptions::preset("fast");
  search.resize_width_px = recipe.longer_px * 3 / 2;
  return search;
}

DetectorSpec describe_region_detector(const RegionRecipe& recipe, const Dataset& train,
                                      const Preparation& preparation) {
  check_recipe(recipe);
  DetectorSpec spec{.model = recipe.own_proposals ? "faster-rcnn" : "fast-rcnn",
                    .classes = train.class_names(),
                    .longer_px = recipe.longer_px,
                    .multiple_px = preparation.batch.multiple_px,
                    .mean = preparation.batch.mean,
                    .std = preparation.batch.std,
                    .answers = FastRcnnOptions().postprocess,
                    .channels = recipe.channels,
                    .blocks = recipe.blocks,
                    .pool = recipe.pool,
                    .hidden = recipe.hidden,
                    .proposals = recipe.proposals,
                    .regions = recipe.regions};
  spec.answers.nms_iou = recipe.nms_iou;
  spec.answers.score_threshold = 0.02;  // AP looks at the whole curve
  if (recipe.own_proposals)
    spec.anchors = {
        {.sizes = fitting_anchors(train, preparation, recipe.anchor_sides), .stride_px = kStride}};
  return spec;
}

void fit_region_targets(FastRcnn& detector, const Dataset& train, const Preparation& preparation) {
  // Resized on the way; nothing needs keeping for one pass.
  const InMemory small(train, {.resize = preparation.resize, .max_bytes = 0});
  detector.set_target_statistics(
      dataset_target_statistics(small, detector.options().regions, kImagesForTargets));
}

std::shared_ptr<Detector> make_region_detector(const RegionRecipe& recipe, const Dataset& train,
                                               const Preparation& preparation) {
  const auto model = make_detector(describe_region_detector(recipe, train, preparation));
  if (auto* fast = dynamic_cast<FastRcnn*>(model.get()))
    fit_region_targets(*fast, train, preparation);
  return model;
}

TrainingSummary train_region_detector(Detector& detector, const RegionRecipe& recipe,
                                      const Preparation& preparation, const Dataset& train_set,
                                      const Dataset* validation, const std::filesystem::path& out,
                                      bool resume, const ValidationHook& on_validation,
                                      double seconds_spent) {
  const InMemory photos(train_set, {.resize = preparation.resize});
  nn::AdamW optimizer(detector, {.rate = recipe.rate,
                                 .beta2 = 0.99,
                                 .weight_decay = recipe.weight_decay,
                                 .groups = {{.pattern = ".*[.]bias", .decay = 0}}});
  TrainerOptions options = trainer_options(recipe, train_set.size(), out, resume, on_validation);
  options.validations = 4;
  options.seconds_spent = seconds_spent;
  return train(detector, optimizer, photos, recipe.augmentation(), preparation, options,
               validation);
}

}  // namespace boxgrad::detection
