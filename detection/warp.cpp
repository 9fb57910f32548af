#include "detection/warp.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/check.h"
#include "core/parallel.h"
#include "core/resize.h"
#include "detection/boxes.h"

namespace boxgrad::detection {

namespace {

/// A box in whole pixels, half-open.
struct WarpBox {
  int x1, y1, x2, y2;
  int width() const { return x2 - x1; }
  int height() const { return y2 - y1; }
};

/// Region r's box with its context.
WarpBox enlarged_box(const Scalar* box, std::int64_t r, const WarpOptions& options) {
  double w = static_cast<double>(box[2] - box[0]), h = static_cast<double>(box[3] - box[1]);
  const double cx = static_cast<double>(box[0]) + w / 2, cy = static_cast<double>(box[1]) + h / 2;
  if (options.mode == WarpMode::square) w = h = std::max(w, h);
  const double scale = static_cast<double>(options.size) / (options.size - 2 * options.context);
  // Said so that NaN fails, too. The bound is what an int holds, with a difference of two.
  const auto fits = [](double middle, double side) {
    return side >= 0 && std::abs(middle) + side / 2 <= 1e9;
  };
  check(box[0] <= box[2] && box[1] <= box[3] && fits(cx, w * scale) && fits(cy, h * scale),
        "warp_regions: the corners of region ", r,
        " must be finite, in order and, with the context, within 1e9 px, got ", box[0], ", ",
        box[1], ", ", box[2], ", ", box[3]);
  const auto round = [](double v) { return static_cast<int>(std::lround(v)); };
  WarpBox result{round(cx - w * scale / 2), round(cy - h * scale / 2), round(cx + w * scale / 2),
                 round(cy + h * scale / 2)};
  result.x2 = std::max(result.x2, result.x1 + 1);  // at least a pixel
  result.y2 = std::max(result.y2, result.y1 + 1);
  return result;
}

/// [height, width, C] of a part of the image.
Tensor cut(const Tensor& image, const WarpBox& part) {
  const std::int64_t w = image.size(1), c = image.size(2);
  Tensor result = Tensor::empty({part.height(), part.width(), c});
  for (int y = part.y1; y < part.y2; ++y)
    std::copy_n(image.data().begin() + (y * w + part.x1) * c, part.width() * c,
                result.data().begin() + (y - part.y1) * part.width() * c);
  return result;
}

/// Interpolates along an axis that grows, averages along one that shrinks.
Tensor resized(const Tensor& image, int height, int width) {
  const int h = static_cast<int>(image.size(0)), w = static_cast<int>(image.size(1));
  return resize_area(resize_bilinear(image, std::max(h, height), std::max(w, width)), height,
                     width);
}

}  // namespace

Tensor warp_regions(const Tensor& image, const Tensor& boxes, const WarpOptions& options) {
  check(image.rank() == 3, "warp_regions: image must be [H, W, C], got ", image.shape());
  check_boxes(boxes, "warp_regions", "boxes");
  check(options.size >= 1 && options.context >= 0 && 2 * options.context < options.size,
        "warp_regions: size must be >= 1 and context less than half of it, got ", options.size,
        " and ", options.context);
  const std::int64_t count = boxes.size(0), channels = image.size(2);
  const auto fills = static_cast<std::int64_t>(options.fill.size());
  check(fills == 0 || fills == channels, "warp_regions: fill must have a value for each of ",
        channels, " channels, got ", fills);
  const int height = static_cast<int>(image.size(0)), width = static_cast<int>(image.size(1));
  const int size = options.size;
  std::vector<WarpBox> enlarged;
  for (std::int64_t r = 0; r < count; ++r)
    enlarged.push_back(enlarged_box(boxes.data().data() + 4 * r, r, options));
  Tensor result({count, size, size, channels});
  if (fills > 0)
    for (std::size_t i = 0; Scalar & v : result.data()) v = options.fill[i++ % options.fill.size()];
  parallel_for(count, 4, [&](std::int64_t begin, std::int64_t end) {
    const NoGradGuard guard;
    for (std::int64_t r = begin; r < end; ++r) {
      const WarpBox& box = enlarged[static_cast<std::size_t>(r)];
      const WarpBox seen{std::clamp(box.x1, 0, width), std::clamp(box.y1, 0, height),
                         std::clamp(box.x2, 0, width), std::clamp(box.y2, 0, height)};
      if (seen.width() <= 0 || seen.height() <= 0) continue;
      // Where the visible part stands in the result.
      const double sx = static_cast<double>(size) / box.width(),
                   sy = static_cast<double>(size) / box.height();
      const int left = std::min(static_cast<int>(std::lround((seen.x1 - box.x1) * sx)), size - 1);
      const int top = std::min(static_cast<int>(std::lround((seen.y1 - box.y1) * sy)), size - 1);
      const int w = std::clamp(static_cast<int>(std::lround(seen.width() * sx)), 1, size - left);
      const int h = std::clamp(static_cast<int>(std::lround(seen.height() * sy)), 1, size - top);
      const Tensor part = resized(cut(image, seen), h, w);
      Scalar* to = result.data().data() + r * size * size * channels;
      for (int y = 0; y < h; ++y)
        std::copy_n(part.data().begin() + y * w * channels, w * channels,
                    to + ((top + y) * size + left) * channels);
    }
  });
  return result;
}

}  // namespace boxgrad::detection
