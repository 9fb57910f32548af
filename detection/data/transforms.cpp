#include "detection/data/transforms.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/check.h"
#include "core/resize.h"
#include "detection/boxes.h"

namespace boxgrad::detection {
namespace {

void check_has_pixels(const Sample& sample, const char* op) {
  check(sample.image.width() > 0 && sample.image.height() > 0, op, ": image \"", sample.name,
        "\" has no pixels");
}

int scaled_side(int side, double scale) {
  return std::max(1, static_cast<int>(std::lround(side * scale)));
}

}  // namespace

Transform chain(std::vector<Transform> steps) {
  return [steps = std::move(steps)](Sample sample, Random& random) {
    for (const Transform& step : steps) sample = step(std::move(sample), random);
    return sample;
  };
}

Sample flip_horizontal(const Sample& sample) {
  Sample result = sample;
  result.image = boxgrad::flip_horizontal(sample.image);
  result.target.boxes = flip_boxes(sample.target.boxes, static_cast<Scalar>(sample.image.width()));
  return result;
}

Sample resize(const Sample& sample, int width, int height) {
  check_has_pixels(sample, "resize");
  const double factor_x = static_cast<double>(width) / sample.image.width();
  const double factor_y = static_cast<double>(height) / sample.image.height();
  Sample result = sample;
  if (width != sample.image.width() || height != sample.image.height())
    result.image = boxgrad::resize(sample.image, width, height);
  result.target.boxes = sample.target.boxes.clone();
  auto boxes = result.target.boxes.data();
  for (std::size_t i = 0; i < boxes.size(); i += 2) {
    boxes[i] *= static_cast<Scalar>(factor_x);
    boxes[i + 1] *= static_cast<Scalar>(factor_y);
  }
  result.scale_x *= factor_x;
  result.scale_y *= factor_y;
  return result;
}

Sample resize_shorter_side(const Sample& sample, int shorter_px, int max_longer_px) {
  check(shorter_px > 0 && shorter_px <= max_longer_px,
        "resize_shorter_side: expected 0 < shorter_px <= max_longer_px, got ", shorter_px, " and ",
        max_longer_px);
  check_has_pixels(sample, "resize_shorter_side");
  const int w = sample.image.width(), h = sample.image.height();
  const double scale = std::min(static_cast<double>(shorter_px) / std::min(w, h),
                                static_cast<double>(max_longer_px) / std::max(w, h));
  return resize(sample, scaled_side(w, scale), scaled_side(h, scale));
}

Sample resize_longer_side(const Sample& sample, int longer_px) {
  check(longer_px > 0, "resize_longer_side: longer_px must be > 0, got ", longer_px);
  check_has_pixels(sample, "resize_longer_side");
  const int w = sample.image.width(), h = sample.image.height();
  const double scale = static_cast<double>(longer_px) / std::max(w, h);
  return resize(sample, scaled_side(w, scale), scaled_side(h, scale));
}

Sample crop(const Sample& sample, int x, int y, int width, int height) {
  Sample result;
  result.image = boxgrad::crop(sample.image, x, y, width, height);
  result.name = sample.name;
  result.scale_x = sample.scale_x;
  result.scale_y = sample.scale_y;

  const Target& target = sample.target;
  const auto boxes = target.boxes.data();
  std::vector<Scalar> kept;
  for (std::size_t g = 0; g < target.labels.size(); ++g) {
    const Scalar x1 = boxes[4 * g] - static_cast<Scalar>(x);
    const Scalar y1 = boxes[4 * g + 1] - static_cast<Scalar>(y);
    const Scalar x2 = boxes[4 * g + 2] - static_cast<Scalar>(x);
    const Scalar y2 = boxes[4 * g + 3] - static_cast<Scalar>(y);
    const Scalar w = static_cast<Scalar>(width), h = static_cast<Scalar>(height);
    const Scalar cx = (x1 + x2) / 2, cy = (y1 + y2) / 2;
    if (cx <= 0 || cy <= 0 || cx >= w || cy >= h) continue;
    kept.insert(kept.end(), {std::max<Scalar>(x1, 0), std::max<Scalar>(y1, 0), std::min(x2, w),
                             std::min(y2, h)});
    result.target.labels.push_back(target.labels[g]);
    result.target.difficult.push_back(g < target.difficult.size() && target.difficult[g]);
  }
  result.target.boxes = Tensor({static_cast<std::int64_t>(result.target.labels.size()), 4}, kept);
  return result;
}

Sample random_crop(const Sample& sample, Random& random, const CropOptions& options) {
  check(options.min_area > 0 && options.min_area <= 1,
        "random_crop: min_area must be in (0, 1], got ", options.min_area);
  check(options.max_stretch >= 1, "random_crop: max_stretch must be >= 1, got ",
        options.max_stretch);
  check_has_pixels(sample, "random_crop");
  const int w = sample.image.width(), h = sample.image.height();
  for (int t = 0; t < options.tries; ++t) {
    const double side = std::sqrt(random.uniform(options.min_area, 1));
    const double stretch = std::exp(random.uniform(-1, 1) * std::log(options.max_stretch) / 2);
    const int crop_w = std::min(w, scaled_side(w, side * stretch));
    const int crop_h = std::min(h, scaled_side(h, side / stretch));
    const int x = static_cast<int>(random.below(w - crop_w + 1));
    const int y = static_cast<int>(random.below(h - crop_h + 1));
    Sample result = crop(sample, x, y, crop_w, crop_h);
    if (sample.target.labels.empty() || !result.target.labels.empty()) return result;
  }
  return sample;
}

Sample jitter_brightness_contrast(const Sample& sample, Random& random, double max_brightness,
                                  double max_contrast) {
  check(max_brightness >= 0 && max_brightness <= 1 && max_contrast >= 0 && max_contrast <= 1,
        "jitter_brightness_contrast: both maxima must be in 0..1, got ", max_brightness, " and ",
        max_contrast);
  const double brightness = random.uniform(-max_brightness, max_brightness);
  const double contrast = random.uniform(1 - max_contrast, 1 + max_contrast);
  std::array<std::uint8_t, 256> table;
  for (std::size_t v = 0; v < table.size(); ++v)
    table[v] = static_cast<std::uint8_t>(
        std::lround(std::clamp(contrast * static_cast<double>(v) + 255 * brightness, 0., 255.)));
  Sample result = sample;
  for (std::uint8_t& v : result.image.data()) v = table[v];
  return result;
}

}  // namespace boxgrad::detection
