#include "detection/proposals/draw_proposals.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "core/check.h"
#include "core/draw.h"
#include "core/resize.h"
#include "detection/boxes.h"
#include "detection/draw.h"

namespace boxgrad::detection {
namespace {

Image at_size(const Image& image, const Segmentation& s) {
  if (image.width() == s.width && image.height() == s.height) return image;
  return resize(image, s.width, s.height);
}

std::vector<Color> mean_colors(const Image& image, const Segmentation& regions) {
  std::vector<std::array<std::int64_t, 4>> sums(static_cast<std::size_t>(regions.count));
  for (std::size_t p = 0; p < regions.labels.size(); ++p) {
    auto& sum = sums[static_cast<std::size_t>(regions.labels[p])];
    for (std::size_t c = 0; c < 3; ++c) sum[c] += image.data()[3 * p + c];
    ++sum[3];
  }
  std::vector<Color> colors;
  for (const auto& sum : sums) {
    const auto mean = [&](std::size_t c) {
      return static_cast<std::uint8_t>((sum[c] + sum[3] / 2) / sum[3]);
    };
    colors.push_back({mean(0), mean(1), mean(2)});
  }
  return colors;
}

/// A colour for a number. Turning the hue by the golden angle keeps those of neighbouring numbers
/// apart, and three brightnesses those that are similar.
Color numbered_color(std::int32_t number) {
  const double hue = std::fmod(number * 0.61803398875, 1.0) * 6;
  const double value = number % 3 == 0 ? 245 : number % 3 == 1 ? 200 : 150;
  const auto channel = [&](double shift) {
    const double k = std::fmod(shift + hue, 6.0);
    return static_cast<std::uint8_t>(value * (1 - 0.7 * std::clamp(std::min(k, 4 - k), 0.0, 1.0)));
  };
  return {channel(5), channel(3), channel(1)};
}

std::vector<Color> distinct_colors(const Segmentation& regions, const Segmentation& segments) {
  std::vector<std::int64_t> pixels(static_cast<std::size_t>(segments.count));
  for (const std::int32_t label : segments.labels) ++pixels[static_cast<std::size_t>(label)];
  std::vector<std::int32_t> largest(static_cast<std::size_t>(regions.count), -1);
  for (std::size_t p = 0; p < regions.labels.size(); ++p) {
    std::int32_t& best = largest[static_cast<std::size_t>(regions.labels[p])];
    const std::int32_t segment = segments.labels[p];
    if (best < 0 ||
        pixels[static_cast<std::size_t>(segment)] > pixels[static_cast<std::size_t>(best)])
      best = segment;
  }
  std::vector<Color> colors;
  for (const std::int32_t segment : largest) colors.push_back(numbered_color(segment));
  return colors;
}

}  // namespace

Image paint_regions(const Image& image, const Segmentation& regions, const Segmentation& segments,
                    RegionPaint paint) {
  check(regions.labels.size() == segments.labels.size() && regions.width == segments.width,
        "paint_regions: segments must be of a picture of ", regions.width, " x ", regions.height,
        ", got ", segments.width, " x ", segments.height);
  Image painted = at_size(image, regions);
  const std::vector<Color> colors = paint == RegionPaint::mean ? mean_colors(painted, regions)
                                                               : distinct_colors(regions, segments);
  std::uint8_t* out = painted.data().data();
  for (const std::int32_t label : regions.labels) {
    const Color color = colors[static_cast<std::size_t>(label)];
    *out++ = color.red, *out++ = color.green, *out++ = color.blue;
  }
  return painted;
}

Image draw_hierarchy(const Image& image, const RegionHierarchy& hierarchy,
                     std::span<const std::int32_t> levels, RegionPaint paint) {
  const Segmentation& segments = hierarchy.segmentation;
  std::vector<std::int32_t> halves;
  if (levels.empty()) {
    for (std::int32_t n = segments.count; n >= 2; n /= 2) halves.push_back(n);
    levels = halves;
  }
  std::vector<Image> panels{enlarged(at_size(image, segments)).first};
  std::vector<std::string> captions{"the picture"};
  for (const std::int32_t count : levels) {
    panels.push_back(enlarged(paint_regions(image, hierarchy.level(count), segments, paint)).first);
    captions.push_back(concat(count, count == 1 ? " region" : " regions"));
  }
  return image_grid(panels, captions);
}

std::int64_t draw_best_proposals(Image& image, const Tensor& proposals, const Tensor& truths,
                                 double scale, double iou) {
  check_boxes(proposals, "draw_best_proposals", "proposals");
  check_boxes(truths, "draw_best_proposals", "truths");
  const Tensor overlaps = box_iou(truths, proposals);
  const auto rectangle = [&](const Tensor& boxes, std::int64_t i, Color color,
                             const Stroke& stroke) {
    const auto side = [&](std::int64_t c) { return static_cast<double>(boxes.at({i, c})) * scale; };
    draw_rectangle(image, side(0), side(1), side(2), side(3), color, stroke);
    return std::pair(side(0), side(1));
  };
  std::int64_t found = 0;
  const std::int64_t n = proposals.size(0);
  const Scalar* row = overlaps.data().data();
  for (std::int64_t g = 0; g < truths.size(0); ++g, row += n) {
    if (n > 0) {
      const std::int64_t best = std::max_element(row, row + n) - row;
      const bool hit = row[best] >= static_cast<Scalar>(iou);
      const Color color = hit ? kPositiveColor : kNegativeColor;
      found += hit;
      const auto [x, y] = rectangle(proposals, best, color, {.thickness = 2});
      char text[16];
      std::snprintf(text, sizeof text, "%.2f", static_cast<double>(row[best]));
      draw_label(image, x, y, text, color);
    }
    rectangle(truths, g, kTruthColor, {.thickness = 1, .dash = 4});
  }
  return found;
}

Image best_proposals_sheet(std::span<const Sample> samples, std::span<const Tensor> proposals,
                           double iou) {
  check(samples.size() == proposals.size() && !samples.empty(),
        "best_proposals_sheet: there must be one list of proposals per sample, ", samples.size(),
        ", got ", proposals.size());
  std::vector<Image> panels;
  std::vector<std::string> captions;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const Tensor& truths = samples[i].target.boxes;
    auto [picture, scale] = enlarged(samples[i].image);
    const std::int64_t found = draw_best_proposals(picture, proposals[i], truths, scale, iou);
    captions.push_back(concat(samples[i].name, ": ", found, " of ", truths.size(0), " found, ",
                              proposals[i].size(0), " boxes"));
    panels.push_back(std::move(picture));
  }
  return image_grid(panels, captions);
}

}  // namespace boxgrad::detection
