#include "core/memory.h"

#include <algorithm>
#include <atomic>
#include <iomanip>
#include <map>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <unordered_map>

#include "core/charts.h"

namespace boxgrad {

/// A journal of allocations and frees; report() replays it, so that watching stays cheap.
struct MemoryProfiler::Ledger {
  struct Entry {
    enum Kind { allocation, release, backward_begins } kind;
    std::int64_t bytes;  ///< 0 for backward_begins
    std::size_t layer;   ///< index into paths; that of the allocation for a release
    Buffer::Use use;
    const char* op;  ///< filled in when the op ends
    bool in_backward;
  };
  struct Owner {
    std::size_t layer;
    Buffer::Use use;
  };
  static constexpr std::size_t kBefore = static_cast<std::size_t>(-1);

  std::thread::id thread = std::this_thread::get_id();
  std::int64_t before = 0;
  std::vector<std::string> paths;
  std::map<std::string, std::size_t> index;
  std::vector<Entry> entries;
  std::unordered_map<const void*, Owner> owners;
  std::size_t unnamed = 0;    ///< entries from here on wait for the name of their op
  bool walking_back = false;  ///< the last op that ended was a backward

  std::size_t layer_of(const std::string& path) {
    const auto [place, fresh] = index.emplace(path, paths.size());
    if (fresh) paths.push_back(path);
    return place->second;
  }

  void name_entries(const char* op) {
    for (; unnamed < entries.size(); ++unnamed) entries[unnamed].op = op;
  }

  void allocated(const void* buffer, std::int64_t bytes, Buffer::Use use) {
    const bool own = std::this_thread::get_id() == thread;
    const bool backward = own && in_backward();
    // What a backward closure computes on the way is part of some gradient.
    if (backward && use == Buffer::Use::value) use = Buffer::Use::gradient;
    const std::size_t layer = layer_of(own ? current_module_path() : "(other threads)");
    owners[buffer] = {layer, use};
    entries.push_back({Entry::allocation, bytes, layer, use, nullptr, backward});
  }

