#include "layers/kernels/packed_gemm.h"

#include <algorithm>

#include "core/parallel.h"

namespace boxgrad {

namespace {

/// Depth that is multiplied at a time: a panel of it, 32 KiB of floats, stays in the L1 cache while
/// the tiles of rows go by.
constexpr std::int64_t kDepth = 256;

/// Rows that go through all of b together: whole tiles of 14 or of 6 rows.
constexpr std::int64_t kRows = 84;

}  // namespace

PackedMatrix::PackedMatrix(std::int64_t depth, std::int64_t columns, const Strided& b)
    : depth_(depth),
      columns_(columns),
      memory_((columns + kPanel - 1) / kPanel * kPanel * depth),
      data_(memory_.data()) {
  Scalar* to = memory_.data();
  // Pieces of 64 rows of a panel, so that a transposed source is read in whole cache lines.
  const std::int64_t pieces = (depth + 63) / 64;
  parallel_for(panels() * pieces, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t p = task / pieces, first = task % pieces * 64;
      const std::int64_t last = std::min(first + 64, depth);
      const std::int64_t count = std::min(kPanel, columns - p * kPanel);
      const Scalar* from = b.data + p * kPanel * b.col;
      Scalar* panel = to + p * depth * kPanel;
      if (count < kPanel) std::fill(panel + first * kPanel, panel + last * kPanel, Scalar{0});
      if (b.col == 1)
        for (std::int64_t i = first; i < last; ++i)
          std::copy_n(from + i * b.row, count, panel + i * kPanel);
      else
        for (std::int64_t j = 0; j < count; ++j)
          for (std::int64_t i = first; i < last; ++i)
            panel[i * kPanel + j] = from[i * b.row + j * b.col];
    }
  });
}

void packed_gemm(std::int64_t rows, const Strided& a, const PackedMatrix& b, Scalar* c,
                 std::int64_t c_row, bool add) {
  alignas(64) Scalar last[kRows * kPanel];  // the columns of a panel that is not full
  for (std::int64_t row = 0; row < rows; row += kRows) {
    const std::int64_t count = std::min(kRows, rows - row);
    for (std::int64_t t = 0; t < b.depth(); t += kDepth) {
      const std::int64_t depth = std::min(kDepth, b.depth() - t);
      const Strided left{a.data + row * a.row + t * a.col, a.row, a.col};
      for (std::int64_t p = 0; p < b.panels(); ++p) {
        const Scalar* right = b.panel(p) + t * kPanel;
        Scalar* target = c + row * c_row + p * kPanel;
        const std::int64_t width = std::min(kPanel, b.columns() - p * kPanel);
        if (width == kPanel) {
          panel_gemm(count, depth, left, right, kPanel, target, c_row, add || t > 0);
          continue;
        }
        panel_gemm(count, depth, left, right, kPanel, last, kPanel, false);
        for (std::int64_t i = 0; i < count; ++i)
          for (std::int64_t j = 0; j < width; ++j) {
            Scalar& sum = target[i * c_row + j];
            sum = add || t > 0 ? sum + last[i * kPanel + j] : last[i * kPanel + j];
          }
      }
    }
  }
}

void transposed_gemm(std::int64_t rows, std::int64_t columns, std::int64_t depth, const Scalar* a,
                     const Scalar* b, Scalar* c, bool add) {
  const std::int64_t whole = columns / kPanel * kPanel;
  Scratch padded(whole < columns ? (depth + rows) * kPanel : 0);
  for (std::int64_t j = 0; j < whole; j += kPanel)
    panel_gemm(rows, depth, {a, 1, rows}, b + j, columns, c + j, columns, add);
  if (whole == columns) return;
  const std::int64_t width = columns - whole;
  Scalar *right = padded.data(), *sums = right + depth * kPanel;
  std::fill(right, sums, Scalar{0});
  for (std::int64_t t = 0; t < depth; ++t)
    std::copy_n(b + t * columns + whole, width, right + t * kPanel);
  panel_gemm(rows, depth, {a, 1, rows}, right, kPanel, sums, kPanel, false);
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < width; ++j) {
      Scalar& sum = c[i * columns + whole + j];
      sum = add ? sum + sums[i * kPanel + j] : sums[i * kPanel + j];
    }
}

}  // namespace boxgrad
