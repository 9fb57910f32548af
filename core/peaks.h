#pragma once

#include <functional>

namespace boxgrad {

/// What this machine can do at best with num_threads() threads: the two roofs of a roofline.
struct MachinePeaks {
  double gflops = 0;    ///< arithmetic: 10^9 FLOP per second, a multiply-add being two
  double gb_per_s = 0;  ///< main memory: 10^9 bytes per second, read and written
  int threads = 1;
};

/// The shortest run within the budget, of at least three, in seconds: whatever disturbs a run makes
/// it longer.
double shortest_s(double budget_s, const std::function<void()>& run);

/// Measures them in about 2 * `seconds` seconds, the best of short runs each, because whatever
/// disturbs a run makes it slower:
///
///   arithmetic   a = a * b + c in registers, enough of them at a time to hide the latency
///   memory       a[i] = b[i] + s * c[i] over arrays of 128 MiB (McCalpin's STREAM triad): three
///                of them pass; what the processor reads before it overwrites a is not counted
///
/// On a machine that does other work they come out too low, and percentages of them too high.
/// Throws std::invalid_argument unless 0 < seconds <= 60.
MachinePeaks measure_peaks(double seconds = 0.2);

}  // namespace boxgrad
