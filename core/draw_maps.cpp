#include <algorithm>
#include <array>
#include <cmath>

#include "core/check.h"
#include "core/draw.h"
#include "core/ops.h"
#include "core/resize.h"

namespace boxgrad {

namespace {

// Okabe and Ito's colours without black, in an order that keeps neighbours far apart.
constexpr std::array<Color, 7> kClassColors = {{{230, 159, 0},
                                                {86, 180, 233},
                                                {213, 94, 0},
                                                {0, 158, 115},
                                                {204, 121, 167},
                                                {240, 228, 66},
                                                {0, 114, 178}}};
constexpr Color kGrey{128, 128, 128};

// Viridis (van der Walt and Smith, matplotlib, CC0) at 0, 1/8, ..., 1. Straight lines between
// nine of its colours stay within a few steps of the original.
constexpr std::array<Color, 9> kViridis = {{{68, 1, 84},
                                            {71, 45, 123},
                                            {59, 82, 139},
                                            {44, 114, 142},
                                            {33, 145, 140},
                                            {40, 174, 128},
                                            {94, 201, 98},
                                            {173, 220, 48},
                                            {253, 231, 37}}};
constexpr std::array<Color, 5> kDiverging = {
    {{33, 73, 155}, {122, 170, 215}, {247, 247, 247}, {239, 145, 110}, {165, 20, 40}}};

Color along(std::span<const Color> scale, double t) {
  const double at = std::clamp(t, 0.0, 1.0) * static_cast<double>(scale.size() - 1);
  const std::size_t i = std::min(static_cast<std::size_t>(at), scale.size() - 2);
  return mix(scale[i], scale[i + 1], at - static_cast<double>(i));
}

}  // namespace

Color class_color(std::int64_t label) {
  if (label <= 0) return kGrey;
  const auto i = static_cast<std::size_t>(label - 1);
  const Color color = kClassColors[i % kClassColors.size()];
  switch (i / kClassColors.size() % 3) {
    case 1:
      return mix(color, kWhite, 0.5);
    case 2:
      return mix(color, kBlack, 0.45);
    default:
      return color;
  }
}

Color color_at(ColorMap map, double t) {
  if (!std::isfinite(t)) return kGrey;
  return map == ColorMap::viridis ? along(kViridis, t) : along(kDiverging, t);
}

Image heat_map(const Tensor& values, double low, double high, ColorMap map) {
  check(values.rank() == 2 && values.size(0) < (1 << 20) && values.size(1) < (1 << 20),
        "heat_map: values must have shape [H, W], got ", values.shape());
  check(low < high, "heat_map: low must be less than high, got ", low, " and ", high);
  const int height = static_cast<int>(values.size(0)), width = static_cast<int>(values.size(1));
  Image image(width, height);
  std::size_t i = 0;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const double value = static_cast<double>(values.data()[i++]);
      const Color color =
          color_at(map, std::isfinite(value) ? (value - low) / (high - low) : value);
      std::uint8_t* p = image.pixel(x, y);
      p[0] = color.red, p[1] = color.green, p[2] = color.blue;
    }
  return image;
}

Image heat_map(const Tensor& values, ColorMap map) {
  double low = 0, high = 0;
  bool any = false;
  for (const Scalar v : values.data()) {
    if (!std::isfinite(v)) continue;
    low = any ? std::min(low, static_cast<double>(v)) : v;
    high = any ? std::max(high, static_cast<double>(v)) : v;
    any = true;
  }
  if (map == ColorMap::diverging) {
    high = std::max(std::abs(low), std::abs(high));
    low = -high;
  }
  if (!(low < high)) high = low + 1;  // one value everywhere: the scale's start
  return heat_map(values, low, high, map);
}

Image enlarge_pixels(const Image& image, int factor) {
  check(factor > 0, "enlarge_pixels: factor must be > 0, got ", factor);
  check(image.width() <= (1 << 20) / factor && image.height() <= (1 << 20) / factor,
        "enlarge_pixels: ", image.width(), " x ", image.height(), " times ", factor,
        " is too large");
  Image large(image.width() * factor, image.height() * factor);
  for (int y = 0; y < large.height(); ++y)
    for (int x = 0; x < large.width(); ++x)
      std::copy_n(image.pixel(x / factor, y / factor), 3, large.pixel(x, y));
  return large;
}

