#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "detection/training/dense_recipe.h"
#include "detection/training/photo_fit.h"
#include "detection/training/region_recipe.h"
#include "detection/training/ssd_recipe.h"
#include "detection/training/trainer.h"

namespace boxgrad {
class JsonFields;
}

namespace boxgrad::detection {

/// All settings of a recipe but where it starts from, as JSON; keys as the fields are called.
void recipe_fields(JsonFields& io, SsdRecipe& recipe);
void recipe_fields(JsonFields& io, RegionRecipe& recipe);
void recipe_fields(JsonFields& io, DenseRecipe& recipe);

/// What a training must agree on with the checkpoint that it goes on from (TrainerOptions::config):
/// every setting of the recipe, and how many images it learns from.
std::string resume_config(const SsdRecipe& recipe, std::int64_t images);
std::string resume_config(const RegionRecipe& recipe, std::int64_t images);
std::string resume_config(const DenseRecipe& recipe, std::int64_t images);

/// What every recipe tells the trainer in the same way: its settings of that name, warm_cosine() and
/// resume_config(). How often to look at the validation photos is left to the caller.
template <class Recipe>
TrainerOptions trainer_options(const Recipe& recipe, std::int64_t images,
                               const std::filesystem::path& out, bool resume,
                               const ValidationHook& on_validation) {
  TrainerOptions options;
  options.iterations = recipe.iterations;
  options.minutes = recipe.minutes;
  options.batch_size = recipe.batch_size;
  options.seed = recipe.seed;
  options.schedule = warm_cosine;
  options.average_decay = recipe.average_decay;
  options.checkpoint_every = recipe.checkpoint_every;
  options.checkpoint_seconds = recipe.checkpoint_seconds;
  options.out = out;
  options.resume = resume;
  options.config = resume_config(recipe, images);
  options.on_validation = on_validation;
  options.validations_behind = 1;  // for the figures of the end
  return options;
}

}  // namespace boxgrad::detection
