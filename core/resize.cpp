#include "core/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/check.h"
#include "core/parallel.h"

namespace boxgrad {

namespace {

/// Output i of an axis is sum_k weights[begin + k] * input[first + k], k = 0 .. count - 1. Bilinear
/// and area differ in nothing else, so both run through the same loops.
template <class Real>
struct Axis {
  struct Output {
    int first, count;
    std::size_t begin;
  };
  std::vector<Output> outputs;
  std::vector<Real> weights;

  int size() const { return static_cast<int>(outputs.size()); }
};

template <class Real>
Axis<Real> bilinear_axis(int in, int out, PixelGrid grid) {
  Axis<Real> axis;
  for (int i = 0; i < out; ++i) {
    double source = 0;
    if (grid == PixelGrid::half_pixel)
      source = (i + 0.5) * in / out - 0.5;
    else if (grid == PixelGrid::top_left)
      source = static_cast<double>(i) * in / out;
    else if (out > 1)
      source = static_cast<double>(i) * (in - 1) / (out - 1);
    source = std::clamp(source, 0.0, static_cast<double>(in - 1));
    const int low = static_cast<int>(source);
    const double t = source - low;
    axis.outputs.push_back({low, t > 0 ? 2 : 1, axis.weights.size()});
    axis.weights.push_back(static_cast<Real>(1 - t));
    if (t > 0) axis.weights.push_back(static_cast<Real>(t));
  }
  return axis;
}

// In units of 1 / out of an input pixel everything is a whole number: output i covers
// [i * in, (i + 1) * in), input p covers [p * out, (p + 1) * out).
template <class Real>
Axis<Real> area_axis(int in, int out) {
  Axis<Real> axis;
  for (std::int64_t i = 0; i < out; ++i) {
    const std::int64_t begin = i * in, end = begin + in;
    const std::int64_t first = begin / out, last = (end - 1) / out;
    axis.outputs.push_back(
        {static_cast<int>(first), static_cast<int>(last - first + 1), axis.weights.size()});
    for (std::int64_t p = first; p <= last; ++p) {
      const std::int64_t covered = std::min(end, (p + 1) * out) - std::max(begin, p * out);
      axis.weights.push_back(static_cast<Real>(static_cast<double>(covered) / in));
    }
  }
  return axis;
}

void store(float value, std::uint8_t& target) {
  target = static_cast<std::uint8_t>(std::clamp(value, 0.0f, 255.0f) + 0.5f);
}
void store(Scalar value, Scalar& target) { target = value; }

// One row across: kChannels known at compile time for pictures, 0 for any other number.
template <int kChannels, class Real, class Value>
void resize_row(const Axis<Real>& across, const Real* row, int any_channels, Value* target) {
  const int channels = kChannels > 0 ? kChannels : any_channels;
  for (const auto& output : across.outputs) {
    const Real* weight = across.weights.data() + output.begin;
    const Real* source = row + static_cast<std::ptrdiff_t>(output.first) * channels;
    if constexpr (kChannels > 0) {
      Real sum[kChannels] = {};
      for (int k = 0; k < output.count; ++k)
        for (int c = 0; c < kChannels; ++c) sum[c] += weight[k] * source[k * kChannels + c];
      for (int c = 0; c < kChannels; ++c) store(sum[c], target[c]);
    } else {
      for (int c = 0; c < channels; ++c) {
        Real sum = 0;
        for (int k = 0; k < output.count; ++k) sum += weight[k] * source[k * channels + c];
        store(sum, target[c]);
      }
    }
    target += channels;
  }
}

// Rows first: the weighted sum of a few input rows is one long contiguous loop. Then across.
template <class Real, class Value>
void resize_separably(const Value* input, int in_width, int channels, const Axis<Real>& down,
                      const Axis<Real>& across, Value* output) {
  const std::size_t in_row =
      static_cast<std::size_t>(in_width) * static_cast<std::size_t>(channels);
  const std::size_t out_row =
      static_cast<std::size_t>(across.size()) * static_cast<std::size_t>(channels);
  const std::int64_t grain = std::max<std::int64_t>(1, (1 << 15) / static_cast<int>(in_row + 1));
  parallel_for(down.size(), grain, [&](std::int64_t begin, std::int64_t end) {
    std::vector<Real> row(in_row);
    for (std::int64_t y = begin; y < end; ++y) {
      const auto& [first, count, weights] = down.outputs[static_cast<std::size_t>(y)];
      for (int k = 0; k < count; ++k) {
        const Real weight = down.weights[weights + static_cast<std::size_t>(k)];
        const Value* source = input + static_cast<std::size_t>(first + k) * in_row;
        if (k == 0)
          for (std::size_t i = 0; i < in_row; ++i) row[i] = weight * static_cast<Real>(source[i]);
        else
          for (std::size_t i = 0; i < in_row; ++i) row[i] += weight * static_cast<Real>(source[i]);
      }
      Value* target = output + static_cast<std::size_t>(y) * out_row;
      if (channels == 3)
        resize_row<3>(across, row.data(), channels, target);
      else if (channels == 1)
        resize_row<1>(across, row.data(), channels, target);
      else
        resize_row<0>(across, row.data(), channels, target);
    }
  });
}

Tensor resize_tensor(const Tensor& image, const Axis<Scalar>& down, const Axis<Scalar>& across) {
  Tensor output = Tensor::empty({down.size(), across.size(), image.size(2)});
  resize_separably(image.data().data(), static_cast<int>(image.size(1)),
                   static_cast<int>(image.size(2)), down, across, output.data().data());
  return output;
}

void check_resize(const char* op, const Tensor& image, int height, int width) {
  check(image.rank() == 3 && image.numel() > 0, op,
        ": image must have shape [H, W, C] without an empty axis, got ", image.shape());
  check(height > 0 && width > 0, op, ": the new size must be > 0, got height ", height, ", width ",
        width);
  constexpr std::int64_t kMost = std::int64_t{1} << 24;
  check(image.size(0) < kMost && image.size(1) < kMost && image.size(2) < kMost, op,
        ": image is too large, shape ", image.shape());
}

}  // namespace

Tensor resize_bilinear(const Tensor& image, int height, int width, PixelGrid grid) {
  check_resize("resize_bilinear", image, height, width);
  const int in_height = static_cast<int>(image.size(0)), in_width = static_cast<int>(image.size(1));
  return resize_tensor(image, bilinear_axis<Scalar>(in_height, height, grid),
                       bilinear_axis<Scalar>(in_width, width, grid));
}

Tensor resize_area(const Tensor& image, int height, int width) {
  check_resize("resize_area", image, height, width);
  const int in_height = static_cast<int>(image.size(0)), in_width = static_cast<int>(image.size(1));
  return resize_tensor(image, area_axis<Scalar>(in_height, height),
                       area_axis<Scalar>(in_width, width));
}

Image resize(const Image& image, int width, int height) {
  check(width > 0 && height > 0, "resize: the new size must be > 0, got ", width, " x ", height);
  check(image.width() > 0 && image.height() > 0, "resize: the image has no pixels");
  if (width == image.width() && height == image.height()) return image;
  const auto axis = [](int in, int out) {
    return out < in ? area_axis<float>(in, out)
                    : bilinear_axis<float>(in, out, PixelGrid::half_pixel);
  };
  Image output(width, height);
  resize_separably(image.data().data(), image.width(), 3, axis(image.height(), height),
                   axis(image.width(), width), output.data().data());
  return output;
}

Image resize_to_fit(const Image& image, int max_width, int max_height) {
  check(image.width() > 0 && image.height() > 0, "resize_to_fit: the image has no pixels");
  check(max_width > 0 && max_height > 0, "resize_to_fit: the frame must be > 0, got ", max_width,
        " x ", max_height);
  const double scale = std::min(static_cast<double>(max_width) / image.width(),
                                static_cast<double>(max_height) / image.height());
  return resize(image, std::max(1, static_cast<int>(std::lround(image.width() * scale))),
                std::max(1, static_cast<int>(std::lround(image.height() * scale))));
}

Image crop(const Image& image, int x, int y, int width, int height) {
  check(x >= 0 && y >= 0 && width >= 0 && height >= 0 && x <= image.width() - width &&
            y <= image.height() - height,
        "crop: the part must lie inside ", image.width(), " x ", image.height(), ", got ", width,
        " x ", height, " at ", x, ", ", y);
  Image part(width, height);
  if (width == 0) return part;
  for (int row = 0; row < height; ++row)
    std::memcpy(part.pixel(0, row), image.pixel(x, y + row), static_cast<std::size_t>(width) * 3);
  return part;
}

Image pad(const Image& image, int left, int top, int right, int bottom, Color color) {
  constexpr int kMost = 1 << 24;  // keeps the sums below within int
  for (const int border : {left, top, right, bottom})
    check(border >= 0 && border <= kMost, "pad: borders must be 0 to ", kMost, ", got ", left, ", ",
          top, ", ", right, ", ", bottom);
  Image padded(image.width() + left + right, image.height() + top + bottom, color);
  if (image.width() == 0) return padded;
  for (int row = 0; row < image.height(); ++row)
    std::memcpy(padded.pixel(left, top + row), image.pixel(0, row),
                static_cast<std::size_t>(image.width()) * 3);
  return padded;
}

Image flip_horizontal(const Image& image) {
  Image flipped(image.width(), image.height());
  for (int y = 0; y < image.height(); ++y)
    for (int x = 0; x < image.width(); ++x)
      std::memcpy(flipped.pixel(image.width() - 1 - x, y), image.pixel(x, y), 3);
  return flipped;
}

Image flip_vertical(const Image& image) {
  Image flipped(image.width(), image.height());
  for (int y = 0; y < image.height() && image.width() > 0; ++y)
    std::memcpy(flipped.pixel(0, image.height() - 1 - y), image.pixel(0, y),
                static_cast<std::size_t>(image.width()) * 3);
  return flipped;
}

}  // namespace boxgrad
