// The half of `make doctor` that needs the library: which BLAS kernel runs, how many threads really
// work, and how much faster they make a product of matrices. The other half is doctor.sh.
#include <algorithm>
#include <chrono>
#include <iomanip>
#include <iostream>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "core/blas.h"
#include "core/parallel.h"
#include "core/program.h"
#include "core/random.h"
#include "core/scalar.h"

using namespace boxgrad;

namespace {

void say(bool ok, const std::string& what, const std::string& finding) {
  std::cout << (ok ? "ok     " : "FAULT  ") << std::left << std::setw(10) << what << finding
            << std::endl;
}

/// How many threads take a share of a loop with work in every chunk.
int threads_at_work() {
  std::mutex mutex;
  std::set<std::thread::id> seen;
  parallel_for(16 * num_threads(), 1, [&](std::int64_t, std::int64_t) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(2);
    while (std::chrono::steady_clock::now() < until) {
    }
    const std::lock_guard lock(mutex);
    seen.insert(std::this_thread::get_id());
  });
  return static_cast<int>(seen.size());
}

/// Seconds of a product of two n x n matrices: the shortest of several.
double gemm_seconds(std::int64_t n) {
  const auto size = static_cast<std::size_t>(n * n);
  std::vector<Scalar> a(size), b(size), c(size);
  Random random(1);
  for (std::size_t i = 0; i < size; ++i) {
    a[i] = static_cast<Scalar>(random.uniform(-1, 1));
    b[i] = static_cast<Scalar>(random.uniform(-1, 1));
  }
  double best = 1e9;
  for (int repeat = 0; repeat < 12; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    gemm(Trans::no, Trans::no, n, n, n, 1, a.data(), n, b.data(), n, 0, c.data(), n);
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

void examine() {
  const std::string blas = blas_description();
  const bool generic = blas.find("kernel Prescott") != std::string::npos ||
                       blas.find("kernel Generic") != std::string::npos ||
                       blas.find("kernel Core2") != std::string::npos;
#ifdef __AVX2__
  const bool slow_kernel = generic;
#else
  const bool slow_kernel = false;
#endif
  say(!slow_kernel, "BLAS",
      blas + (slow_kernel ? "; this CPU has AVX2: set OPENBLAS_CORETYPE=Haswell" : ""));

  const int threads = num_threads(), working = threads_at_work();
  constexpr std::int64_t n = 768;
  const double together = gemm_seconds(n);
  set_num_threads(1);
  const double alone = gemm_seconds(n);
  set_num_threads(threads);
  const double speedup = alone / together;
  std::ostringstream finding;
  finding << std::fixed << std::setprecision(1) << working << " of " << threads
          << " at work; a product of matrices runs " << speedup << "x as fast as on one ("
          << std::setprecision(0) << 2e-9 * n * n * n / together << " GFLOP/s)";
  const bool all_work = working == threads, faster = threads == 1 || speedup > 0.6 * threads;
  if (!all_work)
    finding << "; the system gives fewer cores than it shows: try --threads " << working;
  else if (!faster)
    finding << "; the cores are busy or shared: stop other programs, or try BOXGRAD_THREADS="
            << std::max(1, threads / 2);
  say(all_work && faster, "threads", finding.str());
  if (!all_work || !faster || slow_kernel) throw std::runtime_error("doctor: see FAULT above");
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "doctor",
                   .about = "Which BLAS kernel runs, and how many threads really work.",
                   .out = false,
                   .quick = false,
                   .data_on_stdout = true});
  return program.run(argc, argv, examine);
}
