#pragma once

#include <cstdint>

#include "layers/module.h"

namespace boxgrad::nn {

/// A running mean of a module's parameters and buffers over the steps of a training:
///
///   a += (1 - d) (w - a),   d = min(decay, (1 + t) / (10 + t)) in step t
///
/// (the smaller d of the first steps lets the random start be forgotten). The mean of the weights
/// along a noisy path lies closer to the middle of the valley than its last point; detectors gain
/// one or two points of AP by it, at the cost of one pass over the weights per step.
///
/// Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992.
class WeightAverage {
 public:
  /// decay 0 switches it off: every call does nothing.
  WeightAverage(Module& module, double decay);

  void update(std::int64_t step);

  /// Exchanges the module's numbers with the mean; a second call puts them back.
  void swap();

  /// The mean, copied; empty when switched off.
  StateDict state_dict() const;
  void load_state_dict(const StateDict& state);

 private:
  Module& module_;
  double decay_;
  StateDict average_;
};

}  // namespace boxgrad::nn
