#include "detection/training/small_recipe.h"

#include <algorithm>

#include "layers/schedule.h"

namespace boxgrad::detection {

Preparation SmallRecipe::preparation() const {
  return {.batch = {.mean = {0.35, 0.35, 0.35}, .std = {0.25, 0.25, 0.25}}};
}

nn::AdamWOptions SmallRecipe::optimizer() const {
  nn::AdamWOptions options{.rate = rate, .beta2 = 0.99, .weight_decay = 0.01};
  if (trunk_factor != 1)
    options.groups = {{.pattern = "backbone\\.body\\..*\\.bias", .rate = trunk_factor, .decay = 0},
                      {.pattern = "backbone\\.body\\..*", .rate = trunk_factor}};
  options.groups.push_back({.pattern = ".*\\.bias", .decay = 0});
  return options;
}

TrainerOptions SmallRecipe::training() const {
  return {.iterations = iterations,
          .batch_size = batch_size,
          .seed = seed,
          .schedule =
              [](std::int64_t n) {
                const std::int64_t warm = std::max<std::int64_t>(1, n / 20);
                return nn::warm_up(warm, 0) * nn::cosine(warm, std::max(n, warm + 1));
              },
          .clip_norm = clip_norm,
          .average_decay = 0.99,
          .checkpoint_every = 0};
}

}  // namespace boxgrad::detection
