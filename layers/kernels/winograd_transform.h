#pragma once

#include <array>

#include "core/scalar.h"

/// The matrices of Winograd's minimal filtering F(m, 3): m outputs of a 3-tap filter from m + 2
/// inputs with m + 2 multiplications instead of 3 m (Lavin and Gray, "Fast algorithms for
/// convolutional neural networks", 2016, sections 4.1 and 4.3; the names are theirs).
///
///   1-d:  y = A^T [ (G g) .* (B^T d) ]
///   2-d:  Y = A^T [ (G g G^T) .* (B^T d B) ] A
///
/// F(m, 3) evaluates the product of two polynomials at m + 1 points and at infinity: 0, 1, -1 for
/// m = 2, and 2, -2 besides for m = 4. Larger points mean larger numbers that cancel again, which
/// is why F(4, 3) loses one to two digits that F(2, 3) keeps.
namespace boxgrad::winograd {

template <std::size_t kRows, std::size_t kCols>
using Matrix = std::array<std::array<double, kCols>, kRows>;

template <std::size_t kRows, std::size_t kCols>
constexpr Matrix<kCols, kRows> transposed(const Matrix<kRows, kCols>& m) {
  Matrix<kCols, kRows> t{};
  for (std::size_t i = 0; i < kRows; ++i)
    for (std::size_t j = 0; j < kCols; ++j) t[j][i] = m[i][j];
  return t;
}

template <int m>
struct Matrices;

template <>
struct Matrices<2> {
  static constexpr Matrix<4, 4> kInput = {{{1, 0, -1, 0},  // B^T
                                           {0, 1, 1, 0},
                                           {0, -1, 1, 0},
                                           {0, 1, 0, -1}}};
  static constexpr Matrix<4, 3> kFilter = {{{1, 0, 0},  // G
                                            {0.5, 0.5, 0.5},
                                            {0.5, -0.5, 0.5},
                                            {0, 0, 1}}};
  static constexpr Matrix<2, 4> kOutput = {{{1, 1, 1, 0},  // A^T
                                            {0, 1, -1, -1}}};
};

template <>
struct Matrices<4> {
  static constexpr Matrix<6, 6> kInput = {{{4, 0, -5, 0, 1, 0},  // B^T
                                           {0, -4, -4, 1, 1, 0},
                                           {0, 4, -4, -1, 1, 0},
                                           {0, -2, -1, 2, 1, 0},
                                           {0, 2, -1, -2, 1, 0},
                                           {0, 4, 0, -5, 0, 1}}};
  static constexpr Matrix<6, 3> kFilter = {{{1. / 4, 0, 0},  // G
                                            {-1. / 6, -1. / 6, -1. / 6},
                                            {-1. / 6, 1. / 6, -1. / 6},
                                            {1. / 24, 1. / 12, 1. / 6},
                                            {1. / 24, -1. / 12, 1. / 6},
                                            {0, 0, 1}}};
  static constexpr Matrix<4, 6> kOutput = {{{1, 1, 1, 1, 1, 0},  // A^T
                                            {0, 1, -1, 2, -2, 0},
                                            {0, 1, 1, 4, 4, 0},
                                            {0, 1, -1, 8, -8, 1}}};
};

/// What a pass multiplies with from the left (and, transposed, from the right). The gradients go
/// through the transposed matrices: each step is linear, and its gradient is its adjoint.
template <int m>
struct Transforms {
  static constexpr auto kInput = Matrices<m>::kInput;                        // d -> B^T d B
  static constexpr auto kFilter = Matrices<m>::kFilter;                      // g -> G g G^T
  static constexpr auto kOutput = Matrices<m>::kOutput;                      // M -> A^T M A
  static constexpr auto kOutputGradient = transposed(Matrices<m>::kOutput);  // dY -> A dY A^T
  static constexpr auto kFilterGradient = transposed(Matrices<m>::kFilter);  // dU -> G^T dU G
};

/// sum over j of row i of the matrix times in[j * step]; terms that are 0 cost nothing.
template <const auto& kMatrix, std::size_t i, std::size_t j = 0, bool kStarted = false, class V>
inline void add_terms(V& sum, const V* in, std::size_t step) {
  if constexpr (j < kMatrix[i].size()) {
    constexpr Scalar factor = static_cast<Scalar>(kMatrix[i][j]);
    if constexpr (factor == 0) {
      add_terms<kMatrix, i, j + 1, kStarted>(sum, in, step);
    } else {
      const V& term = in[j * step];
      if constexpr (kStarted && factor == 1)
        sum += term;
      else if constexpr (kStarted && factor == -1)
        sum -= term;
      else if constexpr (kStarted)
        sum += term * factor;
      else if constexpr (factor == 1)
        sum = term;
      else
        sum = term * factor;
      add_terms<kMatrix, i, j + 1, true>(sum, in, step);
    }
  }
}

/// out = kMatrix in, for a column of values: in[j * step], out[i * step_out].
template <const auto& kMatrix, std::size_t i = 0, class V>
inline void multiply_column(const V* in, std::size_t step, V* out, std::size_t step_out) {
  if constexpr (i < kMatrix.size()) {
    add_terms<kMatrix, i>(out[i * step_out], in, step);
    multiply_column<kMatrix, i + 1>(in, step, out, step_out);
  }
}

/// out = kMatrix in kMatrix^T; `in` is a square of values, as is `out`, both by rows.
template <const auto& kMatrix, class V>
inline void transform_square(const V* in, V* out) {
  constexpr std::size_t kOut = kMatrix.size(), kIn = kMatrix[0].size();
  V half[kOut * kIn];  // kMatrix in
  for (std::size_t j = 0; j < kIn; ++j) multiply_column<kMatrix>(in + j, kIn, half + j, kIn);
  for (std::size_t i = 0; i < kOut; ++i)
    multiply_column<kMatrix>(half + i * kIn, 1, out + i * kOut, 1);
}

}  // namespace boxgrad::winograd
