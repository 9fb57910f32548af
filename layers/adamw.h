#pragma once

#include <vector>

#include "layers/optimizer.h"

namespace boxgrad::nn {

struct AdamWOptions {
  double rate = 1e-3;    ///< the base learning rate
  double beta1 = 0.9;    ///< memory of the mean of the gradients
  double beta2 = 0.999;  ///< memory of the mean of their squares
  double epsilon = 1e-8;
  double weight_decay = 1e-2;
  int accumulate = 1;  ///< calls of step() per update, see Optimizer
  std::vector<ParameterGroup> groups = {};
};

/// Adam with decoupled weight decay c, in step t = 1, 2, ... of a parameter, at rate r:
///
///   w -= r c w
///   m = beta1 m + (1 - beta1) g,    v = beta2 v + (1 - beta2) g^2
///   w -= r (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
///
/// State: "mean" m, "square" v, "step" t (shape [1]). Throws std::invalid_argument for options
/// outside their range and for a group that matches nothing.
///
/// Loshchilov, Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2.
/// Equals torch.optim.AdamW.
class AdamW : public Optimizer {
 public:
  AdamW(const StateDict& parameters, const AdamWOptions& options);
  AdamW(const Module& module, const AdamWOptions& options) : AdamW(module.parameters(), options) {}

 protected:
  std::vector<Tensor> initial_state(const Tensor& parameter) const override;
  void update(Slot& slot, const Factors& factors) override;

 private:
  AdamWOptions options_;
};

}  // namespace boxgrad::nn
