#include "detection/scale_pyramid.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/ops.h"
#include "core/resize.h"
#include "detection/boxes.h"

namespace boxgrad::detection {

namespace {

int scaled_px(double side, double factor) {
  return std::max(1, static_cast<int>(std::lround(side * factor)));
}

}  // namespace

ScalePyramid ScalePyramid::five() {
  return {.sides_px = {480, 576, 688, 864, 1200}, .longest_px = 2000};
}

ScalePyramid ScalePyramid::resized(double factor) const {
  check(factor > 0, "ScalePyramid: factor must be > 0, got ", factor);
  ScalePyramid result = *this;
  for (double& side : result.sides_px) side *= factor;
  result.longest_px *= factor;
  result.region_px *= factor;
  return result;
}

std::vector<double> ScalePyramid::factors(double width, double height) const {
  check(!sides_px.empty() && longest_px > 0 && region_px > 0,
        "ScalePyramid: needs a side, and longest_px and region_px > 0");
  check(width > 0 && height > 0, "ScalePyramid: the image must have pixels, got ", width, " x ",
        height);
  std::vector<double> result;
  for (const double side : sides_px) {
    check(side > 0, "ScalePyramid: sides must be > 0, got ", side);
    result.push_back(
        std::min(side / std::min(width, height), longest_px / std::max(width, height)));
  }
  return result;
}

std::vector<std::size_t> nearest_scales(const Tensor& boxes, const std::vector<double>& factors,
                                        double region_px) {
  check(!factors.empty(), "nearest_scales: there is no scale");
  std::vector<std::size_t> result;
  for (const Scalar area : box_area(boxes).to_vector()) {
    const auto distance = [&](double factor) {
      return std::abs(static_cast<double>(area) * factor * factor - region_px * region_px);
    };
    std::size_t best = 0;
    for (std::size_t s = 1; s < factors.size(); ++s)
      if (distance(factors[s]) < distance(factors[best])) best = s;
    result.push_back(best);
  }
  return result;
}

Tensor image_at_scale(const Tensor& image, double factor) {
  check(image.rank() == 4 && image.size(0) == 1, "image_at_scale: image must be [1, H, W, C], got ",
        image.shape());
  const std::int64_t height = image.size(1), width = image.size(2), channels = image.size(3);
  const int h = scaled_px(static_cast<double>(height), factor),
            w = scaled_px(static_cast<double>(width), factor);
  if (h == height && w == width) return image;
  const Tensor pixels = reshape(image.detach(), {height, width, channels});
  return reshape(h < height ? resize_area(pixels, h, w) : resize_bilinear(pixels, h, w),
                 {1, h, w, channels});
}

Tensor boxes_at_scale(const Tensor& boxes, double width, double height, double factor) {
  check_boxes(boxes, "boxes_at_scale", "boxes");
  const auto sx = static_cast<Scalar>(scaled_px(width, factor) / width),
             sy = static_cast<Scalar>(scaled_px(height, factor) / height);
  Tensor scaled = boxes.detach().clone();
  for (std::size_t i = 0; i < scaled.data().size(); ++i) scaled.data()[i] *= i % 2 ? sy : sx;
  return scaled;
}

Tensor features_by_scale(
    const Tensor& boxes, const std::vector<std::size_t>& scales,
    const std::function<Tensor(std::size_t scale, const Tensor& boxes)>& features) {
  check_boxes(boxes, "features_by_scale", "boxes");
  check(static_cast<std::int64_t>(scales.size()) == boxes.size(0), "features_by_scale: expected ",
        boxes.size(0), " scales, got ", scales.size());
  if (scales.empty()) return features(0, boxes);
  std::vector<Tensor> parts;
  std::vector<std::int64_t> place(scales.size());  // of each region among the parts
  std::int64_t done = 0;
  for (std::size_t s = 0; s <= std::ranges::max(scales); ++s) {
    std::vector<std::int64_t> own;
    for (std::size_t r = 0; r < scales.size(); ++r)
      if (scales[r] == s) {
        place[r] = done++;
        own.push_back(static_cast<std::int64_t>(r));
      }
    if (!own.empty()) parts.push_back(features(s, index_select(boxes, 0, own)));
  }
  return index_select(cat(parts, 0), 0, place);
}

Tensor pyramid_features(
    const Tensor& image, const Tensor& boxes, const ScalePyramid& pyramid,
    const std::function<Tensor(const Tensor& image, const Tensor& boxes)>& features) {
  check(image.rank() == 4 && image.size(0) == 1,
        "pyramid_features: image must be [1, H, W, C], got ", image.shape());
  check_boxes(boxes, "pyramid_features", "boxes");
  const double width = static_cast<double>(image.size(2)),
               height = static_cast<double>(image.size(1));
  const std::vector<double> factors = pyramid.factors(width, height);
  return features_by_scale(boxes, nearest_scales(boxes, factors, pyramid.region_px),
                           [&](std::size_t s, const Tensor& own) {
                             return features(image_at_scale(image, factors[s]),
                                             boxes_at_scale(own, width, height, factors[s]));
                           });
}

Transform random_scale(const ScalePyramid& pyramid) {
  return [pyramid](Sample sample, Random& random) {
    const double width = sample.image.width(), height = sample.image.height();
    const std::vector<double> factors = pyramid.factors(width, height);
    const double factor =
        factors[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(factors.size())))];
    return resize(sample, scaled_px(width, factor), scaled_px(height, factor));
  };
}

}  // namespace boxgrad::detection
