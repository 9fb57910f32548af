#include "core/blas.h"

#include <cblas.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <string>

#include "core/check.h"
#include "core/parallel.h"
#include "core/tensor.h"

// OpenBLAS's own way of choosing kernels for the CPU, missing from builds for one CPU only.
extern "C" {
__attribute__((weak)) void gotoblas_dynamic_init();
__attribute__((weak)) void gotoblas_dynamic_quit();
}

namespace boxgrad {

namespace {

/// OpenBLAS looks its kernels up by the CPU's model number. On a model younger than the library it
/// falls back to "Prescott", a CPU of 2004 with registers of 16 bytes: every product then takes
/// five times as long. What matters is what the CPU can do, so ask that and let OpenBLAS choose
/// again. OPENBLAS_CORETYPE in the environment still has the last word.
bool choose_kernels_by_features() {
#if defined(__x86_64__)
  if (std::string(openblas_get_corename()) != "Prescott") return false;
  if (!gotoblas_dynamic_init || !gotoblas_dynamic_quit) return false;
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (!avx2 || setenv("OPENBLAS_CORETYPE", avx512 ? "SkylakeX" : "Haswell", 0) != 0) return false;
  gotoblas_dynamic_quit();
  gotoblas_dynamic_init();
  return true;
#else
  return false;
#endif
}

[[maybe_unused]] const bool kernels_were_chosen_again = choose_kernels_by_features();

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
  // A small C over a deep k (the weight gradient of a 1x1 layer): partial sums. Each operand is
  // read once; cutting C instead would make every tile read the whole of one of them (256 x 256
  // over k = 6272: 5.3 ms against 10.7).
  if (m * n <= 1 << 18 && k >= 8 * std::max(m, n))
    return {m, n, divide_up(k, std::min(parts, divide_up(k, 512)))};
  // Otherwise cut the longer side of C, into tiles of at least 128. A fully connected layer has few
  // rows and many outputs: cutting columns lets each thread read only its share of the weights.
  const auto tile = [&](std::int64_t side) {
    return std::max<std::int64_t>(divide_up(divide_up(side, parts), 16) * 16, 128);
  };
  if (m >= n) return {tile(m), n, k};
  return {m, tile(n), k};
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
    Buffer partial(parts * m * n, Buffer::Fill::none);
    parallel_for(parts, 1, [&, tile_k = tile_k](std::int64_t begin, std::int64_t end) {
      for (std::int64_t part = begin; part < end; ++part) {
        const std::int64_t k0 = part * tile_k, depth = std::min(tile_k, k - k0);
        gemm_serial(
            trans_a, trans_b, m, n, depth, alpha, a + (trans_a == Trans::yes ? k0 * lda : k0), lda,
            b + (trans_b == Trans::yes ? k0 : k0 * ldb), ldb, 0, partial.data() + part * m * n, n);
      }
    });
    parallel_for(m, std::max<std::int64_t>(1, 16384 / n),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t row = begin; row < end; ++row)
                     for (std::int64_t part = 0; part < parts; ++part) {
                       const Scalar* source = partial.data() + (part * m + row) * n;
                       Scalar* target = c + row * ldc;
                       const Scalar keep = part > 0 ? Scalar{1} : beta;
                       if (keep == 0)
                         std::copy(source, source + n, target);
                       else
                         for (std::int64_t col = 0; col < n; ++col)
                           target[col] = keep * target[col] + source[col];
                     }
                 });
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
