#include "detection/data/transforms.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/check.h"
#include "core/resize.h"
#include "detection/boxes.h"

namespace boxgrad::detection {
namespace {

int scaled_side(int side, double scale) {
  return std::max(1, static_cast<int>(std::lround(side * scale)));
}

/// The boxes whose centre lies in the w x h window at (left, top), clipped to it and seen from its
/// corner; `stay` gets their numbers.
Tensor boxes_in_window(const Tensor& boxes, Scalar left, Scalar top, Scalar w, Scalar h,
                       std::vector<std::int64_t>& stay) {
  stay.clear();
  std::vector<Scalar> kept;
  const auto box = boxes.data();
  for (std::size_t i = 0; i < box.size(); i += 4) {
    const Scalar x1 = box[i] - left, y1 = box[i + 1] - top;
    const Scalar x2 = box[i + 2] - left, y2 = box[i + 3] - top;
    const Scalar cx = (x1 + x2) / 2, cy = (y1 + y2) / 2;
    if (cx <= 0 || cy <= 0 || cx >= w || cy >= h) continue;
    kept.insert(kept.end(), {std::max<Scalar>(x1, 0), std::max<Scalar>(y1, 0), std::min(x2, w),
                             std::min(y2, h)});
    stay.push_back(static_cast<std::int64_t>(i / 4));
  }
  return Tensor({static_cast<std::int64_t>(stay.size()), 4}, kept);
}

}  // namespace

void check_has_pixels(const Sample& sample, const char* op) {
  check(sample.image.width() > 0 && sample.image.height() > 0, op, ": image \"", sample.name,
        "\" has no pixels");
}

Transform chain(std::vector<Transform> steps) {
  return [steps = std::move(steps)](Sample sample, Random& random) {
    for (const Transform& step : steps) sample = step(std::move(sample), random);
    return sample;
  };
}

Sample flip_horizontal(const Sample& sample) {
  Sample result = sample;
  result.image = boxgrad::flip_horizontal(sample.image);
  const auto width = static_cast<Scalar>(sample.image.width());
  result.target.boxes = flip_boxes(sample.target.boxes, width);
  result.proposals = flip_boxes(sample.proposals, width);
  return result;
}

Transform random_horizontal_flip(double probability) {
  check(probability >= 0 && probability <= 1,
        "random_horizontal_flip: probability must be in [0, 1], got ", probability);
  return [probability](Sample sample, Random& random) {
    return random.bernoulli(probability) ? flip_horizontal(sample) : sample;
  };
}

Sample flip_vertical(const Sample& sample) {
  Sample result = sample;
  result.image = boxgrad::flip_vertical(sample.image);
  const auto height = static_cast<Scalar>(sample.image.height());
  for (Tensor* boxes : {&result.target.boxes, &result.proposals}) {
    *boxes = boxes->clone();
    const auto numbers = boxes->data();
    for (std::size_t i = 0; i + 3 < numbers.size(); i += 4) {
      const Scalar top = numbers[i + 1];
      numbers[i + 1] = height - numbers[i + 3];
      numbers[i + 3] = height - top;
    }
  }
  return result;
}

Sample resize(const Sample& sample, int width, int height, Shrinking shrinking) {
  check_has_pixels(sample, "resize");
  const double factor_x = static_cast<double>(width) / sample.image.width();
  const double factor_y = static_cast<double>(height) / sample.image.height();
  Sample result = sample;
  if (width != sample.image.width() || height != sample.image.height())
    result.image =
        shrinking == Shrinking::area
            ? boxgrad::resize(sample.image, width, height)
            : Image::from_tensor(resize_bilinear(sample.image.to_tensor(), height, width));
  for (Tensor* boxes : {&result.target.boxes, &result.proposals}) {
    *boxes = boxes->clone();
    const auto numbers = boxes->data();
    for (std::size_t i = 0; i < numbers.size(); i += 2) {
      numbers[i] *= static_cast<Scalar>(factor_x);
      numbers[i + 1] *= static_cast<Scalar>(factor_y);
    }
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

  const Scalar left = static_cast<Scalar>(x), top = static_cast<Scalar>(y);
  const Scalar w = static_cast<Scalar>(width), h = static_cast<Scalar>(height);
  std::vector<std::int64_t> stay;
  result.target.boxes = boxes_in_window(sample.target.boxes, left, top, w, h, stay);
  for (const std::int64_t i : stay) {
    const auto g = static_cast<std::size_t>(i);
    result.target.labels.push_back(sample.target.labels[g]);
    result.target.difficult.push_back(g < sample.target.difficult.size() &&
                                      sample.target.difficult[g]);
    if (!sample.target.crowd.empty()) result.target.crowd.push_back(sample.target.crowd[g]);
    if (!sample.target.areas.empty()) result.target.areas.push_back(sample.target.areas[g]);
  }
  result.proposals = boxes_in_window(sample.proposals, left, top, w, h, stay);
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
