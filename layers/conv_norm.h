#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "layers/batch_norm.h"
#include "layers/conv.h"
#include "layers/conv_batch_norm.h"
#include "layers/module.h"

namespace boxgrad::nn {

/// Convolution, batch norm, activation:
///
///   y = activation(batch_norm(x * w))
///
/// children "conv" (a Conv2d without bias: batch norm would take it away again) and "norm" (a
/// BatchNorm2d). Equals torchvision.ops.Conv2dNormActivation.
class ConvNorm : public Module {
 public:
  /// `conv.bias` and `conv.activation` are ignored: there is none, and it is norm.activation.
  ConvNorm(std::int64_t in_channels, std::int64_t out_channels, PerAxis kernel,
           const Conv2dOptions& conv, const BatchNormOptions& norm);
  /// With the batch's statistics the two are one op where that saves passes over memory
  /// (conv_batch_norm.h). With fixed statistics (frozen, or evaluation) batch norm is a line in
  /// each channel, and the convolution can draw it itself: s = weight / sqrt(running_var + eps),
  ///
  ///   y = activation(x * (w s) + (bias - running_mean s))
  ///
  /// with the gradients of that. In evaluation that is done for depthwise filters only: wide ones
  /// cost more to scale, in every pass, than it saves; fold_batch_norms() does it once. None of this
  /// happens when a child was replaced or an OutputTap asks for what is between them.
  Tensor forward(const Tensor& x) override;

  /// What conv2d_batch_norm() takes, if this module normalises with the batch's statistics and its
  /// children are still a Conv2d without bias and activation, and a BatchNorm2d.
  std::optional<ConvNormArguments> in_training() const;

  /// One convolution with a bias and the activation that computes what this module computes in
  /// evaluation mode: fold_batch_norm() of both.
  std::shared_ptr<Conv2d> folded() const;

 private:
  /// The children, if they are what they were made as; else null.
  struct Pair {
    const Conv2d* conv;
    const BatchNorm2d* norm;
    explicit operator bool() const { return conv != nullptr && norm != nullptr; }
  };
  Pair as_made() const;
  static Tensor frozen(const Tensor& x, const Conv2d& conv, const BatchNorm2d& norm);

  Child conv_, norm_;
};

/// pointwise(depthwise(x)) for two children of the module that is running: one op, in fewer passes
/// over memory (separable_batch_norm.h), where both are ConvNorms in training that it covers and no
/// OutputTap asks for one of them or for what is in it.
Tensor separable(const Tensor& x, const Child& depthwise, const Child& pointwise);

/// What stands between a convolution's sums and its activation.
enum class ConvTail {
  norm,  ///< batch norm, then the activation
  bias,  ///< a bias, then the activation: `norm` with its statistics folded in
  none,  ///< nothing at all, no activation either
};

/// A ConvNorm or a Conv2d. Either stands in the same place under the same name, so that a network
/// built with ConvTail::bias takes the weights of one with ConvTail::norm after
/// fold_batch_norms(). The activation is norm.activation in both.
std::shared_ptr<Module> make_conv(std::int64_t in_channels, std::int64_t out_channels,
                                  PerAxis kernel, Conv2dOptions conv, ConvTail tail,
                                  const BatchNormOptions& norm);

/// Puts folded() in the place of every ConvNorm below `model`: the same answers as in evaluation
/// mode, a pass over memory less per layer. For inference: what was learned about the statistics is
/// gone. Returns how many there were; throws std::invalid_argument when `model` itself is one.
int fold_batch_norms(Module& model);

}  // namespace boxgrad::nn
