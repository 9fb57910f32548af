#include "core/svg.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>

namespace boxgrad {

namespace {

// Length of the UTF-8 sequence that starts `text`, or 0 when it is not a valid one (RFC 3629: no
// overlong forms, no surrogates, nothing above U+10FFFF).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xC2 && first < 0xE0   ? 2
                             : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xF0 && first < 0xF5 ? 4
                                                             : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  const std::uint8_t second = byte(1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F)) return 0;
  if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) return 0;
  return length;
}

constexpr const char* kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Colours that keep apart for most kinds of colour blindness and on both grounds.
constexpr const char* kChartStyle =
    "<style>"
    ".bx{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}"
    ".bx .paper{fill:#fff}.bx .ink{fill:#1b2430}.bx .soft{fill:#5a6675}.bx .faint{fill:#8b96a3}"
    ".bx .title{font-size:14px;font-weight:600}.bx .small{font-size:11px}"
    ".bx .mono{font-family:ui-monospace,'DejaVu Sans Mono',Menlo,monospace;font-size:11px}"
    ".bx .strong{font-weight:600}"
    ".bx .grid{stroke:#e4e8ed;stroke-width:1}.bx .axis{stroke:#9aa5b1;stroke-width:1}"
    ".bx .mark{stroke:#9aa5b1;stroke-width:1;stroke-dasharray:3 3}"
    ".bx .line{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round;"
    "stroke-linecap:round}.bx .dashed{stroke-dasharray:6 4}"
    ".bx .fill{fill:currentColor}.bx .band{fill:currentColor;opacity:.16}"
    ".bx .dot{fill:currentColor;fill-opacity:.8;stroke:#fff;stroke-width:.75}"
    ".bx .box{fill:#f3f6fa;stroke:#b9c3cf}.bx .leaf{fill:#e8f2fd;stroke:#2f77c9}"
    ".bx .constant{fill:#f7f7f7;stroke:#b9c3cf;stroke-dasharray:4 3}"
    ".bx .loss{fill:#fdeee6;stroke:#d2602a}"
    ".bx .edge{fill:none;stroke:#9aa5b1;stroke-width:1.3}.bx .arrow{fill:#9aa5b1}"
    ".bx .gradient{fill:#b7461a}.bx .onlight{fill:#1b2430}.bx .ondark{fill:#fff}"
    ".bx .s0{color:#2f77c9}.bx .s1{color:#d9652b}.bx .s2{color:#1a936f}.bx .s3{color:#8457c9}"
    ".bx .s4{color:#b98a00}.bx .s5{color:#cf3f7c}.bx .s6{color:#5d6f82}.bx .s7{color:#0c98b5}"
    "@media(prefers-color-scheme:dark){"
    ".bx .paper{fill:#171c23}.bx .ink{fill:#e6eaef}.bx .soft{fill:#a6b0bc}.bx .faint{fill:#7d8894}"
    ".bx .grid{stroke:#2a323c}.bx .axis{stroke:#5b6673}.bx .mark{stroke:#6d7885}"
    ".bx .dot{stroke:#171c23}"
    ".bx .box{fill:#212832;stroke:#465261}.bx .leaf{fill:#172a40;stroke:#5b9fe8}"
    ".bx .constant{fill:#1c222a;stroke:#465261}.bx .loss{fill:#3a2318;stroke:#f08a57}"
    ".bx .edge{stroke:#6d7885}.bx .arrow{fill:#6d7885}.bx .gradient{fill:#f5a078}"
    ".bx .s0{color:#5b9fe8}.bx .s1{color:#f08a57}.bx .s2{color:#3fbf97}.bx .s3{color:#ab86ea}"
    ".bx .s4{color:#dcb23c}.bx .s5{color:#ef75a6}.bx .s6{color:#98a7b7}.bx .s7{color:#3dc0db}"
    "}</style>\n";

}  // namespace

std::string escape_xml(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const auto c = static_cast<std::uint8_t>(text[0]);
    if (length == 0 || (c < 0x20 && c != '\n' && c != '\t') || c == 0x7F)
      out += kReplacement;
    else if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else
      out += text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

std::string format_number(double value, int digits) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  if (value == 0) return "0";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::general,
                                 std::clamp(digits, 1, 17));
  return {buffer, end.ptr};
}

