#pragma once

#include <vector>

#include "layers/optimizer.h"

namespace boxgrad::nn {

/// Whether the learning rate enters the velocity (Caffe) or multiplies it (PyTorch). The same
/// thing until the rate changes: then Caffe's velocity still carries the old rate for about
/// 1 / (1 - momentum) steps.
enum class Velocity { torch, caffe };

struct SGDOptions {
  double rate = 0.01;  ///< the base learning rate
  double momentum = 0;
  double weight_decay = 0;
  bool nesterov = false;
  Velocity velocity = Velocity::torch;
  int accumulate = 1;  ///< calls of step() per update, see Optimizer
  std::vector<ParameterGroup> groups = {};
};

/// Stochastic gradient descent with momentum m, weight decay c and rate r:
///
///   d = g + c w
///   torch:  v = m v + d,    w -= r v           nesterov: w -= r (d + m v)
///   caffe:  v = m v + r d,  w -= v             nesterov: w -= r d + m v
///
/// where g is the mean of the accumulated gradients, clipped by its group. State: "velocity", none
/// when m = 0. Throws std::invalid_argument for a rate or decay < 0, a momentum outside [0, 1),
/// nesterov without momentum, and a group that matches nothing.
///
/// Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.
/// Equals torch.optim.SGD; with Velocity::caffe, Caffe's SGDSolver and NesterovSolver.
class SGD : public Optimizer {
 public:
  SGD(const StateDict& parameters, const SGDOptions& options);
  SGD(const Module& module, const SGDOptions& options) : SGD(module.parameters(), options) {}

 protected:
  std::vector<Tensor> initial_state(const Tensor& parameter) const override;
  void update(Slot& slot, const Factors& factors) override;

 private:
  SGDOptions options_;
};

}  // namespace boxgrad::nn
