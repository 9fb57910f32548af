#include "layers/kernels/panel_gemm.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "core/blas.h"
#include "core/check.h"

namespace boxgrad {

namespace {

// 14 x 2 sums, 2 of B and 1 of A are 31 of AVX-512's 32 registers. Elsewhere there are 16: 6 x 2
// sums, 2 of B and 1 of A.
constexpr int kTileRows = kRegisterBytes == 64 ? 14 : 6;

template <int kRows>
void multiply_tile(std::int64_t depth, const Strided& a, const Scalar* b, std::int64_t b_row,
                   Scalar* c, std::int64_t c_row, bool add) {
  // Set one by one: `= {}` would clear an array in memory and load the registers from there.
  Vec sum[kRows][2];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) sum[i][0] = sum[i][1] = Vec{};
  const Scalar* a_t = a.data;
  for (std::int64_t t = 0; t < depth; ++t, a_t += a.col, b += b_row) {
    Vec left, right;
    load(left, b);
    load(right, b + kLanes);
    for (int i = 0; i < kRows; ++i) {
      const Scalar factor = a_t[i * a.row];
      sum[i][0] += left * factor;
      sum[i][1] += right * factor;
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
    if (add) {
      Vec before;
      load(before, c + i * c_row);
      sum[i][0] += before;
      load(before, c + i * c_row + kLanes);
      sum[i][1] += before;
    }
    store(c + i * c_row, sum[i][0]);
    store(c + i * c_row + kLanes, sum[i][1]);
  }
}

// multiply_tile for 1, 2, ..., kTileRows rows.
constexpr auto kTiles = []<int... i>(std::integer_sequence<int, i...>) {
  return std::array{&multiply_tile<i + 1>...};
}
(std::make_integer_sequence<int, kTileRows>());

std::atomic<PanelGemm>& kernel() {
  static std::atomic<PanelGemm> value = [] {
    const char* text = std::getenv("BOXGRAD_GEMM");
    const std::string_view name = text == nullptr || *text == '\0' ? "own" : text;
    check(name == "own" || name == "blas", "BOXGRAD_GEMM must be own or blas, got \"", name, "\"");
    return name == "own" ? PanelGemm::own : PanelGemm::blas;
  }();
  return value;
}

}  // namespace

PanelGemm panel_gemm_kernel() { return kernel(); }

void set_panel_gemm(PanelGemm value) { kernel() = value; }

void panel_gemm(std::int64_t rows, std::int64_t depth, const Strided& a, const Scalar* b,
                std::int64_t b_row, Scalar* c, std::int64_t c_row, bool add) {
  if (kernel() == PanelGemm::blas) {
    const bool by_rows = a.col == 1;
    return gemm_serial(by_rows ? Trans::no : Trans::yes, Trans::no, rows, kPanel, depth, 1, a.data,
                       std::max<std::int64_t>(by_rows ? a.row : a.col, 1), b, b_row, add ? 1 : 0, c,
                       c_row);
  }
  for (std::int64_t i = 0; i < rows; i += kTileRows) {
    const auto count = static_cast<std::size_t>(std::min<std::int64_t>(kTileRows, rows - i));
    kTiles[count - 1](depth, {a.data + i * a.row, a.row, a.col}, b, b_row, c + i * c_row, c_row,
                      add);
  }
}

}  // namespace boxgrad