std::string format_coordinate(double value) {
  if (!std::isfinite(value)) return "0";
  char buffer[64];
  const double limited = std::clamp(value, -1e6, 1e6);
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, limited, std::chars_format::fixed, 2);
  std::string_view text(buffer, static_cast<std::size_t>(end.ptr - buffer));
  while (text.back() == '0') text.remove_suffix(1);
  if (text.back() == '.') text.remove_suffix(1);
  return text == "-0" ? "0" : std::string(text);
}

double text_width(std::string_view text, double font_size) {
  double width = 0;
  for (const char c : text) {
    if ((static_cast<std::uint8_t>(c) & 0xC0) == 0x80) continue;  // continues a code point
    const bool narrow = std::string_view(" .,:;!|'`ijlt()[]{}I").find(c) != std::string_view::npos;
    const bool wide = std::string_view("mwMW@%").find(c) != std::string_view::npos;
    width += narrow ? 0.36 : wide ? 0.9 : 0.6;
  }
  return width * font_size;
}

std::string fit_text(std::string_view text, double font_size, double max_width) {
  if (text_width(text, font_size) <= max_width) return std::string(text);
  std::string out;
  while (!text.empty()) {
    const std::size_t length = std::max<std::size_t>(utf8_length(text), 1);
    const std::string longer = out + std::string(text.substr(0, length));
    if (text_width(longer, font_size) + 0.8 * font_size > max_width) break;
    out = longer;
    text.remove_prefix(length);
  }
  return out + "\xE2\x80\xA6";  // …
}

std::vector<double> nice_ticks(double low, double high, int count) {
  if (!std::isfinite(low) || !std::isfinite(high) || !(low < high) || count < 1) return {};
  // Divided first: the difference of two finite numbers may overflow.
  const double rough = high / count - low / count;
  if (!(rough > 0) || !std::isfinite(rough)) return {};
  const double power = std::pow(10, std::floor(std::log10(rough)));
  if (!(power > 0)) return {};
  const double ratio = rough / power;
  const double step = power * (ratio < 1.0001 ? 1 : ratio < 2.0001 ? 2 : ratio < 5.0001 ? 5 : 10);
  std::vector<double> ticks;
  const double first = std::ceil(low / step - 1e-9);
  for (int i = 0; i < 4 * count + 8; ++i) {
    const double tick =
        (first + i) * step;  // a product, not a sum: 0.3 and not 0.30000000000000004
    if (tick > high + 1e-9 * step) break;
    ticks.push_back(tick == 0 ? 0 : tick);
  }
  return ticks;
}

std::vector<double> log_ticks(double low, double high) {
  if (!(low > 0) || !(low < high) || !std::isfinite(high)) return {};
  const int first = static_cast<int>(std::floor(std::log10(low)));
  const int last = static_cast<int>(std::ceil(std::log10(high)));
  const int every = std::max(1, (last - first) / 8);
  std::vector<double> ticks;
  for (int e = first; e <= last; ++e)
    for (const int factor : {1, 2, 5}) {
      if (factor == 1 ? (e - first) % every != 0 : last - first > 3) continue;
      const double tick = factor * std::pow(10, e);
      if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) ticks.push_back(tick);
    }
  return ticks.size() >= 2 ? ticks : nice_ticks(low, high, 4);
}

std::vector<std::string> tick_labels(const std::vector<double>& ticks) {
  double largest = 0, smallest = 0;
  for (const double tick : ticks) {
    largest = std::max(largest, std::abs(tick));
    if (tick != 0) smallest = smallest == 0 ? std::abs(tick) : std::min(smallest, std::abs(tick));
  }
  const double unit = smallest >= 1e6 ? 1e6 : largest >= 1e4 && smallest >= 1e3 ? 1e3 : 1;
  const char* suffix = unit == 1e6 ? "M" : unit == 1e3 ? "k" : "";
  std::vector<std::string> labels;
  for (const double tick : ticks) {
    const bool readable = largest < 1e10 && (smallest >= 1e-4 || smallest == 0);
    labels.push_back(format_number(readable ? tick / unit : tick, 6));
    if (readable && tick != 0) labels.back() += suffix;
  }
  return labels;
}

