#include "core/chart_frame.h"

#include <algorithm>

namespace boxgrad {

namespace {

// Beyond this the difference of two values, or a margin around them, could overflow.
constexpr double kLargest = 1e300;

std::string description(const ChartOptions& options) {
  std::string text = options.title.empty() ? "chart" : options.title;
  if (!options.y_label.empty()) text += ", " + options.y_label;
  if (!options.x_label.empty()) text += " over " + options.x_label;
  return text;
}

}  // namespace

void AxisRange::add(double v) {
  v = std::clamp(v, -kLargest, kLargest);
  low = std::min(low, v);
  high = std::max(high, v);
}

double Axis::place(double v) const {
  v = std::clamp(v, -kLargest, kLargest);
  // Halves: the difference of two finite numbers may overflow.
  const double part = log ? (std::log(v) - std::log(low)) / (std::log(high) - std::log(low))
                          : (v / 2 - low / 2) / (high / 2 - low / 2);
  return begin + std::clamp(part, -10.0, 11.0) * (end - begin);
}

std::vector<double> Axis::ticks(int count) const {
  return log ? log_ticks(low, high) : nice_ticks(low, high, count);
}

void Axis::set_ends(AxisRange range, std::optional<double> fixed_low,
                    std::optional<double> fixed_high, double air) {
  const bool low_ok = fixed_low && drawable(*fixed_low);
  const bool high_ok = fixed_high && drawable(*fixed_high);
  if (range.empty()) {
    range.add(log ? 1 : 0);
    range.add(log ? 10 : 1);
  }
  if (low_ok) range.low = *fixed_low;
  if (high_ok) range.high = *fixed_high;
  if (log) {
    const double factor = range.low < range.high ? std::pow(range.high / range.low, air) : 2;
    const double stretch = std::isfinite(factor) ? factor : 2;
    low = low_ok ? range.low : std::max(range.low / stretch, 1e-305);
    high = high_ok ? range.high : range.high * stretch;
  } else {
    const double length = range.high - range.low;
    const double margin = length > 0       ? air * length
                          : range.low == 0 ? 1
                                           : std::max(std::abs(range.low) * 0.1, 1e-300);
    low = low_ok ? range.low : range.low - margin;
    high = high_ok ? range.high : range.high + margin;
    // Air below zero under values that are never negative would suggest that they could be.
    if (!low_ok && range.low >= 0 && low < 0) low = 0;
  }
  if (!(low < high)) {  // ends fixed the wrong way round
    low = log ? 1 : 0;
    high = log ? 10 : 1;
  }
}

Frame::Frame(const ChartOptions& options, const std::vector<Series>& legend, Axis x, Axis y)
    : options_(options), svg_(options.width, options.height, description(options)), x_(x), y_(y) {
  double top = 12;
  if (!options.title.empty()) {
    svg_.text(14, top + 12, fit_text(options.title, 14, options.width - 28), "ink title");
    top += 26;
  }
  top = draw_legend(legend, top);
  if (!options.y_label.empty()) {
    svg_.text(14, top + 10, fit_text(options.y_label, 11, options.width - 28), "soft small");
    top += 16;
  }
  y_.end = top + 8;
  y_.begin = options.height - (options.x_label.empty() ? 30 : 46);
  draw_axes();
}

double Frame::draw_legend(const std::vector<Series>& legend, double top) {
  double x = 14, y = top + 9;
  bool any = false;
  for (const Series& s : legend) {
    if (s.name.empty()) continue;
    const std::string name = fit_text(s.name, 12, options_.width - 60);
    const double width = 22 + text_width(name, 12) + 16;
    if (any && x + width > options_.width - 8) {
      x = 14;
      y += 17;
    }
    svg_.open_series(s.color);
    if (s.line)
      svg_.line(x, y - 4, x + 16, y - 4, s.dashed ? "line dashed" : "line");
    else
      svg_.circle(x + 8, y - 4, 4, "dot");
    svg_.close_group();
    svg_.text(x + 22, y, name, "ink");
    x += width;
    any = true;
  }
  return any ? y + 10 : top;
}

void Frame::draw_axes() {
  const std::vector<double> y_ticks =
      y_.ticks(std::max(2, static_cast<int>((y_.begin - y_.end) / 45)));
  const std::vector<std::string> y_texts = tick_labels(y_ticks);
  double widest = 20;
  for (const std::string& text : y_texts) widest = std::max(widest, text_width(text, 11));
  x_.begin = 14 + widest + 8;
  x_.end = options_.width - 18;
  for (std::size_t i = 0; i < y_ticks.size(); ++i) {
    const double at = y_.place(y_ticks[i]);
    svg_.line(x_.begin, at, x_.end, at, "grid");
    svg_.text(x_.begin - 8, at + 4, y_texts[i], "soft small", Anchor::end);
  }

  const std::vector<double> x_ticks =
      x_.ticks(std::max(2, static_cast<int>((x_.end - x_.begin) / 80)));
  const std::vector<std::string> x_texts = tick_labels(x_ticks);
  double free_from = -1e9;  // labels that would run into each other are left out
  for (std::size_t i = 0; i < x_ticks.size(); ++i) {
    const double at = x_.place(x_ticks[i]), half = text_width(x_texts[i], 11) / 2;
    svg_.line(at, y_.begin, at, y_.begin + 4, "axis");
    if (at - half < free_from) continue;
    svg_.text(at, y_.begin + 17, x_texts[i], "soft small", Anchor::middle);
    free_from = at + half + 6;
  }
  svg_.line(x_.begin, y_.begin, x_.end, y_.begin, "axis");
  if (!options_.x_label.empty())
    svg_.text((x_.begin + x_.end) / 2, options_.height - 12,
              fit_text(options_.x_label, 11, options_.width - 28), "soft small", Anchor::middle);
}

void Frame::open_plot() {
  svg_.open_clip(x_.begin - 5, y_.end - 5, x_.end - x_.begin + 10, y_.begin - y_.end + 10);
}

void Frame::draw_marks() {
  for (const ChartMark& mark : options_.marks) {
    if (!x_.drawable(mark.x) || mark.x < x_.low || mark.x > x_.high) continue;
    const double at = x_.place(mark.x);
    svg_.line(at, y_.end, at, y_.begin, "mark");
    const bool left = at + text_width(mark.text, 11) + 4 > x_.end;
    svg_.text(left ? at - 4 : at + 4, y_.end + 10, mark.text, "soft small",
              left ? Anchor::end : Anchor::start);
  }
}

void Frame::say_no_data() {
  svg_.text((x_.begin + x_.end) / 2, (y_.begin + y_.end) / 2, "no data", "faint", Anchor::middle);
}

}  // namespace boxgrad
