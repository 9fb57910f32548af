#pragma once

#include <cstdint>

#include "core/scalar.h"
#include "layers/kernels/simd.h"

namespace boxgrad {

/// Columns of a panel: two registers.
inline constexpr std::int64_t kPanel = 2 * kLanes;

/// A matrix inside memory: element (i, j) at data[i * row + j * col].
struct Strided {
  const Scalar* data;
  std::int64_t row, col;
};

/// C = A B, or C = C + A B, for one panel of B's columns:
///
///   c[i * c_row + j] (+)= sum over t < depth of a(i, t) * b[t * b_row + j],   j < kPanel
///
/// A tile of C, 14 rows by two registers, stays in the registers of an AVX-512 machine for the
/// whole sum, and each step multiplies 14 numbers of A with two registers of B: 28
/// multiply-adds for 16 loads. Nothing is copied into a layout of its own first, which is what a
/// general GEMM spends its time on when the matrices are small and used once; here whoever makes B
/// lays it out in panels. Each element is summed over t in order: the same bits for any division of
/// the rows.
///
/// With set_panel_gemm(PanelGemm::blas), or BOXGRAD_GEMM=blas in the environment, BLAS multiplies
/// instead, with the same results up to rounding: to compare, and for a CPU on which it is faster.
/// `a` must then be stored by rows or by columns (a.col or a.row is 1).
void panel_gemm(std::int64_t rows, std::int64_t depth, const Strided& a, const Scalar* b,
                std::int64_t b_row, Scalar* c, std::int64_t c_row, bool add);

enum class PanelGemm { own, blas };
PanelGemm panel_gemm_kernel();
void set_panel_gemm(PanelGemm kernel);

}  // namespace boxgrad