  void released(const void* buffer, std::int64_t bytes) {
    Owner owner{kBefore, Buffer::Use::value};
    if (const auto found = owners.find(buffer); found != owners.end()) {
      owner = found->second;
      owners.erase(found);
    }
    entries.push_back({Entry::release, bytes, owner.layer, owner.use, nullptr, false});
  }
};

namespace {
// The mutex guards the pointer and the ledger behind it; the flag spares everybody else the mutex.
std::atomic<std::int64_t> live_bytes{0};
std::atomic<bool> ledger_is_open{false};
std::mutex ledger_mutex;
MemoryProfiler::Ledger* open_ledger = nullptr;
}  // namespace

std::int64_t tensor_bytes() { return live_bytes; }

void detail::count_buffer(const void* buffer, std::int64_t bytes, Buffer::Use use) {
  live_bytes.fetch_add(bytes, std::memory_order_relaxed);
  if (!ledger_is_open.load(std::memory_order_relaxed)) return;
  const std::lock_guard lock(ledger_mutex);
  if (open_ledger != nullptr) open_ledger->allocated(buffer, bytes, use);
}

void detail::uncount_buffer(const void* buffer, std::int64_t bytes) {
  live_bytes.fetch_sub(bytes, std::memory_order_relaxed);
  if (!ledger_is_open.load(std::memory_order_relaxed)) return;
  const std::lock_guard lock(ledger_mutex);
  if (open_ledger != nullptr) open_ledger->released(buffer, bytes);
}

MemoryProfiler::MemoryProfiler() : ledger_(std::make_unique<Ledger>()) {
  const std::lock_guard lock(ledger_mutex);
  if (open_ledger != nullptr) throw std::logic_error("MemoryProfiler: there is one already");
  ledger_->before = live_bytes;
  open_ledger = ledger_.get();
  ledger_is_open = true;
}

MemoryProfiler::~MemoryProfiler() {
  const std::lock_guard lock(ledger_mutex);
  open_ledger = nullptr;
  ledger_is_open = false;
}

void MemoryProfiler::after_forward(const Op& op) {
  if (in_backward()) return;  // a closure that calls ops is one op
  const std::lock_guard lock(ledger_mutex);
  ledger_->name_entries(op.name);
  ledger_->walking_back = false;
}

void MemoryProfiler::before_backward(const Op&, const Tensor&) {
  const std::lock_guard lock(ledger_mutex);
  ledger_->name_entries("");
  if (!ledger_->walking_back)
    ledger_->entries.push_back(
        {Ledger::Entry::backward_begins, 0, 0, Buffer::Use::value, "", true});
  ledger_->walking_back = true;
}

void MemoryProfiler::after_backward(const Op& op, const Tensor&) {
  const std::lock_guard lock(ledger_mutex);
  ledger_->name_entries(op.name);
}

void MemoryProfiler::at_boundary(const char* work) {
  if (in_backward()) return;
  const std::lock_guard lock(ledger_mutex);
  ledger_->name_entries(work != nullptr ? work : "");
}

MemoryReport MemoryProfiler::report() const {
  const std::lock_guard lock(ledger_mutex);
  const Ledger& ledger = *ledger_;
  MemoryReport report;
  report.before = report.before_left = report.peak = ledger.before;
  report.layers.resize(ledger.paths.size());
  report.timeline.push_back(static_cast<double>(ledger.before));

  /// What one layer has alive, by Use.
  struct Alive {
    std::int64_t bytes[3] = {0, 0, 0};
  };
  std::vector<Alive> alive(ledger.paths.size()), at_peak = alive;
  std::int64_t now = ledger.before, from_before = ledger.before, most_kept = 0;
  std::size_t peak_entry = ledger.entries.size();
  for (std::size_t i = 0; i < ledger.entries.size(); ++i) {
    const Ledger::Entry& entry = ledger.entries[i];
    if (entry.kind == Ledger::Entry::backward_begins) {
      std::int64_t kept = 0;
      for (const Alive& layer : alive) kept += layer.bytes[0];
      if (kept <= most_kept) continue;
      most_kept = kept;
      for (std::size_t l = 0; l < alive.size(); ++l) report.layers[l].kept = alive[l].bytes[0];
      continue;
    }
    const std::int64_t change =
        entry.kind == Ledger::Entry::allocation ? entry.bytes : -entry.bytes;
    now += change;
    if (entry.layer == Ledger::kBefore)
      from_before += change;
    else
      alive[entry.layer].bytes[static_cast<int>(entry.use)] += change;
    report.timeline.push_back(static_cast<double>(now));
    if (now <= report.peak) continue;
    report.peak = now;
    peak_entry = i;
    report.before_left = from_before;
    at_peak = alive;
  }
  report.end = now;
  for (std::size_t l = 0; l < report.layers.size(); ++l) {
    MemoryReport::Layer& layer = report.layers[l];
    layer.path = ledger.paths[l];
    layer.values = at_peak[l].bytes[0];
    layer.gradients = at_peak[l].bytes[1];
    layer.scratch = at_peak[l].bytes[2];
  }
  if (peak_entry < ledger.entries.size()) {
    const Ledger::Entry& entry = ledger.entries[peak_entry];
    report.peak_path = ledger.paths[entry.layer];
    report.peak_op = entry.op != nullptr ? entry.op : "";
    report.peak_in_backward = entry.in_backward;
  }
  return report;
}

std::int64_t MemoryReport::kept() const {
  std::int64_t sum = 0;
  for (const Layer& layer : layers) sum += layer.kept;
  return sum;
}

std::string MemoryReport::table() const {
  std::ostringstream text;
  text << std::fixed << std::setprecision(2);
  const auto mib = [](std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  text << "peak " << mib(peak) << " MiB, " << mib(before) << " of it there before; reached ";
  if (peak_op.empty() && peak_path.empty())
    text << "outside of any op";
  else
    text << "in " << (peak_path.empty() ? "(no module)" : peak_path)
         << (peak_op.empty() ? "" : " " + peak_op) << ", " << (peak_in_backward ? "back" : "for")
         << "ward";
  text << "\n" << mib(kept()) << " MiB kept for backward; " << mib(end) << " MiB at the end\n\n";

  std::size_t width = 13;
  for (const Layer& layer : layers) width = std::max(width, layer.path.size());
  const auto row = [&](const std::string& name, auto... cells) {
    text << std::left << std::setw(static_cast<int>(width)) << name << std::right;
    ((text << "  " << std::setw(9) << cells), ...);
    text << '\n';
  };
  row("MiB", "kept", "values", "gradients", "scratch");
  row("(from before)", "", mib(before_left));
  for (const Layer& l : layers)
    if (l.kept + l.values + l.gradients + l.scratch > 0)
      row(l.path.empty() ? "(no module)" : l.path, mib(l.kept), mib(l.values), mib(l.gradients),
          mib(l.scratch));
  text << "kept: alive when backward began; the other columns: alive at the peak\n";
  return text.str();
}

std::string MemoryReport::chart(const std::string& title) const {
  Series series{.name = ""};
  for (const double bytes : timeline) series.y.push_back(bytes / (1 << 20));
  return line_chart({series}, {.title = title,
                               .x_label = "allocations and frees, in their order",
                               .y_label = "MiB alive",
                               .y_min = 0});
}

}  // namespace boxgrad
