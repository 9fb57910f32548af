#include "detection/training/dense_recipe.h"

#include <vector>

#include "core/check.h"
#include "detection/data/in_memory.h"
#include "detection/models/retinanet.h"
#include "detection/training/photo_fit.h"
#include "detection/training/recipe_fields.h"
#include "layers/adamw.h"

namespace boxgrad::detection {

namespace {

void check_recipe(const DenseRecipe& r) {
  check(r.rate > 0 && r.trunk_factor > 0, "DenseRecipe: rate and trunk_factor must be > 0, got ",
        r.rate, " and ", r.trunk_factor);
  check(r.crop_chance >= 0 && r.crop_chance <= 1,
        "DenseRecipe: crop_chance must be in [0, 1], got ", r.crop_chance);
  check(r.min_negatives >= 0, "DenseRecipe: min_negatives must be >= 0, got ", r.min_negatives);
  check(!r.focal || (r.anchor_sides >= 3 && r.anchor_sides % 3 == 0),
        "DenseRecipe: RetinaNet's anchor_sides must be a multiple of 3, got ", r.anchor_sides);
}

}  // namespace

Transform DenseRecipe::augmentation() const {
  return recipe_augmentation(changes, vertical_flips, crop_chance, brightness, contrast);
}

Preparation dense_preparation(const DenseRecipe& recipe, const Dataset& train) {
  return photo_preparation(train, recipe.longer_px, 32);
}

DetectorSpec describe_dense_detector(const DenseRecipe& recipe, const Dataset& train,
                                     const Preparation& preparation) {
  check_recipe(recipe);
  DetectorSpec spec{.model = recipe.focal ? "retinanet" : "ssd-small",
                    .classes = train.class_names(),
                    .longer_px = recipe.longer_px,
                    .multiple_px = preparation.batch.multiple_px,
                    .mean = preparation.batch.mean,
                    .std = preparation.batch.std,
                    .channels = recipe.channels,
                    .tower_depth = recipe.tower_depth};
  if (recipe.focal) {
    spec.box_weights = kUnitBoxWeights;
    spec.answers = RetinaNetOptions().postprocess;
    spec.answers.score_threshold = 0.02;  // AP looks at the whole curve
  }
  spec.answers.nms_iou = recipe.nms_iou;
  const std::vector<BoxSize> sizes = fitting_anchors(train, preparation, recipe.anchor_sides, true);
  MapAnchors anchors;
  if (recipe.focal) {
    // A third of the sides each; those of each ratio come in a row, ascending.
    const auto sides = static_cast<std::size_t>(recipe.anchor_sides);
    for (std::size_t i = 0; i < sizes.size(); ++i)
      anchors[i % sides / (sides / anchors.size())].push_back(sizes[i]);
  } else {
    anchors = anchors_by_size(sizes);
  }
  set_maps(spec, {"stage3", "stage4", "stage5"}, anchors);
  return spec;
}

TrainingSummary train_dense_detector(Detector& detector, const DenseRecipe& recipe,
                                     const Preparation& preparation, const Dataset& train_set,
                                     const Dataset* validation, std::int64_t looks,
                                     const std::filesystem::path& out, bool resume,
                                     const ValidationHook& on_validation) {
  check_recipe(recipe);
  set_min_negatives(detector, recipe.min_negatives);
  const InMemory photos(train_set, {.resize = preparation.resize});
  nn::AdamWOptions adam{
      .rate = recipe.rate, .beta2 = 0.99, .weight_decay = recipe.weight_decay, .groups = {}};
  if (recipe.focal)
    adam.groups = {
        {.pattern = "backbone[.]body[.].*[.]bias", .rate = recipe.trunk_factor, .decay = 0},
        {.pattern = "backbone[.]body[.].*", .rate = recipe.trunk_factor}};
  adam.groups.push_back({.pattern = ".*[.]bias", .decay = 0});
  nn::AdamW optimizer(detector, adam);
  TrainerOptions options = trainer_options(recipe, train_set.size(), out, resume, on_validation);
  options.validations = looks;
  return train(detector, optimizer, photos, recipe.augmentation(), preparation, options,
               validation);
}

}  // namespace boxgrad::detection