std::pair<Image, int> enlarged(const Image& image) {
  const int side = std::max({image.width(), image.height(), 1});
  const int factor = std::clamp(320 / side, 1, 4);
  return {factor == 1 ? image : enlarge_pixels(image, factor), factor};
}

std::vector<Image> channel_maps(const Tensor& map, int factor, ColorMap colors) {
  check(map.rank() == 3, "channel_maps: map must have shape [H, W, C], got ", map.shape());
  std::vector<Image> images;
  for (std::int64_t c = 0; c < map.size(2); ++c) {
    const Tensor channel = slice(map.detach(), 2, c, c + 1);
    images.push_back(
        enlarge_pixels(heat_map(channel.view_as({map.size(0), map.size(1)}), colors), factor));
  }
  return images;
}

Image image_grid(std::span<const Image> images, std::span<const std::string> captions,
                 const GridOptions& options) {
  check(!images.empty(), "image_grid: there is no image");
  check(captions.empty() || captions.size() == images.size(), "image_grid: expected ",
        images.size(), " captions, one per image, got ", captions.size());
  check(options.padding >= 0 && options.text_scale > 0 && options.columns >= 0 &&
            options.cell_width >= 0 && options.cell_height >= 0,
        "image_grid: sizes must be >= 0 and text_scale > 0");

  int cell_width = options.cell_width, cell_height = options.cell_height;
  for (const Image& image : images) {
    if (options.cell_width == 0) cell_width = std::max(cell_width, image.width());
    if (options.cell_height == 0) cell_height = std::max(cell_height, image.height());
  }
  cell_width = std::max(cell_width, 1), cell_height = std::max(cell_height, 1);
  const int scale = options.text_scale, pad = options.padding;
  const int caption = captions.empty() ? 0 : text_height(scale) + 2 * scale;
  const int count = static_cast<int>(images.size());
  const double square =
      std::sqrt(static_cast<double>(count) * (cell_height + caption + pad) / (cell_width + pad));
  const int columns = options.columns > 0
                          ? std::min(options.columns, count)
                          : std::clamp(static_cast<int>(std::ceil(square)), 1, count);
  const int rows = (count + columns - 1) / columns;
  const int title = options.title.empty() ? 0 : text_height(scale + 1) + pad;

  const std::int64_t width = pad + std::int64_t{columns} * (cell_width + pad);
  const std::int64_t height = pad + title + std::int64_t{rows} * (cell_height + caption + pad);
  check(width <= (1 << 20) && height <= (1 << 20), "image_grid: a sheet of ", width, " x ", height,
        " pixels is too large; give cell_width and cell_height");
  Image sheet(static_cast<int>(width), static_cast<int>(height), options.background);
  const Color ink = mix(text_color_on(options.background), options.background, 0.15);
  if (title > 0)
    draw_text(sheet, pad, pad, fit_text(options.title, sheet.width() - 2 * pad, scale + 1), ink,
              scale + 1);

  for (int i = 0; i < count; ++i) {
    const Image& image = images[static_cast<std::size_t>(i)];
    const int x = pad + i % columns * (cell_width + pad);
    const int y = pad + title + i / columns * (cell_height + caption + pad);
    if (image.width() > 0 && image.height() > 0) {
      const bool too_large = image.width() > cell_width || image.height() > cell_height;
      const Image shown = too_large ? resize_to_fit(image, cell_width, cell_height) : image;
      paste(sheet, shown, x + (cell_width - shown.width()) / 2,
            y + (cell_height - shown.height()) / 2);
    }
    if (captions.empty()) continue;
    const std::string text = fit_text(captions[static_cast<std::size_t>(i)], cell_width, scale);
    draw_text(sheet, x + (cell_width - text_width(text, scale)) / 2, y + cell_height + 2 * scale,
              text, ink, scale);
  }
  return sheet;
}

}  // namespace boxgrad