Svg::Svg(double width, double height, std::string_view description)
    : width_(width), height_(height), description_(description) {}

void Svg::attribute(const char* name, double value) {
  body_ += ' ';
  body_ += name;
  body_ += "=\"";
  body_ += format_coordinate(value);
  body_ += '"';
}

void Svg::finish(std::string_view style, std::string_view tooltip, const char* element) {
  if (!style.empty()) body_.append(" class=\"").append(style).append("\"");
  if (tooltip.empty())
    body_ += "/>\n";
  else
    body_ += "><title>" + escape_xml(tooltip) + "</title></" + element + ">\n";
}

void Svg::open_group(std::string_view style) {
  body_.append("<g class=\"").append(style).append("\">\n");
}

void Svg::open_series(int color) {
  const char style[] = {'s', static_cast<char>('0' + (color % 8 + 8) % 8)};
  open_group({style, 2});
}

void Svg::close_group() { body_ += "</g>\n"; }

void Svg::line(double x1, double y1, double x2, double y2, std::string_view style) {
  body_ += "<line";
  attribute("x1", x1);
  attribute("y1", y1);
  attribute("x2", x2);
  attribute("y2", y2);
  finish(style, {}, "line");
}

void Svg::rect(double x, double y, double width, double height, std::string_view style,
               double radius, std::string_view tooltip) {
  body_ += "<rect";
  attribute("x", x);
  attribute("y", y);
  attribute("width", std::max(width, 0.0));
  attribute("height", std::max(height, 0.0));
  if (radius > 0) attribute("rx", radius);
  finish(style, tooltip, "rect");
}

void Svg::colored_rect(double x, double y, double width, double height, std::string_view color,
                       std::string_view tooltip) {
  body_ += "<rect";
  attribute("x", x);
  attribute("y", y);
  attribute("width", std::max(width, 0.0));
  attribute("height", std::max(height, 0.0));
  body_ += " fill=\"" + escape_xml(color) + "\"";
  finish({}, tooltip, "rect");
}

void Svg::circle(double x, double y, double radius, std::string_view style,
                 std::string_view tooltip) {
  body_ += "<circle";
  attribute("cx", x);
  attribute("cy", y);
  attribute("r", radius);
  finish(style, tooltip, "circle");
}

void Svg::ellipse(double x, double y, double radius_x, double radius_y, std::string_view style) {
  body_ += "<ellipse";
  attribute("cx", x);
  attribute("cy", y);
  attribute("rx", radius_x);
  attribute("ry", radius_y);
  finish(style, {}, "ellipse");
}

void Svg::path(std::string_view d, std::string_view style) {
  body_.append("<path d=\"").append(d).append("\"");
  finish(style, {}, "path");
}

void Svg::text(double x, double y, std::string_view text, std::string_view style, Anchor anchor) {
  body_ += "<text";
  attribute("x", x);
  attribute("y", y);
  if (anchor != Anchor::start)
    body_ += anchor == Anchor::middle ? " text-anchor=\"middle\"" : " text-anchor=\"end\"";
  body_.append(" class=\"").append(style).append("\">");
  body_ += escape_xml(text) + "</text>\n";
}

void Svg::open_clip(double x, double y, double width, double height) {
  // An inner <svg> clips without an id, and ids would have to be unique in the whole page.
  body_ += "<svg";
  attribute("x", x);
  attribute("y", y);
  attribute("width", width);
  attribute("height", height);
  body_ += " viewBox=\"" + format_coordinate(x) + " " + format_coordinate(y) + " " +
           format_coordinate(width) + " " + format_coordinate(height) + "\">\n";
}

void Svg::close_clip() { body_ += "</svg>\n"; }

std::string Svg::str() const {
  const std::string w = format_coordinate(width_), h = format_coordinate(height_);
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"bx\" role=\"img\" aria-label=\"" +
         escape_xml(description_) + "\" width=\"" + w + "\" height=\"" + h + "\" viewBox=\"0 0 " +
         w + " " + h + "\">\n" + kChartStyle + "<rect width=\"" + w + "\" height=\"" + h +
         "\" rx=\"6\" class=\"paper\"/>\n" + body_ + "</svg>\n";
}

}  // namespace boxgrad
