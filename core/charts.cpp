#include "core/charts.h"

#include <algorithm>
#include <cmath>

#include "core/chart_frame.h"
#include "core/check.h"

// Charts with a pair of axes; bars and tables are in charts_rows.cpp.
namespace boxgrad {

namespace {

/// Adds "M x y" (go there) or "L x y" (draw a line there) to a path.
void add_point(std::string& path, char command, double x, double y) {
  path += command;
  path += format_coordinate(x);
  path += ' ';
  path += format_coordinate(y);
}

/// The points worth drawing: of many that share a px column the first, lowest, highest and last,
/// which look the same as all of them and keep the page light.
std::vector<std::size_t> thinned(const Series& s, const Axis& x, const Axis& y) {
  std::vector<std::size_t> kept;
  const bool all =
      static_cast<double>(s.y.size()) <= 4 * (x.end - x.begin) || !std::ranges::is_sorted(s.x);
  for (std::size_t i = 0; i < s.y.size();) {
    const bool drawable = x.drawable(s.x[i]) && y.drawable(s.y[i]);
    if (all || !drawable) {
      kept.push_back(i++);
      continue;
    }
    const double column = std::floor(x.place(s.x[i]));
    std::size_t low = i, high = i, last = i;
    for (std::size_t j = i; j < s.y.size() && x.drawable(s.x[j]) && y.drawable(s.y[j]) &&
                            std::floor(x.place(s.x[j])) == column;
         last = j++) {
      if (s.y[j] < s.y[low]) low = j;
      if (s.y[j] > s.y[high]) high = j;
    }
    std::vector<std::size_t> column_points = {i, low, high, last};
    std::ranges::sort(column_points);
    column_points.erase(std::unique(column_points.begin(), column_points.end()),
                        column_points.end());
    kept.insert(kept.end(), column_points.begin(), column_points.end());
    i = last + 1;
  }
  return kept;
}

/// Calls draw(first, last) for each run of points that can be drawn.
template <class Ok, class Draw>
void for_each_run(std::size_t n, Ok ok, Draw draw) {
  for (std::size_t i = 0; i < n;) {
    if (!ok(i)) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < n && ok(end)) ++end;
    draw(i, end);
    i = end;
  }
}

void draw_band(Frame& frame, const Series& s) {
  const Axis &x = frame.x(), &y = frame.y();
  // A band may begin below what a logarithmic axis can show: it is then cut at the axis.
  const auto low = [&](std::size_t i) {
    return y.log && !(s.low[i] > 0) ? y.begin : y.place(s.low[i]);
  };
  const auto ok = [&](std::size_t i) {
    return x.drawable(s.x[i]) && std::isfinite(s.low[i]) && y.drawable(s.high[i]);
  };
  for_each_run(s.x.size(), ok, [&](std::size_t begin, std::size_t end) {
    std::string d;
    for (std::size_t i = begin; i < end; ++i)
      add_point(d, i == begin ? 'M' : 'L', x.place(s.x[i]), y.place(s.high[i]));
    for (std::size_t i = end; i-- > begin;) add_point(d, 'L', x.place(s.x[i]), low(i));
    frame.svg().path(d + 'Z', "band");
  });
}

void draw_series(Frame& frame, const Series& s) {
  const Axis &x = frame.x(), &y = frame.y();
  const std::vector<std::size_t> kept = thinned(s, x, y);
  const auto ok = [&](std::size_t k) {
    return x.drawable(s.x[kept[k]]) && y.drawable(s.y[kept[k]]);
  };
  for_each_run(kept.size(), ok, [&](std::size_t begin, std::size_t end) {
    std::string d;
    for (std::size_t k = begin; k < end; ++k)
      add_point(d, k == begin ? 'M' : 'L', x.place(s.x[kept[k]]), y.place(s.y[kept[k]]));
    if (s.line && end - begin > 1) frame.svg().path(d, s.dashed ? "line dashed" : "line");
    // A point between two gaps has no line to be seen by.
    if (!s.markers && !(s.line && end - begin == 1)) return;
    for (std::size_t k = begin; k < end; ++k) {
      const std::size_t i = kept[k];
      frame.svg().circle(x.place(s.x[i]), y.place(s.y[i]), 3.5, "dot",
                         (s.name.empty() ? "" : s.name + ": ") +
                             (s.labels.empty() ? "" : s.labels[i] + ": ") + format_number(s.x[i]) +
                             ", " + format_number(s.y[i]));
    }
  });
}

}  // namespace

