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

/// Bytes of one vector register of the CPU that is compiled for: what gcc's and clang's
/// vector_size(kRegisterBytes) keeps in one register.
#if defined(__AVX512F__)
inline constexpr std::int64_t kRegisterBytes = 64;
#elif defined(__AVX__)
inline constexpr std::int64_t kRegisterBytes = 32;
#else
inline constexpr std::int64_t kRegisterBytes = 16;  // SSE, NEON
#endif

}  // namespace boxgrad
