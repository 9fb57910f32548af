#include "core/blas.h"

#include <cblas.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "core/check.h"
#include "core/parallel.h"

namespace boxgrad {

namespace {

// All threads are ours: OpenBLAS's own would fight with them for the cores (2-3x slower when both
// are awake), and its way of splitting depends on the number of threads.
[[maybe_unused]] const bool blas_is_single_threaded = (openblas_set_num_threads(1), true);

CBLAS_TRANSPOSE cblas(Trans trans) { return trans == Trans::yes ? CblasTrans : CblasNoTrans; }

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// How C (and k) are cut: a function of the shape alone, so that the bits are, too.
struct Tiling {
  std::int64_t tile_m, tile_n, tile_k;
};

constexpr std::int64_t kParts = 8;                    // enough for 8 threads, few enough to repack
constexpr double kWorthATile = 2.0 * 128 * 128 * 64;  // flop; below, waking a thread costs more

Tiling choose_tiling(std::int64_t m, std::int64_t n, std::int64_t k) {
  const double flop =
      2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  const std::int64_t parts =
      std::clamp<std::int64_t>(static_cast<std::int64_t>(flop / kWorthATile), 1, kParts);
  if (parts == 1) return {m, n, k};
  // A small C over a deep k (the weight gradient of a layer with few channels): partial sums.
  if (m * n <= 64 * 128 && k >= 8 * std::max(m, n))
    return {m, n, divide_up(k, std::min(parts, divide_up(k, 512)))};
  // Otherwise cut the longer side of C. A fully connected layer has few rows and many outputs:
  // cutting columns lets each thread read only its share of the weights.
  if (m >= n) return {divide_up(divide_up(m, parts), 16) * 16, n, k};
  return {m, divide_up(divide_up(n, parts), 16) * 16, k};
}

}  // namespace

void gemm_serial(Trans trans_a, Trans trans_b, std::int64_t m, std::int64_t n, std::int64_t k,
                 Scalar alpha, const Scalar* a, std::int64_t lda, const Scalar* b, std::int64_t ldb,
                 Scalar beta, Scalar* c, std::int64_t ldc) {
  if (m == 0 || n == 0) return;
  const std::int64_t limit = std::numeric_limits<blasint>::max();
  check(std::max({m, n, k, lda, ldb, ldc}) <= limit, "gemm: sizes must be below 2^31, got m=", m,
        " n=", n, " k=", k);
  const auto i = [](std::int64_t value) { return static_cast<blasint>(value); };
  // BLAS wants positive leading dimensions even for empty operands.
  lda = std::max<std::int64_t>(lda, 1);
  ldb = std::max<std::int64_t>(ldb, 1);
#ifdef BOXGRAD_DOUBLE
  cblas_dgemm(CblasRowMajor, cblas(trans_a), cblas(trans_b), i(m), i(n), i(k), alpha, a, i(lda), b,
              i(ldb), beta, c, i(ldc));
#else
  cblas_sgemm(CblasRowMajor, cblas(trans_a), cblas(trans_b), i(m), i(n), i(k), alpha, a, i(lda), b,
              i(ldb), beta, c, i(ldc));
#endif
}

void gemm(Trans trans_a, Trans trans_b, std::int64_t m, std::int64_t n, std::int64_t k,
          Scalar alpha, const Scalar* a, std::int64_t lda, const Scalar* b, std::int64_t ldb,
          Scalar beta, Scalar* c, std::int64_t ldc) {
  if (m == 0 || n == 0) return;
  const auto [tile_m, tile_n, tile_k] = choose_tiling(m, n, k);
  const std::int64_t tiles_m = divide_up(m, tile_m), tiles_n = divide_up(n, tile_n);
  const std::int64_t parts = k == 0 ? 1 : divide_up(k, tile_k);

  if (parts > 1) {
    std::vector<Scalar> partial(static_cast<std::size_t>(parts * m * n));
    parallel_for(parts, 1, [&, tile_k = tile_k](std::int64_t begin, std::int64_t end) {
      for (std::int64_t part = begin; part < end; ++part) {
        const std::int64_t k0 = part * tile_k, depth = std::min(tile_k, k - k0);
        gemm_serial(
            trans_a, trans_b, m, n, depth, alpha, a + (trans_a == Trans::yes ? k0 * lda : k0), lda,
            b + (trans_b == Trans::yes ? k0 : k0 * ldb), ldb, 0, partial.data() + part * m * n, n);
      }
    });
    for (std::int64_t row = 0; row < m; ++row)
      for (std::int64_t part = 0; part < parts; ++part) {
        const Scalar* source = partial.data() + (part * m + row) * n;
        Scalar* target = c + row * ldc;
        const Scalar keep = part > 0 ? Scalar{1} : beta;
        if (keep == 0)
          std::copy(source, source + n, target);
        else
          for (std::int64_t col = 0; col < n; ++col) target[col] = keep * target[col] + source[col];
      }
    return;
  }

  parallel_for(tiles_m * tiles_n, 1,
               [&, tile_m = tile_m, tile_n = tile_n](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t tile = begin; tile < end; ++tile) {
                   const std::int64_t row = tile / tiles_n * tile_m, col = tile % tiles_n * tile_n;
                   gemm_serial(trans_a, trans_b, std::min(tile_m, m - row),
                               std::min(tile_n, n - col), k, alpha,
                               a + (trans_a == Trans::yes ? row : row * lda), lda,
                               b + (trans_b == Trans::yes ? col * ldb : col), ldb, beta,
                               c + row * ldc + col, ldc);
                 }
               });
}

std::string blas_description() {
  return concat(openblas_get_config(), " (kernel ", openblas_get_corename(), ")");
}

}  // namespace boxgrad
