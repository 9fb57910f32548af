#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "layers/conv.h"
#include "layers/kernels/winograd.h"
#include "layers/module.h"

namespace boxgrad::nn {

/// A Conv2d whose numbers never change again: what follows from them alone is computed once. For
/// Winograd's algorithm those are the transformed filters, a third of the time of a layer with 512
/// channels and a small map; they take 4 times the memory of the filters for tiles of 4x4 and 1.8
/// times for 2x2, beside them.
///
/// Its filters are copies that nobody else can reach, and no parameters: they cannot be trained,
/// loaded or saved. A gradient flows through to x as ever. forward() throws as conv2d does.
class FrozenConv2d : public Module {
 public:
  explicit FrozenConv2d(const Conv2d& conv);
  Tensor forward(const Tensor& x) override;

 private:
  Conv2dOptions options_;
  Tensor weight_, bias_;
  std::mutex mutex_;
  std::map<int, WinogradFilters> filters_;  ///< by size of the tiles
};

/// Turns a trained network into one that only answers: evaluation mode, fold_batch_norms(), and a
/// FrozenConv2d in the place of every Conv2d that Winograd's algorithm may compute. The same
/// answers up to rounding. Not to be trained, saved or loaded into afterwards: do all that before.
/// Throws std::invalid_argument when `model` itself is a ConvNorm or a Conv2d.
void prepare_for_inference(Module& model);

}  // namespace boxgrad::nn
