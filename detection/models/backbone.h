#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"
#include "layers/module.h"

namespace boxgrad::detection {

/// A network that turns images [N, H, W, 3] into feature maps of several strides.
class Backbone : public nn::Module {
 public:
  /// The maps, finest first: [N, H_k, W_k, channels()[k]].
  virtual std::vector<Tensor> maps(const Tensor& images) = 0;
  virtual std::vector<std::int64_t> channels() const = 0;
};

}  // namespace boxgrad::detection
