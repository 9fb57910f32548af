#include "detection/training/ssd_recipe.h"

#include <array>
#include <cmath>
#include <vector>

#include "core/check.h"
#include "detection/data/in_memory.h"
#include "detection/data/transforms.h"
#include "detection/models/face_trunk.h"
#include "detection/models/mobilenet_v1.h"
#include "detection/training/photo_fit.h"
#include "layers/adamw.h"
#include "layers/batch_norm.h"

namespace boxgrad::detection {

namespace {

struct Map {
  const char* layer;
  Scalar stride_px, largest_px;  ///< of the anchors' sides
};
constexpr std::array kMaps{Map{"block5", 8, 40}, Map{"block11", 16, 96}, Map{"block13", 32, 1e9}};

void check_recipe(const SsdRecipe& r) {
  check(r.rate > 0 && r.trunk_rate > 0, "SsdRecipe: rate and trunk_rate must be > 0, got ", r.rate,
        " and ", r.trunk_rate);
  check(r.crop_chance >= 0 && r.crop_chance <= 1, "SsdRecipe: crop_chance must be in [0, 1], got ",
        r.crop_chance);
}

/// The steps of augmentation, all of which leave a picture at the size that it has.
Transform augmentation(const SsdRecipe& recipe) {
  const Transform crop = [chance = recipe.crop_chance](Sample sample, Random& random) {
    if (!random.bernoulli(chance)) return sample;
    return resize(random_crop(sample, random), sample.image.width(), sample.image.height());
  };
  const Transform light = [b = recipe.brightness, c = recipe.contrast](Sample sample,
                                                                       Random& random) {
    return jitter_brightness_contrast(sample, random, b, c);
  };
  return chain({random_flips(recipe.vertical_flips), crop, light});
}

}  // namespace

Preparation ssd_preparation(const SsdRecipe& recipe, const Dataset& train) {
  Preparation preparation = photo_preparation(train, recipe.longer_px, 32);
  if (!recipe.pretrained.empty()) preparation.batch.mean = preparation.batch.std = {.5, .5, .5};
  return preparation;
}

std::shared_ptr<Ssd> make_ssd_mobilenet(const SsdRecipe& recipe, const Dataset& train,
                                        const Preparation& preparation) {
  check_recipe(recipe);
  SsdOptions options{.num_classes = static_cast<std::int64_t>(train.class_names().size())};
  options.postprocess.nms_iou = recipe.nms_iou;
  std::array<AnchorLevel, kMaps.size()> levels;
  for (const BoxSize& size : fitting_anchors(train, preparation, recipe.anchor_sides, true)) {
    std::size_t k = 0;
    while (std::sqrt(size.width * size.height) > kMaps[k].largest_px) ++k;
    levels[k].sizes.push_back(size);
  }
  std::vector<std::string> outputs;
  for (std::size_t k = 0; k < kMaps.size(); ++k)
    if (!levels[k].sizes.empty()) {
      levels[k].stride_px = kMaps[k].stride_px;
      options.levels.push_back(levels[k]);
      outputs.push_back(kMaps[k].layer);
    }
  std::shared_ptr<MobileNetV1> trunk;
  if (recipe.pretrained.empty()) {
    trunk = std::make_shared<MobileNetV1>(MobileNetV1Options{.outputs = outputs});
  } else {
    trunk = load_face_trunk(recipe.pretrained, outputs);
    trunk->visit([](const std::string&, nn::Module& module) {
      if (auto* norm = dynamic_cast<nn::BatchNorm2d*>(&module)) {
        norm->frozen = true;
        norm->set_requires_grad(false);
      }
    });
    if (recipe.trunk == Trunk::frozen) trunk->set_requires_grad(false);
  }
  return std::make_shared<Ssd>(trunk, options);
}

TrainingSummary train_ssd_mobilenet(Detector& detector, const SsdRecipe& recipe,
                                    const Preparation& preparation, const Dataset& train_set,
                                    const Dataset* validation, std::int64_t looks,
                                    const std::filesystem::path& out, bool resume) {
  check_recipe(recipe);
  const InMemory photos(train_set, {.resize = preparation.resize});
  const double trunk = recipe.pretrained.empty() ? 1 : recipe.trunk_rate / recipe.rate;
  nn::AdamW optimizer(detector,
                      {.rate = recipe.rate,
                       .beta2 = 0.99,
                       .weight_decay = recipe.weight_decay,
                       .groups = {{.pattern = "backbone[.].*[.]bias", .rate = trunk, .decay = 0},
                                  {.pattern = "backbone[.].*", .rate = trunk},
                                  {.pattern = ".*[.]bias", .decay = 0}}});
  const TrainerOptions options{
      .iterations = recipe.iterations,
      .minutes = recipe.minutes,
      .batch_size = recipe.batch_size,
      .seed = recipe.seed,
      .schedule = warm_cosine,
      .average_decay = recipe.average_decay,
      .validations = looks,
      .out = out,
      .resume = resume,
      .config = concat("{\"pretrained\": ", recipe.pretrained.empty() ? "false" : "true",
                       ", \"longer_px\": ", recipe.longer_px, ", \"vertical_flips\": ",
                       recipe.vertical_flips, ", \"batch_size\": ", recipe.batch_size,
                       ", \"rate\": ", recipe.rate, ", \"trunk_rate\": ", recipe.trunk_rate,
                       ", \"seed\": ", recipe.seed, ", \"images\": ", train_set.size(), "}")};
  return train(detector, optimizer, photos, augmentation(recipe), preparation, options, validation);
}

}  // namespace boxgrad::detection
