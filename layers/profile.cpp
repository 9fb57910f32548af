#include "layers/profile.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <numeric>
#include <sstream>

#include "layers/count.h"

namespace boxgrad::nn {

const char* to_string(Pass pass) {
  return pass == Pass::forward ? "forward" : pass == Pass::backward ? "backward" : "-";
}

std::string ProfileRow::algorithm() const { return remark.substr(0, remark.find(':')); }
double ProfileRow::gflops() const {
  return seconds > 0 ? 2e-9 * static_cast<double>(multiply_adds) / seconds : 0;
}
double ProfileRow::gb_per_s() const {
  return seconds > 0 ? 1e-9 * static_cast<double>(bytes) / seconds : 0;
}

// --- watching -------------------------------------------------------------------------------

namespace {
constexpr const char* kBetween = "(between ops)";
std::int64_t bytes_of(const Tensor& tensor) {
  return tensor.numel() * static_cast<std::int64_t>(sizeof(Scalar));
}
}  // namespace

Profiler::Profiler() : start_(Clock::now()), last_(start_) {}

/// Gives the time since the last reading to a row, which is made when it is new.
ProfileRow& Profiler::charge(const std::string& path, const char* op, Pass pass) {
  const Clock::time_point now = Clock::now();
  const auto [place, fresh] = index_.emplace(std::tuple(path, std::string(op), pass), rows_.size());
  if (fresh) rows_.push_back({.path = path, .op = op, .pass = pass, .remark = ""});
  ProfileRow& row = rows_[place->second];
  row.seconds += std::chrono::duration<double>(now - last_).count();
  last_ = now;
  return row;
}

void Profiler::after_forward(const Op& op) {
  if (in_backward()) return;
  backward_seen_ = false;
  ProfileRow& row = charge(op.module_path, op.name, Pass::forward);
  ++row.calls;
  row.remark = op.remark;
  Cost cost{.multiply_adds = op_multiply_adds(op), .bytes = {}, .remark = op.remark};
  for (const Tensor& input : op.inputs) {
    cost.bytes.push_back(bytes_of(input));
    cost.input_bytes += cost.bytes.back();
    cost.view |= input.numel() > 0 && input.data().data() == op.output.data().data();
  }
  row.multiply_adds += cost.multiply_adds;
  if (!cost.view) row.bytes += cost.input_bytes + bytes_of(op.output);
  if (op.output.requires_grad()) costs_[op.output_id] = std::move(cost);
}

void Profiler::before_backward(const Op&, const Tensor&) {
  // The walk itself: freeing what the closure before held. What came before the first closure
  // belongs to nobody's backward.
  charge("", kBetween, backward_seen_ ? Pass::backward : Pass::other);
  backward_seen_ = true;
}

void Profiler::after_backward(const Op& op, const Tensor& dy) {
  ProfileRow& row = charge(op.module_path, op.name, Pass::backward);
  ++row.calls;
  const auto found = costs_.find(op.output_id);
  if (found == costs_.end()) return;  // its forward was not watched
  const Cost& cost = found->second;
  row.remark = cost.remark;
  // A product x w has two gradients, dy w^T and x^T dy, and each costs as much as the product.
  for (std::size_t i = 0; i < op.input_slots.size() && i < 2; ++i)
    if (op.input_slots[i]) row.multiply_adds += cost.multiply_adds;
  if (!cost.view) {
    row.bytes += bytes_of(dy) + cost.input_bytes;
    for (std::size_t i = 0; i < op.input_slots.size(); ++i)
      if (op.input_slots[i]) row.bytes += cost.bytes[i];
  }
  costs_.erase(found);
}

void Profiler::at_boundary(const char* work) {
  if (in_backward()) return;
  ProfileRow& row = charge(current_module_path(), work != nullptr ? work : kBetween, Pass::other);
  ++row.calls;
}

// --- reporting ------------------------------------------------------------------------------

Profile Profiler::profile() {
  if (!in_backward()) charge(current_module_path(), kBetween, Pass::other);
  Profile profile;
  profile.seconds = std::chrono::duration<double>(last_ - start_).count();
  // Rows stand where their path first appeared, a backward under the forward of its op.
  std::map<std::string, std::size_t> path_rank;
  std::map<std::pair<std::string, std::string>, std::size_t> op_rank;
  for (const ProfileRow& row : rows_)
    if (row.op != kBetween) {
      path_rank.emplace(row.path, path_rank.size());
      op_rank.emplace(std::pair(row.path, row.op), op_rank.size());
    }
  const auto rank = [&](const ProfileRow& row) {
    const bool last = row.op == kBetween;  // crumbs: after everything else
    return std::tuple(last, last ? 0 : path_rank[row.path],
                      last ? 0 : op_rank[std::pair(row.path, row.op)], row.pass);
  };
  profile.rows = rows_;
  std::ranges::stable_sort(profile.rows,
                           [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  return profile;
}

std::int64_t Profile::multiply_adds() const {
  return std::accumulate(
      rows.begin(), rows.end(), std::int64_t{0},
      [](std::int64_t sum, const ProfileRow& row) { return sum + row.multiply_adds; });
}

Profile Profile::by_op() const {
  Profile merged;
  merged.seconds = seconds;
  merged.steps = steps;
  std::map<std::tuple<std::string, std::string, Pass>, std::size_t> place;
  std::vector<int> layers;
  for (const ProfileRow& row : rows) {
    const auto [at, fresh] =
        place.emplace(std::tuple(row.op, row.algorithm(), row.pass), merged.rows.size());
    if (fresh) {
      merged.rows.push_back(row);
      layers.push_back(1);
      continue;
    }
    ProfileRow& sum = merged.rows[at->second];
    ++layers[at->second];
    sum.calls += row.calls;
    sum.seconds += row.seconds;
    sum.multiply_adds += row.multiply_adds;
    sum.bytes += row.bytes;
  }
  for (std::size_t i = 0; i < layers.size(); ++i)
    merged.rows[i].path = std::to_string(layers[i]) + (layers[i] == 1 ? " layer" : " layers");
  return merged;
}

namespace {

using Cells = std::vector<std::string>;

std::string fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

/// A rate and its part of the peak; nothing for what does not compute or move anything.
void add_rate(Cells& cells, double rate, double peak) {
  cells.push_back(rate > 0 ? fixed(rate, 1) : "");
  cells.push_back(rate > 0 && peak > 0 ? fixed(100 * rate / peak, 0) : "");
}

Cells profile_cells(const ProfileRow& row, const Profile& profile, const MachinePeaks& peaks) {
  const double steps = std::max(profile.steps, 1);
  Cells cells = {row.path.empty() ? "(no module)" : row.path,
                 row.op,
                 to_string(row.pass),
                 row.op == kBetween ? "" : fixed(static_cast<double>(row.calls) / steps, 0),
                 fixed(1e3 * row.seconds / steps, 2),
                 fixed(profile.seconds > 0 ? 100 * row.seconds / profile.seconds : 0, 1)};
  add_rate(cells, row.gflops(), peaks.gflops);
  add_rate(cells, row.gb_per_s(), peaks.gb_per_s);
  cells.push_back(row.algorithm());
  return cells;
}

}  // namespace

std::string Profile::table(const MachinePeaks& peaks, ProfileOrder order) const {
  std::vector<const ProfileRow*> sorted;
  ProfileRow small{.path = "", .op = "", .remark = ""};
  int small_rows = 0;
  for (const ProfileRow& row : rows) {
    if (row.seconds >= seconds / 1000 || row.multiply_adds > 0) {
      sorted.push_back(&row);
      continue;
    }
    small.seconds += row.seconds;
    ++small_rows;
  }
  if (order == ProfileOrder::time)
    std::ranges::stable_sort(sorted,
                             [](const auto* a, const auto* b) { return a->seconds > b->seconds; });

  std::vector<Cells> lines = {
      {"layer", "op", "pass", "calls", "ms", "share", "GFLOP/s", "% peak", "GB/s", "% peak", "by"}};
  for (const ProfileRow* row : sorted) lines.push_back(profile_cells(*row, *this, peaks));
  if (small_rows > 0) {
    Cells cells = profile_cells(small, *this, peaks);
    cells[0] = "(" + std::to_string(small_rows) + " smaller)";
    cells[2] = cells[3] = "";
    lines.push_back(std::move(cells));
  }
  const ProfileRow all{
      .path = "", .op = "", .seconds = seconds, .multiply_adds = multiply_adds(), .remark = ""};
  lines.push_back(profile_cells(all, *this, peaks));
  lines.back()[0] = steps > 1 ? "total of one step, mean of " + std::to_string(steps) : "total";
  lines.back()[2] = lines.back()[3] = "";

  std::vector<std::size_t> widths(lines[0].size(), 0);
  for (std::size_t l = 0; l < lines.size(); ++l)
    for (std::size_t c = 0; c < widths.size(); ++c)
      if (l + 1 < lines.size() || c > 0)  // the total's first cell may run into the next ones
        widths[c] = std::max(widths[c], lines[l][c].size());
  const bool remarks = widths.back() > lines[0].back().size();
  std::string text;
  for (const Cells& cells : lines) {
    std::string line;
    std::size_t end = 0;  // where the column ends
    for (std::size_t c = 0; c + (remarks ? 0 : 1) < widths.size(); ++c) {
      const std::size_t begin = c == 0 ? 0 : end + 2;
      end = begin + widths[c];
      const bool right = c >= 3 && c + 1 < widths.size();
      const std::size_t at = right ? end - cells[c].size() : begin;
      if (!cells[c].empty()) line.append(at > line.size() ? at - line.size() : 0, ' ') += cells[c];
    }
    text += line + '\n';
  }
  return text + "peaks with " + std::to_string(peaks.threads) +
         (peaks.threads == 1 ? " thread: " : " threads: ") + fixed(peaks.gflops, 0) + " GFLOP/s, " +
         fixed(peaks.gb_per_s, 1) + " GB/s of main memory\n";
}

}  // namespace boxgrad::nn
