#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/image.h"
#include "core/tensor.h"

/// Pictures of what a detector saw. Coordinates are continuous pixels as everywhere in boxgrad:
/// (0, 0) is the upper left corner of the image, pixel (x, y) covers [x, x + 1) x [y, y + 1), and
/// its centre is (x + 0.5, y + 0.5). Whatever lies outside the image is clipped; a shape with a
/// coordinate that is not finite is not drawn.
namespace boxgrad {

constexpr Color kBlack{0, 0, 0}, kWhite{255, 255, 255};

struct Stroke {
  int thickness = 2;   ///< pixels
  double opacity = 1;  ///< 0 leaves the image as it is, 1 covers it
  int dash = 0;        ///< length of dashes and gaps in pixels; 0 draws a solid outline
};

/// A colour for a class label: 0 (background) is grey; 1 to 7 are the colours of Okabe and Ito
/// ("Color universal design", 2008), which people with any common colour blindness can tell apart;
/// then the same seven lighter and darker, and from 22 on they repeat.
Color class_color(std::int64_t label);
/// Black or white, whichever reads better on `background`.
Color text_color_on(Color background);
/// (1 - t) a + t b, t from 0 to 1.
Color mix(Color a, Color b, double t);

// --- shapes ---------------------------------------------------------------------------------

/// A straight line with round ends; smooth edges.
void draw_line(Image& image, double x1, double y1, double x2, double y2, Color color,
               const Stroke& stroke = {});
/// A line whose second end is a filled head, 4 thicknesses long at least.
void draw_arrow(Image& image, double x1, double y1, double x2, double y2, Color color,
                const Stroke& stroke = {});
/// The outline of [x1, x2) x [y1, y2), centred on the edges, on whole pixels: always crisp.
void draw_rectangle(Image& image, double x1, double y1, double x2, double y2, Color color,
                    const Stroke& stroke = {});
void fill_rectangle(Image& image, double x1, double y1, double x2, double y2, Color color,
                    double opacity = 1);
void draw_circle(Image& image, double x, double y, double radius, Color color,
                 const Stroke& stroke = {});
void fill_circle(Image& image, double x, double y, double radius, Color color, double opacity = 1);
/// A point marked with an upright (+) or diagonal (x) cross of 2 * radius.
void draw_plus(Image& image, double x, double y, double radius, Color color,
               const Stroke& stroke = {});
void draw_cross(Image& image, double x, double y, double radius, Color color,
                const Stroke& stroke = {});

// --- text -----------------------------------------------------------------------------------

/// Size of a text on one line at an integer scale: 6 columns a character, 9 rows.
int text_width(std::string_view text, int scale = 1);
int text_height(int scale = 1);
/// The text, cut to at most max_width pixels; what was cut ends in "..".
std::string fit_text(std::string_view text, int max_width, int scale = 1);

/// Text with its upper left corner at (x, y), from a small bitmap font of 5 x 9 (core/font.h);
/// scale = 2 doubles every pixel. Characters outside ASCII become boxes.
void draw_text(Image& image, double x, double y, std::string_view text, Color color, int scale = 1,
               double opacity = 1);

/// Text on a background of `color`, in black or white, standing on (x, y) with its lower left
/// corner: give it the upper left corner of a box. It moves down and left as far as needed to
/// stay inside the image.
void draw_label(Image& image, double x, double y, std::string_view text, Color color, int scale = 1,
                double opacity = 1);

// --- pictures of pictures -----------------------------------------------------------------------

/// Copies `source` with its upper left corner to pixel (x, y), mixed with what was there.
void paste(Image& image, const Image& source, int x, int y, double opacity = 1);

/// A colour scale from 0 to 1.
///   viridis    dark blue to yellow, even to the eye and in grey; for values
///   diverging  blue, white, red; for signed values, 0.5 in the middle
enum class ColorMap { viridis, diverging };
Color color_at(ColorMap map, double t);

/// One coloured pixel for each value, `low` at the scale's start and `high` at its end (values
/// beyond take the end's colour); what is not finite is grey.
/// values   [H, W]
/// throws   std::invalid_argument for another shape, or unless low < high
Image heat_map(const Tensor& values, double low, double high, ColorMap map = ColorMap::viridis);
/// From the least to the greatest finite value; for diverging from -m to m, m the greatest |value|.
Image heat_map(const Tensor& values, ColorMap map = ColorMap::viridis);

/// The channels of a feature map [H, W, C], or of a filter [KH, KW, C]: heat_map of each, on a
/// scale of its own, every value a square of factor x factor.
std::vector<Image> channel_maps(const Tensor& map, int factor = 1,
                                ColorMap colors = ColorMap::viridis);

/// Every pixel as a square of factor x factor, for small maps and filters.
Image enlarge_pixels(const Image& image, int factor);

/// The same by a factor from 1 to 4 that leaves boxes and words on a small image readable (sides
/// of up to 320 pixels), and the factor, for the boxes.
std::pair<Image, int> enlarged(const Image& image);

struct GridOptions {
  int columns = 0;      ///< 0: as many as make the sheet about as wide as high
  int cell_width = 0;   ///< 0: the widest image's; larger images are shrunk to fit
  int cell_height = 0;  ///< 0: the highest image's
  int padding = 8;      ///< pixels around and between
  int text_scale = 1;
  Color background = kWhite;
  std::string title = {};  ///< above the sheet, one scale larger
};

/// A contact sheet: images in rows, each centred in its cell, with a caption under it when
/// `captions` is given (one per image, cut to the cell's width).
/// Throws std::invalid_argument when there is no image, or captions and images differ in number.
Image image_grid(std::span<const Image> images, std::span<const std::string> captions = {},
                 const GridOptions& options = {});

}  // namespace boxgrad
