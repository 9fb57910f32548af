#pragma once

#include <memory>
#include <utility>

#include "core/tensor.h"
#include "layers/activation.h"
#include "layers/module.h"

namespace boxgrad {

struct BatchNormOptions {
  Scalar eps = Scalar(1e-5);
  Scalar momentum = Scalar(0.1);             ///< running = (1 - momentum) running + momentum batch
  Activation activation = Activation::none;  ///< applied in the same pass over memory
};

/// Batch normalisation of every channel, with the statistics of this batch:
///
///   mu = mean of x over all positions,   v = mean of (x - mu)^2,   xh = (x - mu) / sqrt(v + eps)
///   y  = activation(weight xh + bias)
///
///   g  = dy activation'(y),   db = sum g,   dw = sum g xh      (sums over the M positions)
///   dx = weight / sqrt(v + eps) (g - db / M - xh dw / M)
///
/// x             [..., C], e.g. [N, H, W, C]; at least 2 positions
/// weight, bias  [C]
/// running_*     [C], moved towards mu and the unbiased variance v M / (M - 1)
/// throws        std::invalid_argument when shapes do not fit or there are fewer than 2 positions
///
/// Ioffe and Szegedy, "Batch Normalization", ICML 2015, algorithm 1. Equals
/// torch.nn.functional.batch_norm(training=True), then the activation.
Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor running_mean,
                  Tensor running_var, const BatchNormOptions& options = {});

/// The same with fixed statistics: y = activation(weight (x - mean) / sqrt(var + eps) + bias), and
/// dx = g weight / sqrt(var + eps). Equals batch_norm(training=False).
Tensor batch_norm_frozen(const Tensor& x, const Tensor& weight, const Tensor& bias,
                         const Tensor& mean, const Tensor& var,
                         const BatchNormOptions& options = {});

namespace nn {

/// Batch normalisation with its learned scale and offset and its running statistics, under
/// PyTorch's names. train() uses the batch's statistics and moves the running ones; eval() uses the
/// running ones. `frozen` uses the running ones in training, too: for fine-tuning a network that
/// somebody else trained, whose statistics a small batch would only spoil.
class BatchNorm2d : public Module {
 public:
  explicit BatchNorm2d(std::int64_t channels, const BatchNormOptions& options = {});
  Tensor forward(const Tensor& x) override;

  bool frozen = false;
  bool uses_batch_statistics() const { return is_training() && !frozen; }
  const BatchNormOptions& options() const { return options_; }

 private:
  BatchNormOptions options_;

 public:
  Tensor weight, bias, running_mean, running_var;  ///< [C] each
};

/// A convolution's filters and bias with a following BatchNorm2d in eval mode multiplied in:
///
///   s = bn.weight / sqrt(bn.running_var + eps)
///   w'[kh, kw, ci, co] = w[kh, kw, ci, co] s[co],   b'[co] = (b[co] - running_mean[co]) s[co] +
///   bn.bias[co]
///
/// weight [KH, KW, C_in / groups, C_out]; bias [C_out] or undefined. The activation of `bn` is the
/// caller's to apply.
std::pair<Tensor, Tensor> fold_batch_norm(const Tensor& weight, const Tensor& bias,
                                          const BatchNorm2d& bn);

}  // namespace nn
}  // namespace boxgrad
