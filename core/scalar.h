#pragma once

#include <cstdint>

namespace boxgrad {

/// The one element type of every Tensor: float, or double when built with -DBOXGRAD_DOUBLE.
/// Training runs in float; the double build exists so that a finite-difference gradient check
/// leaves no doubt (rounding then sits ten digits below the tolerance).
#ifdef BOXGRAD_DOUBLE
using Scalar = double;
#else
using Scalar = float;
#endif

}  // namespace boxgrad
