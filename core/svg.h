#pragma once

#include <string>
#include <string_view>
#include <vector>

/// Vector pictures as text. The charts of core/charts.h and the graphs of core/graph.h are drawn
/// with this; the result stands inside an HTML page or alone as an .svg file, is the same bytes
/// for the same input, and follows the reader's light or dark mode.
namespace boxgrad {

/// Makes any bytes safe as text or attribute value of HTML and XML: & < > " ' become entities,
/// control characters and bytes that are not UTF-8 become U+FFFD.
std::string escape_xml(std::string_view text);

/// A number for people, with up to `digits` significant digits: 0.75, 12, 1.2e-05, 3.4e+09, nan.
std::string format_number(double value, int digits = 4);

/// A coordinate: at most two decimals, "0" for what is not finite.
std::string format_coordinate(double value);

/// About how wide a text will be, in px. Fonts differ between machines; this is a little generous.
double text_width(std::string_view text, double font_size);

/// The first code points of a text that fit into `max_width` px, with "…" when some were left out.
std::string fit_text(std::string_view text, double font_size, double max_width);

/// Round numbers (1, 2 or 5 times a power of ten) inside [low, high], about `count` of them.
std::vector<double> nice_ticks(double low, double high, int count);

/// Powers of ten inside [low, high] (both > 0), with 2 and 5 times them when there are few.
std::vector<double> log_ticks(double low, double high);

/// Labels for ticks: as many decimals as the smallest step needs, "20k" and "3M" for large ones.
std::vector<std::string> tick_labels(const std::vector<double>& ticks);

/// Where a text's (x, y) lies along it.
enum class Anchor { start, middle, end };

/// A picture under construction; coordinates in px, y downwards. `style` arguments are class
/// names of the style sheet that str() puts in: ink, soft, faint (text and fills); grid, axis
/// (thin lines); s0 to s7 (series colours, set on a group and used through "line", "fill",
/// "band", "dot" inside); paper, box, leaf, edge (graphs); title, small, mono (fonts).
class Svg {
 public:
  /// `description` is what a screen reader says.
  Svg(double width, double height, std::string_view description);

  void open_group(std::string_view style);
  /// A group in series colour 0 to 7 (taken modulo 8).
  void open_series(int color);
  void close_group();
  void line(double x1, double y1, double x2, double y2, std::string_view style);
  void rect(double x, double y, double width, double height, std::string_view style,
            double radius = 0, std::string_view tooltip = {});
  /// A rectangle with a colour of its own, as "#rrggbb".
  void colored_rect(double x, double y, double width, double height, std::string_view color,
                    std::string_view tooltip = {});
  void circle(double x, double y, double radius, std::string_view style,
              std::string_view tooltip = {});
  void ellipse(double x, double y, double radius_x, double radius_y, std::string_view style);
  /// `d` in SVG's path language: "M 0 0 L 10 10".
  void path(std::string_view d, std::string_view style);
  void text(double x, double y, std::string_view text, std::string_view style,
            Anchor anchor = Anchor::start);
  /// Everything until close_clip() is cut at this rectangle; coordinates stay those of the picture.
  void open_clip(double x, double y, double width, double height);
  void close_clip();

  /// The whole picture, `<svg ...>...</svg>` and a line end.
  std::string str() const;

 private:
  void attribute(const char* name, double value);
  void finish(std::string_view style, std::string_view tooltip, const char* element);

  double width_, height_;
  std::string description_, body_;
};

}  // namespace boxgrad
