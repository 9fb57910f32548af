#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "core/scalar.h"

namespace boxgrad::kernels {

/// e^x that a compiler can vectorise: no call, no table, no branch. std::exp is one call per
/// element, which made it most of the time of softmax and sigmoid.
///
///   x = n ln 2 + r with integer n, |r| <= ln(2) / 2;   e^x = 2^n e^r
///
/// e^r is its Taylor polynomial of degree 7 (remainder below 5e-9), 2^n is written into the
/// exponent bits. Relative error below 1.5e-7 (a little over one float rounding); 0 below -104
/// (denormal results where flush-to-zero is off), infinity above 88.73, NaN for NaN.
inline float fast_exp(float x) {
  x = x < -104.0f ? -104.0f : x;
  x = x > 89.0f ? 89.0f : x;
  // Adding 1.5 * 2^23 leaves no bits behind the point, so the sum ends in round(x / ln 2).
  constexpr float kRound = 12582912.0f;
  const float shifted = x * 1.44269504088896341f + kRound;
  const float n = shifted - kRound;
  // ln 2 in two parts: n * 0.693359375 is exact, as that constant has 9 significant bits.
  const float r = (x - n * 0.693359375f) + n * 2.12194440054690583e-4f;
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 1.0f / 2;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  // 2^n in two factors: n reaches 128 and -150, and one float's exponent ends at 127 and -126.
  const std::uint32_t bits =
      std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(kRound);
  const std::int32_t whole = static_cast<std::int32_t>(bits), half = whole >> 1;
  const float a = std::bit_cast<float>(static_cast<std::uint32_t>(half + 127) << 23);
  const float b = std::bit_cast<float>(static_cast<std::uint32_t>(whole - half + 127) << 23);
  return p * a * b;
}

/// In double, where gradients are checked and speed does not matter, the library's.
inline double fast_exp(double x) { return std::exp(x); }

}  // namespace boxgrad::kernels
