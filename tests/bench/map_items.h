#pragma once

#include <vector>

#include "core/check.h"
#include "layers/activation.h"
#include "layers/batch_norm.h"
#include "layers/pool.h"
#include "tests/bench/bench.h"

/// Layers that do next to no arithmetic: what is measured is how often they go through memory.
namespace boxgrad::bench {

inline void add_maps(std::vector<Item>& items) {
  struct Map {
    int batch, channels, h, w;
  };
  for (const Map& m :
       {Map{8, 64, 112, 112}, Map{8, 512, 14, 14}, Map{8, 64, 224, 224}, Map{2, 64, 600, 800}}) {
    const auto size = concat("_", m.batch, "x", m.channels, "x", m.h, "x", m.w);
    items.push_back({"batchnorm_train" + size, [=] {
                       return layer({parameter({m.batch, m.h, m.w, m.channels}),
                                     parameter({m.channels}), parameter({m.channels})},
                                    [mean = Tensor({m.channels}),
                                     var = Tensor({m.channels})](const std::vector<Tensor>& in) {
                                      return batch_norm(in[0], in[1], in[2], mean, var);
                                    });
                     }});
    items.push_back({"relu" + size, [=] {
                       return layer({parameter({m.batch, m.h, m.w, m.channels})},
                                    [](const std::vector<Tensor>& in) { return relu(in[0]); });
                     }});
    items.push_back({"maxpool2" + size, [=] {
                       return layer(
                           {parameter({m.batch, m.h, m.w, m.channels})},
                           [](const std::vector<Tensor>& in) { return max_pool2d(in[0], 2); });
                     }});
  }
}

}  // namespace boxgrad::bench
