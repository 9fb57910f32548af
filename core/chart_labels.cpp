#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "core/chart_frame.h"

// Words beside points: drawn by line_chart, see Series::labels.
namespace boxgrad {

namespace {

struct LabelBox {
  double left, top, right, bottom;
  bool overlaps(const LabelBox& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

}  // namespace

void draw_labels(Frame& frame, const std::vector<Series>& series) {
  constexpr double kFont = 11, kRadius = 4.5;
  const Axis &x = frame.x(), &y = frame.y();
  struct Point {
    double x, y;
    const std::string* label;
  };
  std::vector<Point> points;
  std::vector<LabelBox> taken;
  for (const Series& s : series)
    for (std::size_t i = 0; i < s.labels.size(); ++i) {
      if (!x.drawable(s.x[i]) || !y.drawable(s.y[i])) continue;
      const double px = x.place(s.x[i]), py = y.place(s.y[i]);
      points.push_back({px, py, &s.labels[i]});
      taken.push_back({px - kRadius, py - kRadius, px + kRadius, py + kRadius});
    }
  if (points.empty()) return;
  for (const Series& s : series)  // lines are kept free, too
    for (std::size_t i = 0; s.line && i + 1 < s.x.size(); ++i) {
      if (!x.drawable(s.x[i]) || !y.drawable(s.y[i]) || !x.drawable(s.x[i + 1]) ||
          !y.drawable(s.y[i + 1]))
        continue;
      constexpr int kSteps = 100;
      for (int step = 0; step <= kSteps; ++step) {
        const double part = static_cast<double>(step) / kSteps;
        const double px = x.place(s.x[i]) + part * (x.place(s.x[i + 1]) - x.place(s.x[i]));
        const double py = y.place(s.y[i]) + part * (y.place(s.y[i + 1]) - y.place(s.y[i]));
        taken.push_back({px - 1, py - 1, px + 1, py + 1});
      }
    }
  const LabelBox plot{x.begin, y.end, x.end, y.begin};
  for (const Point& p : points) {
    const double width = text_width(*p.label, kFont);
    struct Place {
      double x, y;  // of the text's start and baseline
    };
    const std::array<Place, 4> places = {{{p.x + 7, p.y + 4},
                                          {p.x - 7 - width, p.y + 4},
                                          {p.x - width / 2, p.y - 8},
                                          {p.x - width / 2, p.y + 16}}};
    for (const Place& place : places) {
      const LabelBox box{place.x, place.y - 10, place.x + width, place.y + 3};
      const bool inside = box.left >= plot.left && box.right <= plot.right && box.top >= plot.top &&
                          box.bottom <= plot.bottom;
      if (!inside || std::ranges::any_of(taken, [&](const auto& t) { return box.overlaps(t); }))
        continue;
      taken.push_back(box);
      frame.svg().text(place.x, place.y, *p.label, "soft small");
      break;
    }
  }
}

}  // namespace boxgrad
