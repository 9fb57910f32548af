#include "detection/doctor/fault_picture.h"

#include <algorithm>
#include <cmath>

#include "core/draw.h"
#include "core/resize.h"
#include "detection/draw.h"

namespace boxgrad::detection {

namespace {

constexpr double kSmallestWindow = 120;  // photo pixels around a small box
constexpr double kSurroundings = 3;      // window side over box side
constexpr std::size_t kMostDrawn = 200;
constexpr Color kBlue{0, 114, 178};

/// A part of a photo, in whole pixels.
struct Window {
  double x = 0, y = 0, width = 0, height = 0;
};

/// Around all boxes, inside the photo; the whole photo where they are spread or outside.
Window window_of(const Image& photo, const std::vector<std::array<double, 4>>& boxes) {
  const double width = photo.width(), height = photo.height();
  const Window all{0, 0, width, height};
  if (boxes.empty() || boxes.size() > 2) return all;
  double x1 = width, y1 = height, x2 = 0, y2 = 0;
  for (const auto& box : boxes) {
    x1 = std::min({x1, box[0], box[2]}), x2 = std::max({x2, box[0], box[2]});
    y1 = std::min({y1, box[1], box[3]}), y2 = std::max({y2, box[1], box[3]});
  }
  if (x1 < 0 || y1 < 0 || x2 > width || y2 > height) return all;
  const double side =
      std::round(std::max(kSmallestWindow, kSurroundings * std::max(x2 - x1, y2 - y1)));
  if (side >= std::min(width, height)) return all;
  const auto start = [side](double low, double high, double extent) {
    return std::clamp(std::floor((low + high - side) / 2), 0., extent - side);
  };
  return {start(x1, x2, width), start(y1, y2, height), side, side};
}

void draw_box(Image& image, const std::array<double, 4>& box, const Window& window, double scale,
              Color color, int dash = 0) {
  const auto [low_x, high_x] = std::minmax(box[0], box[2]);
  const auto [low_y, high_y] = std::minmax(box[1], box[3]);
  const double x1 = (low_x - window.x) * scale, x2 = (high_x - window.x) * scale;
  const double y1 = (low_y - window.y) * scale, y2 = (high_y - window.y) * scale;
  draw_rectangle(image, x1, y1, x2, y2, color, {.thickness = 2, .dash = dash});
  const double w = image.width(), h = image.height();
  const bool outside = x2 <= 0 || y2 <= 0 || x1 >= w || y1 >= h;
  if (!outside && std::max(x2 - x1, y2 - y1) >= 10) return;
  draw_circle(image, std::clamp((x1 + x2) / 2, 0., w), std::clamp((y1 + y2) / 2, 0., h), 14, color,
              {.thickness = 2});
}

Image one_photo(const Fault& fault, int longer_px) {
  const Image photo = Image::read(fault.image);
  const Window window = window_of(photo, fault.boxes);
  const bool whole = window.width == photo.width() && window.height == photo.height();
  const Image part = whole ? photo
                           : crop(photo, static_cast<int>(window.x), static_cast<int>(window.y),
                                  static_cast<int>(window.width), static_cast<int>(window.height));
  Image image = resize_to_fit(part, longer_px, longer_px);
  const double scale = image.width() / window.width;
  const std::size_t count = std::min(fault.boxes.size(), kMostDrawn);
  for (std::size_t k = 0; k < count; ++k) {
    const bool first_of_two = count == 2 && k == 0;
    draw_box(image, fault.boxes[k], window, scale, first_of_two ? kBlue : kNegativeColor,
             count == 2 && k == 1 ? 6 : 0);
  }
  return image;
}

}  // namespace

Image fault_picture(const Fault& fault, int longer_px) {
  if (fault.other_image.empty()) return one_photo(fault, longer_px);
  const int half = std::max(1, longer_px / 2 - 4);
  std::vector<Image> both;
  for (const auto& path : {fault.other_image, fault.image})
    both.push_back(resize_to_fit(Image::read(path), half, half));
  Image image(both[0].width() + both[1].width() + 8, std::max(both[0].height(), both[1].height()),
              kWhite);
  paste(image, both[0], 0, 0);
  paste(image, both[1], both[0].width() + 8, 0);
  return image;
}

}  // namespace boxgrad::detection
