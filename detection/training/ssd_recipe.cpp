#include "detection/training/ssd_recipe.h"

#include <vector>

#include "core/check.h"
#include "detection/data/in_memory.h"
#include "detection/models/face_trunk.h"
#include "detection/training/photo_fit.h"
#include "detection/training/recipe_fields.h"
#include "layers/adamw.h"
#include "layers/batch_norm.h"

namespace boxgrad::detection {

namespace {

/// What was drawn at random and stays so tells the heads next to nothing.
void check_frozen(const SsdRecipe& r) {
  check(r.trunk != Trunk::frozen || !r.pretrained.empty(),
        "SsdRecipe: a frozen trunk must be a pretrained one, or it would stay random; name its "
        "weights (--pretrained), or let it learn (\"frozen_trunk\": false)");
}

void check_recipe(const SsdRecipe& r) {
  check_frozen(r);
  check(r.rate > 0 && r.trunk_rate > 0, "SsdRecipe: rate and trunk_rate must be > 0, got ", r.rate,
        " and ", r.trunk_rate);
  check(r.crop_chance >= 0 && r.crop_chance <= 1, "SsdRecipe: crop_chance must be in [0, 1], got ",
        r.crop_chance);
  check(r.min_negatives >= 0, "SsdRecipe: min_negatives must be >= 0, got ", r.min_negatives);
}

}  // namespace

Transform SsdRecipe::augmentation() const {
  return recipe_augmentation(changes, vertical_flips, crop_chance, brightness, contrast);
}

Preparation ssd_preparation(const SsdRecipe& recipe, const Dataset& train) {
  Preparation preparation = photo_preparation(train, recipe.longer_px, 32);
  if (!recipe.pretrained.empty()) preparation.batch.mean = preparation.batch.std = kFaceColors;
  return preparation;
}

DetectorSpec describe_ssd_mobilenet(const SsdRecipe& recipe, const Dataset& train,
                                    const Preparation& preparation) {
  check_recipe(recipe);
  DetectorSpec spec{.model = "ssd-mobilenet",
                    .classes = train.class_names(),
                    .longer_px = recipe.longer_px,
                    .multiple_px = preparation.batch.multiple_px,
                    .mean = preparation.batch.mean,
                    .std = preparation.batch.std,
                    .tensorflow_trunk = !recipe.pretrained.empty()};
  spec.answers.nms_iou = recipe.nms_iou;
  set_maps(spec, {"block5", "block11", "block13"},
           anchors_by_size(fitting_anchors(train, preparation, recipe.anchor_sides, true)));
  return spec;
}

void settle_trunk(Detector& detector, const SsdRecipe& recipe) {
  check_frozen(recipe);
  if (recipe.pretrained.empty()) return;
  nn::Module* trunk = detector.find("backbone");
  check(trunk != nullptr, "settle_trunk: the detector has no backbone");
  trunk->visit([](const std::string&, nn::Module& module) {
    if (auto* norm = dynamic_cast<nn::BatchNorm2d*>(&module)) {
      norm->frozen = true;
      norm->set_requires_grad(false);
    }
  });
  if (recipe.trunk == Trunk::frozen) trunk->set_requires_grad(false);
}

std::shared_ptr<Ssd> make_ssd_mobilenet(const SsdRecipe& recipe, const Dataset& train,
                                        const Preparation& preparation) {
  const auto model = std::dynamic_pointer_cast<Ssd>(
      make_detector(describe_ssd_mobilenet(recipe, train, preparation)));
  if (!recipe.pretrained.empty()) fill_from_face_trunk(*model->find("backbone"), recipe.pretrained);
  settle_trunk(*model, recipe);
  return model;
}

TrainingSummary train_ssd_mobilenet(Detector& detector, const SsdRecipe& recipe,
                                    const Preparation& preparation, const Dataset& train_set,
                                    const Dataset* validation, std::int64_t looks,
                                    const std::filesystem::path& out, bool resume,
                                    const ValidationHook& on_validation) {
  check_recipe(recipe);
  set_min_negatives(detector, recipe.min_negatives);
  const InMemory photos(train_set, {.resize = preparation.resize});
  const double trunk = recipe.pretrained.empty() ? 1 : recipe.trunk_rate / recipe.rate;
  nn::AdamW optimizer(detector,
                      {.rate = recipe.rate,
                       .beta2 = 0.99,
                       .weight_decay = recipe.weight_decay,
                       .groups = {{.pattern = "backbone[.].*[.]bias", .rate = trunk, .decay = 0},
                                  {.pattern = "backbone[.].*", .rate = trunk},
                                  {.pattern = ".*[.]bias", .decay = 0}}});
  TrainerOptions options = trainer_options(recipe, train_set.size(), out, resume, on_validation);
  options.validations = looks;
  return train(detector, optimizer, photos, recipe.augmentation(), preparation, options,
               validation);
}

}  // namespace boxgrad::detection
