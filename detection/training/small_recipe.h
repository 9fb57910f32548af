#pragma once

#include <cstdint>

#include "detection/data/preparation.h"
#include "detection/training/trainer.h"
#include "layers/adamw.h"

namespace boxgrad::detection {

/// How small dense detectors (RetinaNetSmall, SsdSmall) learn FashionScenes in a minute: lesson
/// 05's recipe as data. AdamW with beta2 = 0.99 and decay 0.01 except on biases; the rate rises for
/// a twentieth of the steps and then falls to 0 like a cosine; the weights are averaged.
///
///   const SmallRecipe recipe{.iterations = 1500};
///   nn::AdamW optimizer(*model, recipe.optimizer());
///   train(*model, optimizer, scenes, {}, recipe.preparation(), recipe.training());
struct SmallRecipe {
  std::int64_t iterations = 1500, batch_size = 8;
  double rate = 0.003;
  /// Times that, for "backbone.body", the trunk under a pyramid, which has batch norm; the subnets
  /// on top have none and lose their ReLUs at such rates. 1 for detectors without a pyramid.
  double trunk_factor = 6;
  double clip_norm = 0;  ///< if > 0: gradients are scaled down to this length
  std::uint64_t seed = 0;

  Preparation preparation() const;  ///< mean 0.35 and deviation 0.25, FashionScenes' own
  nn::AdamWOptions optimizer() const;
  TrainerOptions training() const;  ///< nothing is written, validated once at the end
};

}  // namespace boxgrad::detection
