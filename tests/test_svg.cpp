#include <cmath>
#include <limits>
#include <pugixml.hpp>

#include "core/svg.h"
#include "tests/catch.h"

using namespace boxgrad;

using Texts = std::vector<std::string>;

TEST_CASE("escape_xml leaves nothing that could act", "[svg]") {
  CHECK(escape_xml("<script>alert('a & \"b\"')</script>") ==
        "&lt;script&gt;alert(&#39;a &amp; &quot;b&quot;&#39;)&lt;/script&gt;");
  CHECK(escape_xml("ä€😀\n") == "ä€😀\n");
  CHECK(escape_xml(std::string_view("a\0b\x1B\x7F", 5)) == "a\uFFFDb\uFFFD\uFFFD");
}

TEST_CASE("escape_xml replaces what is not UTF-8", "[svg]") {
  for (const char* bad : {"\xFF", "\x80", "\xC0", "\xF5"}) CHECK(escape_xml(bad) == "\uFFFD");
  CHECK(escape_xml("\xC3") == "\uFFFD");                      // cut off
  CHECK(escape_xml("\xC0\xAF") == "\uFFFD\uFFFD");            // overlong "/"
  CHECK(escape_xml("\xE0\x80\xAF") == "\uFFFD\uFFFD\uFFFD");  // overlong, three bytes
  CHECK(escape_xml("\xED\xA0\x80") == "\uFFFD\uFFFD\uFFFD");  // a surrogate
  CHECK(escape_xml("\xF4\x90\x80\x80").size() == 12);         // above U+10FFFF
  CHECK(escape_xml("\xC3<") == "\uFFFD&lt;");                 // never swallows what follows
}

TEST_CASE("numbers and coordinates are short", "[svg]") {
  CHECK(format_number(0.75) == "0.75");
  CHECK(format_number(1234567) == "1.235e+06");
  CHECK(format_number(-0.0) == "0");
  CHECK(format_number(NAN) == "nan");
  CHECK(format_number(-INFINITY) == "-inf");
  CHECK(format_coordinate(12.3456) == "12.35");
  CHECK(format_coordinate(100) == "100");
  CHECK(format_coordinate(-0.001) == "0");
  CHECK(format_coordinate(INFINITY) == "0");
  CHECK(format_coordinate(1e30) == "1000000");
}

TEST_CASE("ticks are round numbers", "[svg]") {
  CHECK(tick_labels(nice_ticks(0, 1, 5)) == Texts{"0", "0.2", "0.4", "0.6", "0.8", "1"});
  CHECK(tick_labels(nice_ticks(-3.2, 7.9, 6)) == Texts{"-2", "0", "2", "4", "6"});
  CHECK(tick_labels(nice_ticks(0, 50000, 5)) == Texts{"0", "10k", "20k", "30k", "40k", "50k"});
  CHECK(tick_labels(nice_ticks(0.1, 0.30000000000000004, 2)) == Texts{"0.1", "0.2", "0.3"});
  CHECK(tick_labels(log_ticks(0.5, 2000)) == Texts{"1", "10", "100", "1000"});
  CHECK(tick_labels(log_ticks(1, 30)) == Texts{"1", "2", "5", "10", "20"});
  CHECK(log_ticks(1e-300, 1e300).size() < 20);
}

TEST_CASE("ticks survive every pair of ends", "[svg]") {
  const double inf = std::numeric_limits<double>::infinity();
  const double values[] = {0,     1,     -1,   1e-320, 1e308, -1e308, 1 + 1e-16, 1e15,
                           1e-12, 1e300, -inf, inf,    NAN,   3,      1e15 + 1};
  for (const double low : values)
    for (const double high : values) {
      for (const double tick : nice_ticks(low, high, 5)) CHECK((tick >= low || tick <= high));
      CHECK(nice_ticks(low, high, 5).size() < 40);
      CHECK(log_ticks(low, high).size() < 60);
      CHECK(tick_labels(nice_ticks(low, high, 5)).size() < 40);
    }
}

TEST_CASE("fit_text cuts between code points", "[svg]") {
  CHECK(fit_text("short", 12, 100) == "short");
  const std::string cut = fit_text("ääääääääääääääääääää", 12, 60);
  CHECK(text_width(cut, 12) <= 60);
  CHECK(escape_xml(cut) == cut);
  CHECK(cut.ends_with("…"));
}

TEST_CASE("Svg is well-formed XML and the same every time", "[svg]") {
  const auto draw = [] {
    Svg svg(100, 50, "a \"picture\" of <things>");
    svg.open_series(9);
    svg.rect(1, 2, 3, -4, "fill", 2, "tip & more");
    svg.colored_rect(1, 2, 3, 4, "#ff0000", "<tip>");
    svg.circle(1, NAN, 2, "dot");
    svg.ellipse(1, 2, 3, 4, "leaf");
    svg.line(0, 0, 1, 1, "axis");
    svg.close_group();
    svg.open_clip(0, 0, 10, 10);
    svg.path("M 0 0 L 1 1", "edge");
    svg.close_clip();
    svg.text(1, 2, "<script>", "ink", Anchor::middle);
    return svg.str();
  };
  const std::string text = draw();
  pugi::xml_document document;
  CHECK(document.load_string(text.c_str()));
  CHECK(document.child("svg").child("g").attribute("class").value() == std::string("s1"));
  CHECK(document.child("svg").child("text").text().get() == std::string("<script>"));
  CHECK(text == draw());
}
