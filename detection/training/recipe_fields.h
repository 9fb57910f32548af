#pragma once

#include <cstdint>
#include <string>

#include "detection/training/dense_recipe.h"
#include "detection/training/region_recipe.h"
#include "detection/training/ssd_recipe.h"

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

}  // namespace boxgrad::detection
