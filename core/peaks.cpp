#include "core/peaks.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "core/check.h"
#include "core/parallel.h"
#include "core/scalar.h"
#include "core/tensor.h"

namespace boxgrad {

namespace {

// One register: gcc and clang's vector extension. There are sixteen at least.
using Register = Scalar __attribute__((vector_size(kRegisterBytes)));

constexpr std::int64_t kFmaRounds = 100000;
constexpr std::int64_t kFmaChains = 10;  // two units with a latency of four to five cycles

/// Chains of multiply-adds that do not wait for each other; their sum, so that none is left out.
/// They start from different numbers (a compiler would compute equal ones once) and tend to one.
Scalar fma_chains(Scalar half) {
  const Register b = Register{} + half, c = b;
  Register a0 = c, a1 = a0 + c, a2 = a1 + c, a3 = a2 + c, a4 = a3 + c;
  Register a5 = a4 + c, a6 = a5 + c, a7 = a6 + c, a8 = a7 + c, a9 = a8 + c;
  for (std::int64_t round = 0; round < kFmaRounds; ++round) {
    a0 = a0 * b + c, a1 = a1 * b + c, a2 = a2 * b + c, a3 = a3 * b + c, a4 = a4 * b + c;
    a5 = a5 * b + c, a6 = a6 * b + c, a7 = a7 * b + c, a8 = a8 * b + c, a9 = a9 * b + c;
  }
  const Register sum = a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9;
  Scalar total = 0;
  for (std::size_t i = 0; i < kRegisterBytes / sizeof(Scalar); ++i) total += sum[i];
  return total;
}

}  // namespace

double shortest_s(double budget_s, const std::function<void()>& run) {
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;
  const auto start = Clock::now();
  double best = 1e300;
  for (int runs = 0;; ++runs) {
    const auto begin = Clock::now();
    if (runs >= 3 && Seconds(begin - start).count() > budget_s) return best;
    run();
    best = std::min(best, Seconds(Clock::now() - begin).count());
  }
}

MachinePeaks measure_peaks(double seconds) {
  check(seconds > 0 && seconds <= 60, "measure_peaks: seconds must be in (0, 60], got ", seconds);
  MachinePeaks peaks;
  peaks.threads = num_threads();
  const Scalar half = Tensor({1}, Scalar(0.5)).item();  // a number that the compiler cannot know

  Tensor sums({peaks.threads});
  const double fma_s = shortest_s(seconds, [&] {
    parallel_for(peaks.threads, 1, [&](std::int64_t begin, std::int64_t) {
      sums.data()[static_cast<std::size_t>(begin)] = fma_chains(half);
    });
  });
  constexpr double kFlopPerChain = 2.0 * kRegisterBytes / sizeof(Scalar);
  peaks.gflops = kFlopPerChain * kFmaChains * kFmaRounds * peaks.threads / fma_s * 1e-9;

  // Large: three arrays of 64 MiB still fit into the last cache of a server and went twice as fast.
  constexpr std::int64_t kArray = (std::int64_t{128} << 20) / sizeof(Scalar);
  Tensor a({kArray});
  const Tensor b({kArray}, half), c({kArray}, half);
  Scalar* to = a.data().data();
  const Scalar *from_b = b.data().data(), *from_c = c.data().data();
  const double triad_s = shortest_s(seconds, [&] {
    parallel_for(kArray, std::int64_t{1} << 18, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) to[i] = from_b[i] + half * from_c[i];
    });
  });
  peaks.gb_per_s = 3.0 * kArray * sizeof(Scalar) / triad_s * 1e-9;
  return peaks;
}

}  // namespace boxgrad
