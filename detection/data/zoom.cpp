#include "detection/data/zoom.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "detection/boxes.h"
#include "detection/data/transforms.h"

namespace boxgrad::detection {
namespace {

/// In whole pixels of the image.
struct Window {
  int x, y, width, height;
};

/// A patch of random size, proportions and place.
Window random_patch(int w, int h, Random& random, const ZoomInOptions& options) {
  const double scale = random.uniform(options.min_scale, 1);
  // Neither side may pass the image's.
  const double widest = std::min(options.max_aspect, 1 / (scale * scale));
  const double stretch = std::sqrt(random.uniform(1 / widest, widest));
  const auto side = [](int whole, double share) {
    return std::clamp(static_cast<int>(std::lround(whole * share)), 1, whole);
  };
  Window patch{
      .x = 0, .y = 0, .width = side(w, scale * stretch), .height = side(h, scale / stretch)};
  patch.x = static_cast<int>(random.below(w - patch.width + 1));
  patch.y = static_cast<int>(random.below(h - patch.height + 1));
  return patch;
}

/// Of the truths, the largest IoU with the patch.
double best_iou(const Tensor& truths, const Window& patch) {
  const auto x = static_cast<Scalar>(patch.x), y = static_cast<Scalar>(patch.y);
  const Tensor box(
      {1, 4}, {x, y, x + static_cast<Scalar>(patch.width), y + static_cast<Scalar>(patch.height)});
  const Tensor ious = box_iou(truths, box);
  return static_cast<double>(*std::ranges::max_element(ious.data()));
}

/// Whether crop() would keep one of the truths.
bool holds_a_centre(const Tensor& truths, const Window& patch) {
  const auto box = truths.data();
  for (std::size_t i = 0; i < box.size(); i += 4) {
    const Scalar x = (box[i] + box[i + 2]) / 2 - static_cast<Scalar>(patch.x);
    const Scalar y = (box[i + 1] + box[i + 3]) / 2 - static_cast<Scalar>(patch.y);
    if (x > 0 && y > 0 && x < static_cast<Scalar>(patch.width) &&
        y < static_cast<Scalar>(patch.height))
      return true;
  }
  return false;
}

}  // namespace

Sample zoom_out(const Sample& sample, Random& random, const ZoomOutOptions& options) {
  check(options.max_ratio >= 1 && options.max_ratio <= 16,
        "zoom_out: max_ratio must be in 1..16, got ", options.max_ratio);
  check(options.chance >= 0 && options.chance <= 1, "zoom_out: chance must be in 0..1, got ",
        options.chance);
  check_has_pixels(sample, "zoom_out");
  if (!random.bernoulli(options.chance)) return sample;
  const double ratio = random.uniform(1, options.max_ratio);
  const int w = sample.image.width(), h = sample.image.height();
  Image canvas(static_cast<int>(w * ratio), static_cast<int>(h * ratio), options.fill);
  const int x = static_cast<int>(random.below(canvas.width() - w + 1));
  const int y = static_cast<int>(random.below(canvas.height() - h + 1));
  for (int row = 0; row < h; ++row)
    std::copy_n(sample.image.pixel(0, row), 3 * static_cast<std::size_t>(w),
                canvas.pixel(x, y + row));
  Sample result = sample;
  result.image = std::move(canvas);
  for (Tensor* boxes : {&result.target.boxes, &result.proposals}) {
    *boxes = boxes->clone();
    const auto numbers = boxes->data();
    for (std::size_t i = 0; i < numbers.size(); ++i)
      numbers[i] += static_cast<Scalar>(i % 2 == 0 ? x : y);
  }
  return result;
}

Sample zoom_in(const Sample& sample, Random& random, const ZoomInOptions& options) {
  check(options.min_scale > 0 && options.min_scale <= 1,
        "zoom_in: min_scale must be in (0, 1], got ", options.min_scale);
  check(options.max_aspect >= 1 && options.tries >= 1,
        "zoom_in: max_aspect and tries must be >= 1, got ", options.max_aspect, " and ",
        options.tries);
  check_has_pixels(sample, "zoom_in");
  if (sample.target.labels.empty()) return sample;

  const int w = sample.image.width(), h = sample.image.height();
  std::vector<Window> found{{0, 0, w, h}};
  const auto look = [&](double min_iou) {
    for (int t = 0; t < options.tries; ++t) {
      const Window patch = random_patch(w, h, random, options);
      if (best_iou(sample.target.boxes, patch) < min_iou ||
          !holds_a_centre(sample.target.boxes, patch))
        continue;
      found.push_back(patch);
      return;
    }
  };
  for (const double min_iou : options.min_ious) look(min_iou);
  look(0);
  const auto chosen =
      static_cast<std::size_t>(random.below(static_cast<std::int64_t>(found.size())));
  const Window& p = found[chosen];
  return chosen == 0 ? sample : crop(sample, p.x, p.y, p.width, p.height);
}

}  // namespace boxgrad::detection
