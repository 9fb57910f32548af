#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "core/autograd.h"
#include "core/peaks.h"

/// Where the time of a step goes: docs/profiling.md.
///
///   const MachinePeaks peaks = measure_peaks();
///   nn::Profiler profiler;
///   loss(model(images)).backward();
///   optimizer.step();
///   const nn::Profile profile = profiler.profile();
///   std::cout << profile.table(peaks);
///   write_file_atomically("roofline.svg", nn::roofline(profile, peaks));
namespace boxgrad::nn {

enum class Pass { forward, backward, other };

/// "forward", "backward", "-".
const char* to_string(Pass pass);

/// One op of one module in one pass, all its calls together.
struct ProfileRow {
  std::string path;  ///< of the module, "" outside of any
  std::string op;    ///< its name, that of a WorkScope, or "(between ops)"
  Pass pass = Pass::other;
  std::int64_t calls = 0;
  double seconds = 0;
  std::int64_t multiply_adds = 0;  ///< as count_layers() counts; backward: once per gradient
  std::int64_t bytes = 0;          ///< that must move at least: see Profiler
  std::string remark;              ///< of remark_on_op(), from the last call: "im2col: below ..."

  /// What stands before the colon of the remark: by which algorithm.
  std::string algorithm() const;

  double gflops() const;    ///< 10^9 FLOP per second, 2 per multiply-add
  double gb_per_s() const;  ///< 10^9 bytes per second
};

enum class ProfileOrder {
  network,  ///< as the forward pass went, each backward under its forward
  time      ///< the slowest first
};

struct Profile {
  std::vector<ProfileRow> rows;  ///< in network order
  double seconds = 0;            ///< of the profiler's life: the rows add up to it
  int steps = 1;                 ///< how many steps that was; table() divides by it

  std::int64_t multiply_adds() const;
  /// The same with all layers together that run the same op, by the same algorithm, in the same
  /// pass; instead of a path, how many they are.
  Profile by_op() const;
  /// For people: calls, ms and share of a step, GFLOP/s and GB/s with their part of the peaks.
  /// Rows below a thousandth of the time are summed up in one line.
  std::string table(const MachinePeaks& peaks, ProfileOrder order = ProfileOrder::network) const;
};

/// Times every op of its thread while it lives. The clock is read when an op ends, when a module
/// or a WorkScope begins or ends, and around each backward closure; the time between two readings
/// belongs to what was running. So no time is counted twice, however ops and modules nest, and the
/// rows add up to the whole.
///
/// Time that is nobody's (a module's own glue, freeing the graph) is "(between ops)". Glue directly
/// before an op of the same module is charged to that op; a WorkScope around it parts the two.
/// What an op calls inside its backward closure is part of its backward.
///
/// Bytes are those that an op cannot avoid: forward, each input and the output once; backward, dy,
/// each input and each gradient that is wanted once; nothing for an output that shares its input's
/// numbers (reshape). Temporaries do not count, so GB/s is the useful rate.
class Profiler : public OpObserver {
 public:
  Profiler();

  /// What happened so far. Watching goes on.
  Profile profile();

  void after_forward(const Op& op) override;
  void before_backward(const Op& op, const Tensor& dy) override;
  void after_backward(const Op& op, const Tensor& dy) override;
  void at_boundary(const char* work) override;

 private:
  using Clock = std::chrono::steady_clock;
  /// What the backward of an op that ran forward will have to do.
  struct Cost {
    std::int64_t multiply_adds = 0, input_bytes = 0;
    std::vector<std::int64_t> bytes;  ///< of each input
    bool view = false;
    std::string remark;
  };

  ProfileRow& charge(const std::string& path, const char* op, Pass pass);

  Clock::time_point start_, last_;
  std::vector<ProfileRow> rows_;
  std::map<std::tuple<std::string, std::string, Pass>, std::size_t> index_;
  std::unordered_map<std::uint64_t, Cost> costs_;  ///< by id of the output
  bool backward_seen_ = false;                     ///< since the last op went forward
};

/// The roofline picture (Williams, Waterman, Patterson, "Roofline", CACM 2009) as SVG: one dot per
/// layer and pass, at FLOP per byte and GFLOP/s. The roof is min(arithmetic peak, bandwidth times
/// FLOP per byte). Ops without multiply-adds have no place on it; read their GB/s in the table.
std::string roofline(const Profile& profile, const MachinePeaks& peaks,
                     const std::string& title = "Roofline");

}  // namespace boxgrad::nn
