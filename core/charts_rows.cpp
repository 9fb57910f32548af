#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "core/charts.h"
#include "core/check.h"
#include "core/svg.h"

// Charts made of rows: bars and heat maps.
namespace boxgrad {

namespace {

double draw_title(Svg& svg, const ChartOptions& options) {
  if (options.title.empty()) return 14;
  svg.text(14, 24, fit_text(options.title, 14, options.width - 28), "ink title");
  return 40;
}

double widest(const std::vector<std::string>& texts, double font_size, double limit) {
  double width = 0;
  for (const std::string& text : texts) width = std::max(width, text_width(text, font_size));
  return std::min(width, limit);
}

// Stops of a perceptually even ramp from light to dark, and of one through white.
using Rgb = std::array<double, 3>;
constexpr std::array<Rgb, 5> kHeatSequential = {
    {{240, 245, 251}, {190, 215, 240}, {110, 169, 219}, {40, 112, 184}, {10, 52, 110}}};
constexpr std::array<Rgb, 5> kHeatDiverging = {
    {{29, 92, 170}, {140, 184, 224}, {247, 247, 247}, {240, 168, 130}, {190, 60, 20}}};

Rgb ramp(const std::array<Rgb, 5>& stops, double part) {
  const double at = std::clamp(part, 0.0, 1.0) * 4;
  const auto i = static_cast<std::size_t>(std::min(at, 3.0));
  Rgb mixed{};
  for (std::size_t c = 0; c < 3; ++c)
    mixed[c] = stops[i][c] + (stops[i + 1][c] - stops[i][c]) * (at - static_cast<double>(i));
  return mixed;
}

std::string hex(const Rgb& color) {
  char text[8];
  std::snprintf(text, sizeof text, "#%02x%02x%02x", static_cast<unsigned>(color[0]) & 255,
                static_cast<unsigned>(color[1]) & 255, static_cast<unsigned>(color[2]) & 255);
  return text;
}

bool is_dark(const Rgb& c) { return 0.3 * c[0] + 0.59 * c[1] + 0.11 * c[2] < 145; }

}  // namespace

std::string bar_chart(const std::vector<std::string>& labels, const std::vector<Bars>& groups,
                      const ChartOptions& options) {
  double low = 0, high = 0;
  for (const Bars& group : groups) {
    check(group.values.size() == labels.size(), "bar_chart: group \"", group.name, "\" must have ",
          labels.size(), " values, got ", group.values.size());
    for (const double v : group.values)
      if (std::isfinite(v)) {
        low = std::max(std::min(low, v), -1e300);
        high = std::min(std::max(high, v), 1e300);
      }
  }
  low = options.y_min.value_or(low);
  high = options.y_max.value_or(high);
  if (!(low < high)) high = low + 1;

  const bool legend =
      std::ranges::any_of(groups, [](const Bars& group) { return !group.name.empty(); });
  const double bar = groups.size() > 1 ? 13 : 16;
  const double row = bar * static_cast<double>(std::max<std::size_t>(groups.size(), 1)) + 9;
  const double rows = row * static_cast<double>(labels.size());
  const double height = (options.title.empty() ? 14 : 40) + (legend ? 22 : 0) +
                        (options.y_label.empty() ? 0 : 18) + rows + 10;
  Svg svg(options.width, height, options.title.empty() ? "bar chart" : options.title);
  double top = draw_title(svg, options);
  if (legend) {
    double x = 14;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      svg.open_series(static_cast<int>(g));
      svg.rect(x, top, 10, 10, "fill", 2);
      svg.close_group();
      svg.text(x + 16, top + 9, groups[g].name, "ink");
      x += 32 + text_width(groups[g].name, 12);
    }
    top += 22;
  }
  if (!options.y_label.empty()) {
    svg.text(14, top + 9, options.y_label, "soft small");
    top += 18;
  }

