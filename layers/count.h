#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/autograd.h"
#include "core/shape.h"
#include "layers/module.h"

namespace boxgrad::nn {

/// The multiply-adds of one op that ran forwards, as described at count_layers.
std::int64_t op_multiply_adds(const OpObserver::Op& op);

/// What one place in a model holds and computes.
struct LayerCount {
  std::string path;                ///< as in state_dict(), "" for the model itself
  std::string ops;                 ///< what ran there, e.g. "conv2d, relu"
  Shape output;                    ///< of the last of them; no axes when nothing ran
  std::int64_t parameters = 0;     ///< learned numbers held there, shared ones at their first place
  std::int64_t multiply_adds = 0;  ///< see count_layers
};

struct ModelCount {
  std::vector<LayerCount> layers;  ///< in the order in which they ran, then those that did not
  std::int64_t parameters = 0, multiply_adds = 0;
  std::string table() const;  ///< for people
};

/// Parameters and multiply-adds of every layer, by watching one run of the model:
///
///   conv2d, linear  elements of the output times weights per output channel
///   matmul          [M, K] x [K, N]: M K N
///
/// Everything else (biases, normalisation, activations, pooling) counts as 0, as in the tables of
/// papers: a thousandth of the arithmetic, though not of the time. One multiply-add is 2 FLOP.
///
/// `input` is the shape of the model's input, batch included. The model runs once on zeros, in
/// evaluation mode and without gradients; modes and running statistics are as before afterwards.
/// Equals the tables of Howard et al., "MobileNets", 2017 (569 M for 224 x 224).
ModelCount count_layers(Module& model, const Shape& input);

/// The same for a model that is not called with one tensor: `run` calls it.
ModelCount count_layers(Module& model, const std::function<void()>& run);

}  // namespace boxgrad::nn
