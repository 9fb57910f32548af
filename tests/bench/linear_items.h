#pragma once

#include <vector>

#include "core/check.h"
#include "layers/linear.h"
#include "tests/bench/bench.h"

/// VGG16's fully connected layers, whole and as two thin ones (Fast R-CNN's truncated SVD), for one
/// image, a minibatch of regions and all proposals of an image.
namespace boxgrad::bench {

inline void add_linear(std::vector<Item>& items) {
  struct Layer {
    const char* name;
    int in, out, rank;
  };
  for (const int rows : {1, 128, 2000})
    for (const Layer& l : {Layer{"fc6", 25088, 4096, 1024}, Layer{"fc7", 4096, 4096, 256}}) {
      items.push_back(
          {concat(l.name, "_", l.in, "x", l.out, "_r", rows), [=] {
             return layer(
                 {parameter({rows, l.in}), parameter({l.in, l.out}), parameter({l.out})},
                 [](const std::vector<Tensor>& in) { return linear(in[0], in[1], in[2]); });
           }});
      items.push_back({concat(l.name, "_svd", l.rank, "_r", rows), [=] {
                         return layer({parameter({rows, l.in}), parameter({l.in, l.rank}),
                                       parameter({l.rank, l.out}), parameter({l.out})},
                                      [](const std::vector<Tensor>& in) {
                                        return linear(linear(in[0], in[1]), in[2], in[3]);
                                      });
                       }});
    }
}

}  // namespace boxgrad::bench
