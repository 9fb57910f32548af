#include "detection/training/recipe_fields.h"

#include <limits>

#include "core/json_fields.h"

namespace boxgrad::detection {

namespace {

template <class Recipe>
void common_fields(JsonFields& io, Recipe& r) {
  io.integer("longer_px", r.longer_px, 32, 8192);
  io.boolean("vertical_flips", r.vertical_flips);
  io.integer("anchor_sides", r.anchor_sides, 2, 64);
  io.number("nms_iou", r.nms_iou, 0, 1);
  io.integer("iterations", r.iterations, 1, std::int64_t{1} << 40);
  io.number("minutes", r.minutes, 0, 1e6);
  io.integer("batch_size", r.batch_size, 1, 4096);
  io.number("rate", r.rate, 1e-9, 10);
  io.number("weight_decay", r.weight_decay, 0, 10);
  io.number("average_decay", r.average_decay, 0, 1);
  io.integer("seed", r.seed, 0, std::numeric_limits<std::int64_t>::max());
  // Runs from before these two existed have the default of then, which is that of now.
  if (io.has("checkpoint_every"))
    io.integer("checkpoint_every", r.checkpoint_every, 0, std::int64_t{1} << 40);
  if (io.has("checkpoint_seconds")) io.number("checkpoint_seconds", r.checkpoint_seconds, 0, 1e9);
}

/// Runs of the time before there was a choice do not name it.
template <class Recipe>
void picture_fields(JsonFields& io, Recipe& r) {
  if (io.has("augmentation")) {
    std::string changes = augmentation_name(r.changes);
    io.text("augmentation", changes);
    r.changes = augmentation_named(changes);
  }
  io.number("crop_chance", r.crop_chance, 0, 1);
  io.number("brightness", r.brightness, 0, 1);
  io.number("contrast", r.contrast, 0, 1);
}

/// Where it is missing, the recipe's own value stays: that of its time, see run_folder.cpp.
template <class Recipe>
void mining_fields(JsonFields& io, Recipe& r) {
  if (io.has("min_negatives")) io.integer("min_negatives", r.min_negatives, 0, 1 << 20);
}

/// `own` writes what only one kind of recipe has.
template <class Recipe, class Own>
std::string whole_config(Recipe recipe, std::int64_t images, Own own) {
  // How often a checkpoint is written changes no bit: a resumed run may do it otherwise.
  recipe.checkpoint_every = Recipe().checkpoint_every;
  recipe.checkpoint_seconds = Recipe().checkpoint_seconds;
  return write_json([&](JsonFields& io) {
    own(io, recipe);
    recipe_fields(io, recipe);
    io.integer("images", images, 0, std::numeric_limits<std::int64_t>::max());
  });
}

}  // namespace

void recipe_fields(JsonFields& io, SsdRecipe& r) {
  common_fields(io, r);
  picture_fields(io, r);
  mining_fields(io, r);
  io.number("trunk_rate", r.trunk_rate, 1e-9, 1e3);
  bool frozen = r.trunk == Trunk::frozen;
  io.boolean("frozen_trunk", frozen);
  r.trunk = frozen ? Trunk::frozen : Trunk::tuned;
}

void recipe_fields(JsonFields& io, RegionRecipe& r) {
  common_fields(io, r);
  // Runs of the time when photos were only mirrored do not name these.
  if (io.has("crop_chance")) io.number("crop_chance", r.crop_chance, 0, 1);
  if (io.has("brightness")) io.number("brightness", r.brightness, 0, 1);
  if (io.has("contrast")) io.number("contrast", r.contrast, 0, 1);
  io.integer("channels", r.channels, 1, 4096);
  io.integer("blocks", r.blocks, 1, 256);
  io.integer("pool", r.pool, 1, 64);
  io.integer("hidden", r.hidden, 1, 1 << 16);
  io.integer("proposals", r.proposals, 1, 1 << 16);
  io.integer("regions", r.regions, 1, 1 << 16);
}

void recipe_fields(JsonFields& io, DenseRecipe& r) {
  common_fields(io, r);
  picture_fields(io, r);
  if (!r.focal) {
    mining_fields(io, r);
    return;
  }
  // Runs of format 1 have it under another name (run_folder.cpp).
  if (io.has("trunk_factor")) io.number("trunk_factor", r.trunk_factor, 1e-9, 1e3);
  io.integer("channels", r.channels, 1, 1 << 16);
  io.integer("tower_depth", r.tower_depth, 0, 64);
}

std::string resume_config(const SsdRecipe& recipe, std::int64_t images) {
  return whole_config(recipe, images, [](JsonFields& io, const SsdRecipe& r) {
    std::string pretrained = r.pretrained.string();
    io.text("pretrained", pretrained);
  });
}

std::string resume_config(const RegionRecipe& recipe, std::int64_t images) {
  return whole_config(recipe, images, [](JsonFields& io, RegionRecipe& r) {
    io.boolean("own_proposals", r.own_proposals);
  });
}

std::string resume_config(const DenseRecipe& recipe, std::int64_t images) {
  return whole_config(recipe, images,
                      [](JsonFields& io, DenseRecipe& r) { io.boolean("focal", r.focal); });
}

}  // namespace boxgrad::detection
