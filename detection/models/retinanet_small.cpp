#include "detection/models/retinanet_small.h"

#include "core/check.h"
#include "detection/models/fpn.h"
#include "detection/models/separable_net.h"

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
  return std::make_shared<RetinaNet>(
      std::make_shared<Fpn>(std::make_shared<SeparableNet>(net),
                            FpnOptions{.channels = options.channels, .extra_levels = 0}),
      options.retina);
}

}  // namespace boxgrad::detection