std::string line_chart(const std::vector<Series>& given, const ChartOptions& options) {
  std::vector<Series> series = given;
  Axis x, y;
  x.log = options.log_x;
  y.log = options.log_y;
  AxisRange x_range, y_range;
  for (std::size_t n = 0; n < series.size(); ++n) {
    Series& s = series[n];
    if (s.x.empty())
      for (std::size_t i = 0; i < s.y.size(); ++i) s.x.push_back(static_cast<double>(i));
    check(s.x.size() == s.y.size(), "line_chart: series \"", s.name,
          "\" must have as many x as y, ", s.y.size(), ", got ", s.x.size());
    check(s.low.size() == s.high.size() && (s.low.empty() || s.low.size() == s.y.size()),
          "line_chart: the band of series \"", s.name, "\" must have ", s.y.size(),
          " lows and highs, got ", s.low.size(), " and ", s.high.size());
    check(s.labels.empty() || s.labels.size() == s.y.size(), "line_chart: series \"", s.name,
          "\" must have no labels or ", s.y.size(), ", got ", s.labels.size());
    s.color = (s.color < 0 ? static_cast<int>(n % 8) : s.color) % 8;
    for (std::size_t i = 0; i < s.y.size(); ++i) {
      if (!x.drawable(s.x[i])) continue;
      x_range.add(s.x[i]);
      // With a fixed window on x, y shows what is in the window.
      if ((options.x_min && s.x[i] < *options.x_min) || (options.x_max && s.x[i] > *options.x_max))
        continue;
      for (const double v :
           {s.y[i], s.low.empty() ? s.y[i] : s.low[i], s.high.empty() ? s.y[i] : s.high[i]})
        if (y.drawable(v)) y_range.add(v);
    }
  }
  const bool dots = std::ranges::any_of(series, [](const Series& s) { return !s.line; });
  const bool empty = y_range.empty();
  x.set_ends(x_range, options.x_min, options.x_max, dots ? 0.03 : 0);
  y.set_ends(y_range, options.y_min, options.y_max, 0.06);

  Frame frame(options, series, x, y);
  frame.draw_marks();
  frame.open_plot();
  for (const Series& s : series) {
    frame.svg().open_series(s.color);
    if (!s.low.empty()) draw_band(frame, s);
    draw_series(frame, s);
    frame.svg().close_group();
  }
  draw_labels(frame, series);
  frame.svg().close_clip();
  if (empty) frame.say_no_data();
  return frame.svg().str();
}

std::string scatter_chart(std::vector<Series> series, const ChartOptions& options) {
  for (Series& s : series) {
    s.line = false;
    s.markers = true;
  }
  return line_chart(series, options);
}

Series smoothed(const Series& series, std::size_t window) {
  check(window > 0, "smoothed: window must be > 0, got ", window);
  check(series.x.empty() || series.x.size() == series.y.size(), "smoothed: series \"", series.name,
        "\" must have as many x as y, ", series.y.size(), ", got ", series.x.size());
  Series out = series;
  out.x.clear();
  out.y.clear();
  out.low.clear();
  out.high.clear();
  for (std::size_t begin = 0; begin < series.y.size(); begin += window) {
    const std::size_t end = std::min(begin + window, series.y.size());
    AxisRange range;
    double sum_x = 0, sum_y = 0, count = 0;
    for (std::size_t i = begin; i < end; ++i) {
      if (!std::isfinite(series.y[i])) continue;
      sum_x += series.x.empty() ? static_cast<double>(i) : series.x[i];
      sum_y += series.y[i];
      count += 1;
      range.add(series.y[i]);
    }
    if (count == 0) continue;
    out.x.push_back(sum_x / count);
    out.y.push_back(sum_y / count);
    out.low.push_back(range.low);
    out.high.push_back(range.high);
  }
  return out;
}

std::string histogram(const std::vector<double>& values, int bins, const ChartOptions& options) {
  check(bins > 0 && bins <= 1000, "histogram: bins must be in [1, 1000], got ", bins);
  check(!options.log_x, "histogram: a logarithmic x axis is not supported; take log10 of values");
  Axis x, y;
  AxisRange range;
  for (const double v : values)
    if (std::isfinite(v)) range.add(v);
  const bool empty = range.empty();
  x.set_ends(range, options.x_min, options.x_max, 0);
  std::vector<double> counts(static_cast<std::size_t>(bins));
  const double width = x.high / bins - x.low / bins;
  for (const double v : values) {
    if (!std::isfinite(v) || v < x.low || v > x.high) continue;
    const int bin = static_cast<int>(v / width - x.low / width);
    counts[static_cast<std::size_t>(std::clamp(bin, 0, bins - 1))] += 1;
  }
  // Counts of zero cannot stand on a logarithmic axis; bars then begin at half a count.
  y.log = options.log_y;
  const double base = y.log ? 0.5 : 0;
  AxisRange count_range;
  count_range.add(base);
  for (const double count : counts) count_range.add(std::max(count, base));
  y.set_ends(count_range, options.y_min.value_or(base), options.y_max, 0.06);

  ChartOptions labelled = options;
  if (labelled.y_label.empty()) labelled.y_label = "count";
  Frame frame(labelled, {}, x, y);
  frame.open_plot();
  frame.svg().open_series(0);
  const double step = (frame.x().end - frame.x().begin) / bins;
  for (std::size_t b = 0; b < counts.size(); ++b) {
    if (counts[b] == 0) continue;
    const double left = frame.x().begin + step * static_cast<double>(b);
    const double top = frame.y().place(counts[b]), low = x.low + width * static_cast<double>(b);
    frame.svg().rect(left + 0.5, top, step - 1, frame.y().begin - top, "fill", 0,
                     format_number(low) + " to " + format_number(low + width) + ": " +
                         format_number(counts[b], 9));
  }
  frame.svg().close_group();
  frame.svg().close_clip();
  frame.draw_marks();
  if (empty) frame.say_no_data();
  return frame.svg().str();
}

}  // namespace boxgrad
