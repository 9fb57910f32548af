#pragma once

#include <cstdint>

#include "core/scalar.h"
#include "layers/activation.h"

/// The loops of batch normalisation over `rows` positions of `channels` neighbouring numbers. Each
/// takes one block of rows and walks it in bands of a few, a vector of channels after the other:
/// within a band the channels' constants and sums stay in registers, and its rows are no more
/// streams than a CPU fetches ahead of. (A whole block column by column would save the reloading,
/// and touch a line in each of hundreds of rows.) Plain numbers; the callers cut blocks and check.
namespace boxgrad::kernels {

/// What turns x into y, per channel: y = activation(scale x + shift), xh = inv_std (x - mean).
struct ChannelAffine {
  const Scalar *scale, *shift, *mean;
};

/// first[c] = sum of (x - origin[c]), second[c] = sum of (x - origin[c])^2.
void moment_sums(const Scalar* x, const Scalar* origin, std::int64_t rows, std::int64_t channels,
                 Scalar* first, Scalar* second);

/// y = activation(scale x + shift).
void affine_forward(Activation activation, const Scalar* x, const ChannelAffine& affine,
                    std::int64_t rows, std::int64_t channels, Scalar* y);

/// With g = dy activation'(scale x + shift): first[c] = sum of g, second[c] = sum of g (x - mean).
void gradient_sums(Activation activation, const Scalar* x, const Scalar* dy,
                   const ChannelAffine& affine, std::int64_t rows, std::int64_t channels,
                   Scalar* first, Scalar* second);

/// dx = a g + b x + d, or dx += that when beta is 1. b and d may be null, for 0: then x is read for
/// the activation's mask alone, and nothing of it gets into dx.
void affine_backward(Activation activation, const Scalar* x, const Scalar* dy,
                     const ChannelAffine& affine, const Scalar* a, const Scalar* b, const Scalar* d,
                     std::int64_t rows, std::int64_t channels, Scalar beta, Scalar* dx);

}  // namespace boxgrad::kernels
