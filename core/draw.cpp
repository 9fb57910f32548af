#include "core/draw.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/font.h"

namespace boxgrad {

namespace {

// Coordinates are brought into this range, so that what lies far outside an image can be drawn
// with int arithmetic. No image has a side near it (core/image.h).
constexpr double kFar = 1 << 20;

template <class... Values>
bool finite(Values... values) {
  return (std::isfinite(values) && ...);
}

int to_pixel(double v) { return static_cast<int>(std::lround(std::clamp(v, -kFar, kFar))); }

void blend_pixel(Image& image, int x, int y, Color color, double opacity) {
  std::uint8_t* p = image.pixel(x, y);
  const std::uint8_t target[3] = {color.red, color.green, color.blue};
  if (opacity >= 1) {
    std::copy_n(target, 3, p);
  } else if (opacity > 0) {
    for (int c = 0; c < 3; ++c)
      p[c] = static_cast<std::uint8_t>(p[c] + std::lround(opacity * (target[c] - p[c])));
  }
}

// Pixels x1 <= x < x2, y1 <= y < y2 that are inside.
void fill_pixels(Image& image, int x1, int y1, int x2, int y2, Color color, double opacity) {
  x1 = std::max(x1, 0), y1 = std::max(y1, 0);
  x2 = std::min(x2, image.width()), y2 = std::min(y2, image.height());
  for (int y = y1; y < y2; ++y)
    for (int x = x1; x < x2; ++x) blend_pixel(image, x, y, color, opacity);
}

// Fills where distance(x, y) <= 0, with an edge one pixel soft: a pixel whose centre lies d pixels
// inside is covered by about clamp(0.5 + d, 0, 1).
template <class Distance>
void fill_smoothly(Image& image, double x1, double y1, double x2, double y2, Color color,
                   double opacity, const Distance& distance) {
  const int left = std::max(to_pixel(x1 - 1), 0), top = std::max(to_pixel(y1 - 1), 0);
  const int right = std::min(to_pixel(x2 + 1), image.width());
  const int bottom = std::min(to_pixel(y2 + 1), image.height());
  for (int y = top; y < bottom; ++y)
    for (int x = left; x < right; ++x) {
      const double coverage = std::clamp(0.5 - distance(x + 0.5, y + 0.5), 0.0, 1.0);
      if (coverage > 0) blend_pixel(image, x, y, color, coverage * opacity);
    }
}

// A horizontal or vertical bar of pixels from `begin` to `end` along its axis, perhaps in dashes.
void draw_bar(Image& image, bool horizontal, int begin, int end, int across, Color color,
              const Stroke& stroke) {
  const int step = stroke.dash > 0 ? 2 * stroke.dash : std::max(end - begin, 1);
  const int length = stroke.dash > 0 ? stroke.dash : step;
  // Dashes far outside need not be walked through one by one.
  const int skipped = begin < 0 ? -begin / step * step : 0;
  const int stop = std::min(end, horizontal ? image.width() : image.height());
  for (int at = begin + skipped; at < stop; at += step) {
    const int to = std::min(at + length, end);
    if (horizontal)
      fill_pixels(image, at, across, to, across + stroke.thickness, color, stroke.opacity);
    else
      fill_pixels(image, across, at, across + stroke.thickness, to, color, stroke.opacity);
  }
}

void check_stroke(const char* op, const Stroke& stroke) {
  constexpr int kMost = 1 << 16;
  check(
      stroke.thickness > 0 && stroke.thickness <= kMost && stroke.dash >= 0 && stroke.dash <= kMost,
      op, ": thickness must be 1 to ", kMost, " and dash 0 to ", kMost, ", got thickness ",
      stroke.thickness, ", dash ", stroke.dash);
}

void check_scale(const char* op, int scale) {
  check(scale >= 1 && scale <= 64, op, ": scale must be 1 to 64, got ", scale);
}

}  // namespace

Color mix(Color a, Color b, double t) {
  const auto channel = [t](int from, int to) {
    return static_cast<std::uint8_t>(std::lround(from + std::clamp(t, 0.0, 1.0) * (to - from)));
  };
  return {channel(a.red, b.red), channel(a.green, b.green), channel(a.blue, b.blue)};
}

// --- shapes ---------------------------------------------------------------------------------

void draw_line(Image& image, double x1, double y1, double x2, double y2, Color color,
               const Stroke& stroke) {
  check_stroke("draw_line", stroke);
  if (!finite(x1, y1, x2, y2)) return;
  const double radius = stroke.thickness / 2.0;
  const double dx = x2 - x1, dy = y2 - y1, squared = dx * dx + dy * dy;
  fill_smoothly(
      image, std::min(x1, x2) - radius, std::min(y1, y2) - radius, std::max(x1, x2) + radius,
      std::max(y1, y2) + radius, color, stroke.opacity,
      [&](double x, double y) {  // to the nearest point of the segment
        const double along = (x - x1) * dx + (y - y1) * dy;
        const double t = squared > 0 ? std::clamp(along / squared, 0.0, 1.0) : 0;
        if (stroke.dash > 0 && std::fmod(t * std::sqrt(squared), 2.0 * stroke.dash) > stroke.dash)
          return 1.0;
        return std::hypot(x - x1 - t * dx, y - y1 - t * dy) - radius;
      });
}

void draw_arrow(Image& image, double x1, double y1, double x2, double y2, Color color,
                const Stroke& stroke) {
  check_stroke("draw_arrow", stroke);
  if (!finite(x1, y1, x2, y2)) return;
  const double length = std::hypot(x2 - x1, y2 - y1);
  if (length == 0) return;
  const double ux = (x2 - x1) / length, uy = (y2 - y1) / length;
  const double head = std::min(length, std::max(7.0, 4.0 * stroke.thickness));
  const double half_width = head * 0.5;
  draw_line(image, x1, y1, x2 - ux * head * 0.8, y2 - uy * head * 0.8, color, stroke);
  fill_smoothly(image, x2 - head - half_width, y2 - head - half_width, x2 + head + half_width,
                y2 + head + half_width, color, stroke.opacity, [&](double x, double y) {
                  // Back from the tip and sideways; the head is a triangle between three lines.
                  const double back = (x2 - x) * ux + (y2 - y) * uy;
                  const double side = std::abs((x - x2) * uy - (y - y2) * ux);
                  const double slope = half_width / head;
                  const double flank = (side - back * slope) / std::sqrt(1 + slope * slope);
                  return std::max(flank, back - head);
                });
}

void draw_rectangle(Image& image, double x1, double y1, double x2, double y2, Color color,
                    const Stroke& stroke) {
  check_stroke("draw_rectangle", stroke);
  if (!finite(x1, y1, x2, y2)) return;
  // A bar covers [edge - thickness / 2, edge + thickness / 2), rounded to whole pixels once.
  const int t = stroke.thickness;
  const int left = to_pixel(x1 - t / 2.0), top = to_pixel(y1 - t / 2.0);
  const int right = std::max(to_pixel(x2 - t / 2.0), left);
  const int bottom = std::max(to_pixel(y2 - t / 2.0), top);
  // Opposite bars do not overlap, so that a translucent outline has even corners.
  draw_bar(image, true, left, right + t, top, color, stroke);
  if (bottom > top)
    draw_bar(image, true, left, right + t, std::max(bottom, top + t), color, stroke);
  if (bottom > top + t) {
    draw_bar(image, false, top + t, bottom, left, color, stroke);
    if (right > left)
      draw_bar(image, false, top + t, bottom, std::max(right, left + t), color, stroke);
  }
}

void fill_rectangle(Image& image, double x1, double y1, double x2, double y2, Color color,
                    double opacity) {
  if (!finite(x1, y1, x2, y2)) return;
  fill_pixels(image, to_pixel(x1), to_pixel(y1), to_pixel(x2), to_pixel(y2), color, opacity);
}

void draw_circle(Image& image, double x, double y, double radius, Color color,
                 const Stroke& stroke) {
  check_stroke("draw_circle", stroke);
  if (!finite(x, y, radius)) return;
  const double half = stroke.thickness / 2.0, outer = radius + half;
  fill_smoothly(
      image, x - outer, y - outer, x + outer, y + outer, color, stroke.opacity,
      [&](double px, double py) { return std::abs(std::hypot(px - x, py - y) - radius) - half; });
}

void fill_circle(Image& image, double x, double y, double radius, Color color, double opacity) {
  if (!finite(x, y, radius)) return;
  fill_smoothly(image, x - radius, y - radius, x + radius, y + radius, color, opacity,
                [&](double px, double py) { return std::hypot(px - x, py - y) - radius; });
}

void draw_plus(Image& image, double x, double y, double radius, Color color, const Stroke& stroke) {
  draw_line(image, x - radius, y, x + radius, y, color, stroke);
  draw_line(image, x, y - radius, x, y + radius, color, stroke);
}

void draw_cross(Image& image, double x, double y, double radius, Color color,
                const Stroke& stroke) {
  const double r = radius * std::sqrt(0.5);
  draw_line(image, x - r, y - r, x + r, y + r, color, stroke);
  draw_line(image, x - r, y + r, x + r, y - r, color, stroke);
}

// --- text -----------------------------------------------------------------------------------

int text_width(std::string_view text, int scale) {
  const int count = static_cast<int>(glyphs_of(text).size());
  return count == 0 ? 0 : (count * (kGlyphWidth + 1) - 1) * scale;
}

int text_height(int scale) { return kGlyphHeight * scale; }

std::string fit_text(std::string_view text, int max_width, int scale) {
  if (text_width(text, scale) <= max_width) return std::string(text);
  std::string cut(text);
  while (!cut.empty() && text_width(cut + "..", scale) > max_width) {
    while (cut.size() > 1 && static_cast<unsigned char>(cut.back()) >> 6 == 2) cut.pop_back();
    cut.pop_back();  // a whole UTF-8 character, not its last byte only
  }
  return text_width(cut + "..", scale) <= max_width ? cut + ".." : "";
}

void draw_text(Image& image, double x, double y, std::string_view text, Color color, int scale,
               double opacity) {
  check_scale("draw_text", scale);
  if (!finite(x, y)) return;
  int left = to_pixel(x);
  const int top = to_pixel(y);
  for (const int glyph : glyphs_of(text)) {
    if (left >= image.width()) return;
    for (int row = 0; row < kGlyphHeight; ++row)
      for (int column = 0; column < kGlyphWidth; ++column)
        if (glyph_ink(glyph, column, row))
          fill_pixels(image, left + column * scale, top + row * scale, left + (column + 1) * scale,
                      top + (row + 1) * scale, color, opacity);
    left += (kGlyphWidth + 1) * scale;
  }
}

Color text_color_on(Color background) {
  // Luma of Rec. 601; a threshold above the middle, because white on mid-tones reads better.
  const double luma = 0.299 * background.red + 0.587 * background.green + 0.114 * background.blue;
  return luma > 140 ? kBlack : kWhite;
}

void draw_label(Image& image, double x, double y, std::string_view text, Color color, int scale,
                double opacity) {
  check_scale("draw_label", scale);
  if (!finite(x, y) || text.empty()) return;
  const int margin = 2 * scale;
  const int width = text_width(text, scale) + 2 * margin;
  const int height = text_height(scale) + margin + scale;  // descenders fill the lower margin
  const int left = std::max(0, std::min(to_pixel(x), image.width() - width));
  const int top = std::max(0, std::min(to_pixel(y) - height, image.height() - height));
  fill_pixels(image, left, top, left + width, top + height, color, opacity);
  draw_text(image, left + margin, top + margin, text, text_color_on(color), scale);
}

// --- pasting ---------------------------------------------------------------------------------

void paste(Image& image, const Image& source, int x, int y, double opacity) {
  const int left = std::max(x, 0), top = std::max(y, 0);
  const auto end = [](int at, int size, int limit) {
    return static_cast<int>(std::min<std::int64_t>(std::int64_t{at} + size, limit));
  };
  const int right = end(x, source.width(), image.width());
  const int bottom = end(y, source.height(), image.height());
  for (int row = top; row < bottom; ++row)
    for (int column = left; column < right; ++column) {
      const std::uint8_t* p = source.pixel(column - x, row - y);
      blend_pixel(image, column, row, {p[0], p[1], p[2]}, opacity);
    }
}

}  // namespace boxgrad
