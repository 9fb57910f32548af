#pragma once

#include <optional>
#include <string>
#include <vector>

/// Charts as SVG text, for Report::svg() or a file of their own. Values that cannot be drawn (not
/// finite, or <= 0 on a logarithmic axis) leave a gap; a chart without values says "no data".
namespace boxgrad {

/// One curve or cloud of points.
struct Series {
  std::string name = "";               ///< for the legend; "" stays out of it
  std::vector<double> x = {}, y = {};  ///< as many of each; x empty: 0, 1, 2, ...
  std::vector<double> low = {},
                      high = {};  ///< a shaded band around the curve, e.g. min and max of seeds
  /// One per point, or none: written beside it where there is room (the first come first), and
  /// shown when the pointer rests on its dot.
  std::vector<std::string> labels = {};
  bool line = true;      ///< join the points
  bool markers = false;  ///< draw a dot at each
  bool dashed = false;
  int color = -1;  ///< 0 to 7; -1: its place in the list
};

/// A dashed vertical line with a word, e.g. where the learning rate drops.
struct ChartMark {
  double x = 0;
  std::string text;
};

struct ChartOptions {
  std::string title = "", x_label = "", y_label = "";
  bool log_x = false, log_y = false;
  std::optional<double> x_min = {}, x_max = {}, y_min = {}, y_max = {};  ///< unset: from the values
  std::vector<ChartMark> marks = {};
  double width = 720, height = 360;  ///< px; the page scales it down on a phone
};

/// Curves over a common pair of axes. Throws std::invalid_argument when x, y, labels, low and high
/// of a series differ in size.
std::string line_chart(const std::vector<Series>& series, const ChartOptions& options = {});

/// The same with dots instead of lines.
std::string scatter_chart(std::vector<Series> series, const ChartOptions& options = {});

/// A noisy curve as its mean over windows of about `window` points, with the smallest and largest
/// value of each window as band: what a loss curve should be drawn as.
Series smoothed(const Series& series, std::size_t window);

/// One colour of bars.
struct Bars {
  std::string name;
  std::vector<double> values;  ///< one per label
};

/// Horizontal bars with their values written at the end, one row per label (long names stay
/// readable), several bars per row for several groups. The height follows from the rows.
/// Throws std::invalid_argument when a group has not one value per label.
std::string bar_chart(const std::vector<std::string>& labels, const std::vector<Bars>& groups,
                      const ChartOptions& options = {});

/// How often values fall into `bins` equal parts of their range (or of x_min..x_max).
std::string histogram(const std::vector<double>& values, int bins,
                      const ChartOptions& options = {});

/// A coloured table, e.g. a confusion matrix: values row by row, rows.size() * columns.size() of
/// them. y_min and y_max of the options fix the range of colours. `diverging` puts white at 0 and
/// two colours around it. The height follows from the rows.
std::string heat_map(const std::vector<std::string>& rows, const std::vector<std::string>& columns,
                     const std::vector<double>& values, const ChartOptions& options = {},
                     bool diverging = false);

}  // namespace boxgrad
