// core/charts.cpp and core/charts_rows.cpp, with the axes of core/chart_frame.cpp.
#include <cmath>
#include <pugixml.hpp>

#include "core/charts.h"
#include "tests/catch.h"

using namespace boxgrad;

namespace {

void check_xml(const std::string& svg) {
  pugi::xml_document document;
  const auto result = document.load_string(svg.c_str());
  INFO(result.description());
  CHECK(result);
  CHECK(svg.find("nan\"") == std::string::npos);  // never a coordinate
  CHECK(svg.find("inf\"") == std::string::npos);
}

int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

const std::string kEvil = "<script>alert(1)</script>\xFF";

Series make_series(std::vector<double> y) {
  Series s;
  s.y = std::move(y);
  return s;
}

}  // namespace

TEST_CASE("line_chart draws every series and escapes every text", "[charts]") {
  Series a = make_series({1, 2, 4}), b = make_series({3, 2, 1});
  a.name = kEvil;
  a.low = {0, 1, 3};
  a.high = {2, 3, 5};
  b.name = "second";
  b.dashed = true;
  ChartOptions options;
  options.title = options.x_label = options.y_label = kEvil;
  options.marks = {{1, kEvil}, {99, "outside"}};
  const std::string svg = line_chart({a, b}, options);
  check_xml(svg);
  CHECK(svg.find("<script") == std::string::npos);
  CHECK(svg.find("outside") == std::string::npos);
  CHECK(count(svg, "class=\"band\"") == 1);
  CHECK(count(svg, "<path") == 3);
  CHECK(svg == line_chart({a, b}, options));
}

TEST_CASE("line_chart leaves gaps where nothing can be drawn", "[charts]") {
  CHECK(count(line_chart({make_series({1, 2, NAN, 3, 4})}), "<path") == 2);
  const std::string lonely = line_chart({make_series({1, NAN, 3, 4})});
  CHECK(count(lonely, "<path") == 1);
  CHECK(count(lonely, "<circle") == 1);  // a point between gaps becomes a dot
  ChartOptions log;
  log.log_y = true;
  CHECK(count(line_chart({make_series({1, 2, 0, 3, -4, 5, 6})}, log), "<path") == 2);
}

TEST_CASE("charts survive any values", "[charts]") {
  const double inf = INFINITY, big = 1.7e308, small = 5e-324;
  const std::vector<std::vector<double>> cases = {
      {},         {NAN, inf},  {5},        {5, 5},         {0, 0},         {-big, big},
      {big, big}, {-inf, 1.0}, {small, 0}, {small, small}, {1, 1 + 1e-16}, {-3, -3},
  };
  for (const auto& y : cases)
    for (const bool log : {false, true}) {
      ChartOptions options;
      options.log_x = options.log_y = log;
      Series s = make_series(y);
      s.x = y;
      s.low = s.high = y;
      check_xml(line_chart({s}, options));
      check_xml(scatter_chart({s}, options));
      options.log_x = false;
      check_xml(histogram(y, 7, options));
      check_xml(bar_chart(std::vector<std::string>(y.size(), kEvil), {{kEvil, y}}, options));
      for (const bool diverging : {false, true})
        check_xml(
            heat_map({kEvil}, std::vector<std::string>(y.size(), kEvil), y, options, diverging));
      options.x_min = options.y_min = 3;
      options.x_max = options.y_max = 1;  // the wrong way round
      check_xml(line_chart({s}, options));
      check_xml(histogram(y, 7, options));
      check_xml(bar_chart(std::vector<std::string>(y.size(), "a"), {{"b", y}}, options));
    }
  check_xml(line_chart({}));
  CHECK(line_chart({}).find("no data") != std::string::npos);
  check_xml(bar_chart({}, {}));
  check_xml(heat_map({}, {}, {}));
}

TEST_CASE("a long curve is thinned without losing its extremes", "[charts]") {
  Series s;
  for (int i = 0; i < 100000; ++i) {
    s.x.push_back(i);
    s.y.push_back(std::sin(i * 0.001));
  }
  s.y[54321] = 7;
  const std::string svg = line_chart({s});
  CHECK(svg.size() < 60000);
  ChartOptions options;
  options.y_max = 6.9;  // the peak leaves the plot: it is drawn above the clip's top
  CHECK(svg != line_chart({s}, options));
  s.y[54321] = s.y[54320];
  CHECK(svg != line_chart({s}));
}

TEST_CASE("smoothed gives mean and range of each window", "[charts]") {
  const Series s = smoothed(make_series({1, 3, 2, NAN, 6, 8, 5}), 2);
  CHECK(s.y == std::vector<double>{2, 2, 7, 5});
  CHECK(s.x == std::vector<double>{0.5, 2, 4.5, 6});
  CHECK(s.low == std::vector<double>{1, 2, 6, 5});
  CHECK(s.high == std::vector<double>{3, 2, 8, 5});
}

TEST_CASE("histogram counts into the right bins", "[charts]") {
  // 0 and 10 are the ends; a value on an inner edge belongs to the bin above it.
  const std::string svg = histogram({0, 1, 4.9, 5, 10, NAN}, 2);
  CHECK(svg.find("<title>0 to 5: 3</title>") != std::string::npos);
  CHECK(svg.find("<title>5 to 10: 2</title>") != std::string::npos);
}

TEST_CASE("bar_chart and heat_map write their numbers", "[charts]") {
  const std::string bars = bar_chart({"a", "b"}, {{"", {0.25, -3}}});
  CHECK(bars.find(">0.25<") != std::string::npos);
  CHECK(bars.find(">-3<") != std::string::npos);
  const std::string map = heat_map({"r"}, {"c", "d"}, {0.5, NAN});
  CHECK(map.find("<title>r, d: nan</title>") != std::string::npos);
}

TEST_CASE("charts explain a wrong size", "[charts][errors]") {
  Series s = make_series({1, 2});
  s.name = "loss";
  s.x = {1};
  CHECK_THROWS_WITH(line_chart({s}),
                    "line_chart: series \"loss\" must have as many x as y, 2, got 1");
  s.x = {};
  s.low = {1};
  CHECK_THROWS_WITH(line_chart({s}), ContainsSubstring("2 lows and highs, got 1 and 0"));
  CHECK_THROWS_WITH(bar_chart({"a"}, {{"g", {1, 2}}}), ContainsSubstring("1 values, got 2"));
  CHECK_THROWS_WITH(heat_map({"a"}, {"b"}, {}), ContainsSubstring("1 x 1 values, got 0"));
  CHECK_THROWS_WITH(histogram({1}, 0), ContainsSubstring("bins"));
  CHECK_THROWS_WITH(smoothed(s, 0), ContainsSubstring("window"));
}
