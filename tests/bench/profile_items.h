#pragma once

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/files.h"
#include "core/memory.h"
#include "core/peaks.h"
#include "layers/profile.h"
#include "tests/bench/bench.h"

/// What layers_bench says about items beside their time: percent of peak, profile, memory, choice
/// of convolution.
namespace boxgrad::bench {

/// What an item does when it trains; forward alone if it has no backward.
inline const std::function<void()>& step_of(const Work& work) {
  return work.forward_backward ? work.forward_backward : work.forward;
}

/// One run of a piece of work, watched: what it computes and moves.
inline nn::Profile watched(const std::function<void()>& run) {
  nn::Profiler profiler;
  run();
  return profiler.profile();
}

/// GFLOP/s, and the part of the roof that is nearer: "71 % fma" of the arithmetic peak, "83 % mem"
/// of main memory's.
inline std::string of_peak(const nn::Profile& profile, double ms, const MachinePeaks& peaks) {
  nn::ProfileRow all{.path = "",
                     .op = "",
                     .seconds = ms / 1e3,
                     .multiply_adds = profile.multiply_adds(),
                     .remark = ""};
  for (const nn::ProfileRow& row : profile.rows) all.bytes += row.bytes;
  if (all.bytes == 0) return "       -         -";
  const double fma = 100 * all.gflops() / peaks.gflops, mem = 100 * all.gb_per_s() / peaks.gb_per_s;
  char text[80];
  std::snprintf(text, sizeof text, "%8.1f %5.0f %s", all.gflops(), std::max(fma, mem),
                fma > mem ? "fma" : "mem");
  return text;
}

/// The table for people: times and percent of peak.
inline void print_table(const std::vector<Item>& items, const std::vector<int>& threads,
                        double budget_s) {
  std::vector<MachinePeaks> peaks;
  for (const int count : threads) {
    set_num_threads(count);
    peaks.push_back(measure_peaks());
    std::printf("peaks with %d thread%s: %.0f GFLOP/s, %.1f GB/s of main memory\n", count,
                count == 1 ? "" : "s", peaks.back().gflops, peaks.back().gb_per_s);
  }
  std::printf("\n%-30s %2s %10s %8s %9s %12s %8s %9s\n", "item", "T", "forward ms", "GFLOP/s",
              "% of peak", "fwd + bwd ms", "GFLOP/s", "% of peak");
  for (const Item& item : items) {
    const Work work = item.make();
    const nn::Profile forward = watched(work.forward);
    const nn::Profile both = work.forward_backward ? watched(work.forward_backward) : nn::Profile{};
    for (std::size_t t = 0; t < threads.size(); ++t) {
      set_num_threads(threads[t]);
      const double forward_ms = best_ms(work.forward, budget_s);
      std::printf("%-30s %2d %10.3f %s", item.name.c_str(), threads[t], forward_ms,
                  of_peak(forward, forward_ms, peaks[t]).c_str());
      if (work.forward_backward) {
        const double both_ms = best_ms(work.forward_backward, budget_s);
        std::printf(" %12.3f %s", both_ms, of_peak(both, both_ms, peaks[t]).c_str());
      }
      std::printf("\n");
      std::fflush(stdout);
    }
  }
  std::printf(
      "\nfma: of the arithmetic peak; mem: of main memory's, for the bytes that must move at least "
      "(over 100: from a cache)\n");
}

/// Table per layer and pass, and NAME.roofline.svg in `out`, of steps that fill the budget.
inline void print_profile(const Item& item, double budget_s, const std::filesystem::path& out) {
  using Clock = std::chrono::steady_clock;
  const Work work = item.make();
  MachinePeaks peaks = measure_peaks();
  step_of(work)();  // fresh pages, buffers of the optimiser
  nn::Profiler profiler;
  const auto start = Clock::now();
  int steps = 0;
  do {
    step_of(work)();
    ++steps;
  } while (std::chrono::duration<double>(Clock::now() - start).count() < budget_s && steps < 200);
  nn::Profile profile = profiler.profile();
  profile.steps = steps;
  // Before and after: whatever disturbed one of them made it lower.
  const MachinePeaks after = measure_peaks();
  peaks.gflops = std::max(peaks.gflops, after.gflops);
  peaks.gb_per_s = std::max(peaks.gb_per_s, after.gb_per_s);
  const auto picture = out / (item.name + ".roofline.svg");
  write_file_atomically(picture, nn::roofline(profile, peaks, item.name));
  std::printf("%s\n\n%s\n%sroofline: %s\n\n", item.name.c_str(), profile.table(peaks).c_str(),
              profile.by_op().table(peaks, nn::ProfileOrder::time).c_str(),
              picture.string().c_str());
}

/// Peak and layers of the first step, and NAME.memory.svg in `out`.
inline void print_memory(const Item& item, const std::filesystem::path& out) {
  const Work work = item.make();
  const MemoryProfiler memory;
  step_of(work)();
  const MemoryReport report = memory.report();
  const auto picture = out / (item.name + ".memory.svg");
  write_file_atomically(picture, report.chart(item.name + ": memory over a step"));
  std::printf("%s\n%sover the step: %s\n\n", item.name.c_str(), report.table().c_str(),
              picture.string().c_str());
}

/// One line per convolution of an item: which algorithm it gets and why. Shapes that repeat are
/// told once.
inline void print_explanation(const Item& item) {
  struct Listener : OpObserver {
    std::string item;
    std::set<std::string> told;
    void after_forward(const Op& op) override {
      if (op.remark.empty()) return;
      const std::string line = concat(op.inputs.at(0).shape(), "  ", op.remark);
      if (!told.insert(line).second) return;
      std::printf("%s%s%s  %s\n", item.c_str(), op.module_path.empty() ? "" : " ",
                  op.module_path.c_str(), line.c_str());
    }
  };
  const Work work = item.make();
  Listener listener;
  listener.item = item.name;
  step_of(work)();
  if (listener.told.empty()) std::printf("%s  no convolution\n", item.name.c_str());
}

}  // namespace boxgrad::bench
