#pragma once

#include <cstdint>

#include "core/scalar.h"
#include "layers/activation.h"

namespace boxgrad {

/// What follows the sums of a layer: y = activation(y + bias), in place, on rows of `channels`
/// numbers. Kernels apply it to a block of the output while that block is in cache, which saves a
/// whole pass over memory for the bias and another for the activation.
struct BiasActivation {
  const Scalar* bias = nullptr;  ///< [channels], or null for none
  Activation activation = Activation::none;

  bool empty() const { return bias == nullptr && activation == Activation::none; }
  void apply(Scalar* y, std::int64_t rows, std::int64_t channels) const;
};

/// The way back, in one pass over dy:
///
///   dz[r, c] = dy[r, c] * activation'(y[r, c])    (the slope follows from the output)
///   db[c]    = beta db[c] + sum over r of dz[r, c]
///
/// y may be null when the activation is none, dz null when it is not wanted (no activation: it
/// would equal dy), db null when there is no bias. db is added up from partial sums over fixed
/// blocks of rows: the same bits for any number of threads.
void bias_activation_gradient(Activation activation, const Scalar* dy, const Scalar* y,
                              std::int64_t rows, std::int64_t channels, Scalar* dz, Scalar beta,
                              Scalar* db);

}  // namespace boxgrad