  const double name_width = widest(labels, 12, options.width * 0.4);
  const double begin = 14 + name_width + 10, value_room = 58;
  const double negative_room = low < 0 ? value_room : 0;
  const double scale = (options.width - begin - value_room - negative_room) / (high / 2 - low / 2);
  const auto place = [&](double v) {
    return begin + negative_room + (std::clamp(v, low, high) / 2 - low / 2) * scale;
  };
  const double zero = place(0);
  for (std::size_t r = 0; r < labels.size(); ++r) {
    const double y = top + row * static_cast<double>(r);
    svg.text(begin - 10, y + (row - 9) / 2 + 4, fit_text(labels[r], 12, name_width + 1), "ink",
             Anchor::end);
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const double v = groups[g].values[r], bar_top = y + bar * static_cast<double>(g);
      const double end = std::isfinite(v) ? place(v) : zero;
      svg.open_series(static_cast<int>(g));
      if (std::isfinite(v))
        svg.rect(std::min(zero, end), bar_top, std::max(std::abs(end - zero), 0.5), bar - 1, "fill",
                 2, labels[r] + ": " + format_number(v, 6));
      svg.close_group();
      const bool left = std::isfinite(v) && v < 0;
      svg.text(left ? end - 5 : end + 5, bar_top + bar / 2 + 3.5, format_number(v, 4), "soft small",
               left ? Anchor::end : Anchor::start);
    }
  }
  svg.line(zero, top - 3, zero, top + rows - 6, "axis");
  if (labels.empty() || groups.empty())
    svg.text(options.width / 2, top, "no data", "faint", Anchor::middle);
  return svg.str();
}

std::string heat_map(const std::vector<std::string>& rows, const std::vector<std::string>& columns,
                     const std::vector<double>& values, const ChartOptions& options,
                     bool diverging) {
  check(values.size() == rows.size() * columns.size(), "heat_map: needs ", rows.size(), " x ",
        columns.size(), " values, got ", values.size());
  double low = 1e300, high = -1e300;
  for (const double v : values)
    if (std::isfinite(v)) {
      low = std::min(low, v);
      high = std::max(high, v);
    }
  if (diverging) {
    high = std::max(std::abs(low), std::abs(high));
    low = -high;
  }
  low = options.y_min.value_or(low);
  high = options.y_max.value_or(high);

  const double name_width = widest(rows, 12, options.width * 0.35);
  const double left = 14 + name_width + (name_width > 0 ? 10 : 0);
  const double count = static_cast<double>(std::max<std::size_t>(columns.size(), 1));
  const double cell = std::min((options.width - left - 14) / count, 110.0);
  const double cell_height = std::clamp(cell * 0.62, 16.0, 34.0);
  const bool too_wide = widest(columns, 11, 1e9) > cell - 4;
  const double height = (options.title.empty() ? 14 : 40) + (options.x_label.empty() ? 0 : 16) +
                        20 + cell_height * static_cast<double>(rows.size()) + 14;
  Svg svg(options.width, height, options.title.empty() ? "heat map" : options.title);
  double top = draw_title(svg, options);
  if (!options.y_label.empty()) svg.text(14, top + 12, options.y_label, "soft small");
  if (!options.x_label.empty()) {
    svg.text(left + cell * count / 2, top + 8, options.x_label, "soft small", Anchor::middle);
    top += 16;
  }
  for (std::size_t c = 0; c < columns.size(); ++c)
    svg.text(left + cell * (static_cast<double>(c) + 0.5), top + 12,
             too_wide ? fit_text(columns[c], 11, cell - 4) : columns[c], "soft small",
             Anchor::middle);
  top += 20;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const double y = top + cell_height * static_cast<double>(r);
    svg.text(left - 10, y + cell_height / 2 + 4, fit_text(rows[r], 12, name_width + 1), "ink",
             Anchor::end);
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const double v = values[r * columns.size() + c], x = left + cell * static_cast<double>(c);
      const double part = high > low ? (v / 2 - low / 2) / (high / 2 - low / 2) : 0.5;
      const Rgb color = std::isfinite(v) ? ramp(diverging ? kHeatDiverging : kHeatSequential, part)
                                         : Rgb{205, 205, 205};
      svg.colored_rect(x + 0.5, y + 0.5, cell - 1, cell_height - 1, hex(color),
                       rows[r] + ", " + columns[c] + ": " + format_number(v, 6));
      const std::string number = format_number(v, 3);
      if (text_width(number, 11) < cell - 2)
        svg.text(x + cell / 2, y + cell_height / 2 + 4, number,
                 is_dark(color) ? "small ondark" : "small onlight", Anchor::middle);
    }
  }
  return svg.str();
}

}  // namespace boxgrad
