#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/charts.h"
#include "core/svg.h"
#include "layers/profile.h"

namespace boxgrad::nn {

std::string roofline(const Profile& profile, const MachinePeaks& peaks, const std::string& title) {
  const double ridge = peaks.gb_per_s > 0 ? peaks.gflops / peaks.gb_per_s : 1;
  double x_low = ridge / 8, x_high = ridge * 8, y_low = peaks.gflops / 8, y_high = peaks.gflops;
  // The slowest come first: they matter most, so their labels get the room.
  std::vector<const ProfileRow*> rows;
  for (const ProfileRow& row : profile.rows)
    if (row.multiply_adds > 0 && row.bytes > 0 && row.seconds > 0) rows.push_back(&row);
  std::ranges::stable_sort(rows,
                           [](const auto* a, const auto* b) { return a->seconds > b->seconds; });

  std::vector<Series> series = {
      {.name = "roof: " + format_number(peaks.gflops, 3) + " GFLOP/s, or " +
               format_number(peaks.gb_per_s, 3) + " GB/s times FLOP per byte",
       .color = 7},
      {.name = "forward", .line = false, .markers = true, .color = 0},
      {.name = "backward", .line = false, .markers = true, .color = 1}};
  for (const ProfileRow* row : rows) {
    Series& s = series[row->pass == Pass::backward ? 2 : 1];
    s.x.push_back(2 * static_cast<double>(row->multiply_adds) / static_cast<double>(row->bytes));
    s.y.push_back(row->gflops());
    s.labels.push_back(row->path.empty() ? row->op : row->path);
    x_low = std::min(x_low, s.x.back() / 2);
    x_high = std::max(x_high, s.x.back() * 2);
    y_low = std::min(y_low, s.y.back() / 2);
    y_high = std::max(y_high, s.y.back());
  }
  series[0].x = {x_low, ridge, x_high};
  series[0].y = {x_low * peaks.gb_per_s, peaks.gflops, peaks.gflops};
  return line_chart(series, {.title = title,
                             .x_label = "FLOP per byte that must move",
                             .y_label = "GFLOP/s with " + std::to_string(peaks.threads) +
                                        (peaks.threads == 1 ? " thread" : " threads"),
                             .log_x = true,
                             .log_y = true,
                             .x_min = x_low,
                             .x_max = x_high,
                             .y_min = y_low,
                             .y_max = y_high * 1.5,
                             .marks = {{ridge, "ridge: " + format_number(ridge, 2) + " FLOP/byte"}},
                             .width = 900,
                             .height = 520});
}

}  // namespace boxgrad::nn
