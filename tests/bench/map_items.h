#pragma once

#include <vector>

#include "core/check.h"
#include "layers/activation.h"
#include "layers/batch_norm.h"
#include "layers/losses.h"
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
  // SSD300's boxes of 8 images over VOC's classes.
  for (const auto& [rows, classes] : {std::pair{8 * 8732, 21}, {512, 1000}})
    items.push_back(
        {concat("cross_entropy_", rows, "x", classes), [rows = rows, classes = classes] {
           std::vector<std::int64_t> labels;
           for (std::int64_t i = 0; i < rows; ++i) labels.push_back(i * 7 % classes);
           return layer({parameter({rows, classes})}, [labels](const std::vector<Tensor>& in) {
             return cross_entropy(in[0], labels);
           });
         }});
}

}  // namespace boxgrad::bench
