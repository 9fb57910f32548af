#include "detection/models/retinanet_small.h"

#include <cmath>
#include <string>

#include "core/check.h"
#include "detection/models/fpn.h"
#include "detection/models/separable_net.h"
#include "layers/conv.h"
#include "layers/init.h"

namespace boxgrad::detection {

std::shared_ptr<RetinaNet> make_retinanet_small(RetinaNetSmallOptions options) {
  check(options.sides.size() == 4, "make_retinanet_small: sides must be 4, two a level, got ",
        options.sides.size());
  const SeparableNetOptions net{
      .stages = {{.channels = 32, .stride = 2},
                 {.channels = 48},
                 {.channels = 96, .blocks = 3, .stride = 2, .output = true},
                 {.channels = 128, .blocks = 2, .stride = 2, .output = true}}};
  options.retina.levels.clear();
  for (std::size_t level = 0; level < 2; ++level)
    options.retina.levels.push_back(
        {.sizes = ratio_box_sizes({options.sides[2 * level], options.sides[2 * level + 1]},
                                  options.ratios),
         .stride_px = static_cast<Scalar>(8 << level)});
  const auto model = std::make_shared<RetinaNet>(
      std::make_shared<Fpn>(std::make_shared<SeparableNet>(net),
                            FpnOptions{.channels = options.channels, .extra_levels = 0}),
      options.retina);
  start_as_loud(*model, options.channels);
  return model;
}

void start_as_loud(RetinaNet& model, std::int64_t channels) {
  const double deviation = 0.01 * std::sqrt(256. / static_cast<double>(channels));
  model.visit([&](const std::string& path, nn::Module& module) {
    if (auto* conv = dynamic_cast<nn::Conv2d*>(&module); conv && !path.starts_with("backbone"))
      nn::init::gaussian(conv->weight, deviation);
  });
}

}  // namespace boxgrad::detection
