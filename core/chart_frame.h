#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "core/charts.h"
#include "core/svg.h"

/// What every chart with a pair of axes shares; seen by charts.cpp only.
namespace boxgrad {

/// Smallest and largest of the values shown so far.
struct AxisRange {
  double low = INFINITY, high = -INFINITY;
  void add(double v);
  bool empty() const { return !(low <= high); }
};

/// One axis: from values to px.
struct Axis {
  double low = 0, high = 1;   ///< in values
  double begin = 0, end = 1;  ///< in px
  bool log = false;

  bool drawable(double v) const { return std::isfinite(v) && (!log || v > 0); }
  double place(double v) const;
  std::vector<double> ticks(int count) const;

  /// Chooses low and high: what the caller fixed, else the range and `air` times its length.
  void set_ends(AxisRange range, std::optional<double> fixed_low, std::optional<double> fixed_high,
                double air);
};

/// Title, legend, ticks and labels around a plot, and the picture they are drawn into.
class Frame {
 public:
  Frame(const ChartOptions& options, const std::vector<Series>& legend, Axis x, Axis y);

  Svg& svg() { return svg_; }
  const Axis& x() const { return x_; }
  const Axis& y() const { return y_; }

  /// Cuts at the plot's border, with room for dots that sit on it, until svg().close_clip().
  void open_plot();
  void draw_marks();
  void say_no_data();

 private:
  double draw_legend(const std::vector<Series>& legend, double top);
  void draw_axes();

  const ChartOptions& options_;
  Svg svg_;
  Axis x_, y_;
};

/// Writes the labels of all points that have one: to the right, the left, above or below, wherever
/// neither dots, lines nor earlier labels stand; else not at all (core/chart_labels.cpp).
void draw_labels(Frame& frame, const std::vector<Series>& series);

}  // namespace boxgrad
