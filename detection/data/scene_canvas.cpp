#include "detection/data/scene_canvas.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace boxgrad::detection {
namespace {

constexpr int kSums = 16;  // partial sums that are independent, so that they fill a vector

// Uniform noise with mean 0 and variance 1, four values to a random word.
void fill_noise(Random& random, std::span<float> out) {
  const float scale = std::sqrt(12.f) / 256;
  std::size_t i = 0;
  while (i < out.size()) {
    std::uint32_t bits = random.next_u32();
    for (int k = 0; k < 4 && i < out.size(); ++k, bits >>= 8)
      out[i++] = (static_cast<float>(bits & 255) - 127.5f) * scale;
  }
}

// Between which two nodes, a and a + 1, a pixel lies, and how far from the first.
struct Between {
  std::vector<int> node;
  std::vector<float> part;
};

Between nodes_of_pixels(int side, int cell, float phase) {
  Between result{std::vector<int>(static_cast<std::size_t>(side)),
                 std::vector<float>(static_cast<std::size_t>(side))};
  for (int x = 0; x < side; ++x) {
    const float position = (static_cast<float>(x) + phase) / static_cast<float>(cell);
    result.node[static_cast<std::size_t>(x)] = static_cast<int>(position);
    result.part[static_cast<std::size_t>(x)] =
        position - static_cast<float>(static_cast<int>(position));
  }
  return result;
}

// texture += weight * noise on a grid of `cell` pixels, bilinear in between.
void add_noise(Random& random, std::span<float> texture, int side, int cell, float weight) {
  const float phase_x = static_cast<float>(random.uniform(0, cell));
  const float phase_y = static_cast<float>(random.uniform(0, cell));
  const int nodes = (side - 1) / cell + 3;  // the phase needs one more than the last pixel's two
  const auto width = static_cast<std::size_t>(side);
  std::vector<float> grid(static_cast<std::size_t>(nodes) * static_cast<std::size_t>(nodes));
  fill_noise(random, grid);

  // Rows of nodes are spread to the canvas' width first, as there are fewer of them than pixels.
  const Between across = nodes_of_pixels(side, cell, phase_x);
  std::vector<float> rows(static_cast<std::size_t>(nodes) * width);  // [nodes, side]
  for (int r = 0; r < nodes; ++r) {
    const float* in = &grid[static_cast<std::size_t>(r) * static_cast<std::size_t>(nodes)];
    float* out = &rows[static_cast<std::size_t>(r) * width];
    for (std::size_t x = 0; x < width; ++x) {
      const float* a = in + across.node[x];
      out[x] = weight * (a[0] + across.part[x] * (a[1] - a[0]));
    }
  }
  const Between down = nodes_of_pixels(side, cell, phase_y);
  for (std::size_t y = 0; y < width; ++y) {
    const float* a = &rows[static_cast<std::size_t>(down.node[y]) * width];
    const float *b = a + width, part = down.part[y];
    float* out = &texture[y * width];
    for (std::size_t x = 0; x < width; ++x) out[x] += a[x] + part * (b[x] - a[x]);
  }
}

// texture += amplitude * sin(2 pi (fx x + fy y) + phase), by the sine of a sum.
void add_stripes(Random& random, std::span<float> texture, int side, float amplitude) {
  const double turn = 2 * std::numbers::pi, angle = random.uniform(0, turn);
  const double rate = turn / random.uniform(5, 40), phase = random.uniform(0, turn);
  const double rate_x = rate * std::cos(angle), rate_y = rate * std::sin(angle);
  const auto width = static_cast<std::size_t>(side);
  std::vector<float> sin_x(width), cos_x(width);
  for (std::size_t x = 0; x < width; ++x) {
    sin_x[x] = static_cast<float>(std::sin(rate_x * static_cast<double>(x)));
    cos_x[x] = static_cast<float>(std::cos(rate_x * static_cast<double>(x)));
  }
  for (std::size_t y = 0; y < width; ++y) {
    const double at = rate_y * static_cast<double>(y) + phase;
    const float s = amplitude * static_cast<float>(std::sin(at));
    const float c = amplitude * static_cast<float>(std::cos(at));
    float* out = &texture[y * width];
    for (std::size_t x = 0; x < width; ++x) out[x] += s * cos_x[x] + c * sin_x[x];
  }
}

// texture += or -= amplitude, at random for each square of a grid.
void add_checks(Random& random, std::span<float> texture, int side, float amplitude) {
  const int cell = 6 + static_cast<int>(random.below(19));
  const int phase_x = static_cast<int>(random.below(cell));
  const int phase_y = static_cast<int>(random.below(cell));
  const int squares = (side - 1) / cell + 2;
  const auto width = static_cast<std::size_t>(side);
  std::vector<float> row(width);
  int done = -1;  // the row of squares that `row` holds
  std::vector<float> noise(static_cast<std::size_t>(squares));
  for (int y = 0; y < side; ++y) {
    if ((y + phase_y) / cell != done) {
      done = (y + phase_y) / cell;
      fill_noise(random, noise);
      for (int x = 0; x < side; ++x)
        row[static_cast<std::size_t>(x)] =
            noise[static_cast<std::size_t>((x + phase_x) / cell)] > 0 ? amplitude : -amplitude;
    }
    float* out = &texture[static_cast<std::size_t>(y) * width];
    for (std::size_t x = 0; x < width; ++x) out[x] += row[x];
  }
}

struct Moments {
  float mean, deviation;
};

Moments moments(std::span<const float> values) {
  float sum[kSums] = {}, square[kSums] = {};
  const std::size_t whole = values.size() / kSums * kSums;
  for (std::size_t i = 0; i < whole; i += kSums)
    for (std::size_t k = 0; k < kSums; ++k) {
      sum[k] += values[i + k];
      square[k] += values[i + k] * values[i + k];
    }
  double s = 0, q = 0;
  for (std::size_t k = 0; k < kSums; ++k) s += sum[k], q += square[k];
  for (std::size_t i = whole; i < values.size(); ++i) s += values[i], q += values[i] * values[i];
  const double n = static_cast<double>(values.size()), mean = s / n;
  return {static_cast<float>(mean),
          static_cast<float>(std::sqrt(std::max(q / n - mean * mean, 1e-12)))};
}

}  // namespace

PixelBox tight_box(const Patch& patch, float threshold) {
  const auto width = static_cast<std::size_t>(patch.width);
  std::vector<float> columns(width, 0.f);  // the maximum of each column
  PixelBox box{patch.width, patch.height, 0, 0};
  for (int y = 0; y < patch.height; ++y) {
    const float* row = &patch.values[static_cast<std::size_t>(y) * width];
    bool above = false;
    for (std::size_t x = 0; x < width; ++x) {
      columns[x] = std::max(columns[x], row[x]);
      above |= row[x] > threshold;
    }
    if (above) box.y1 = std::min(box.y1, y), box.y2 = y + 1;
  }
  for (int x = 0; x < patch.width; ++x)
    if (columns[static_cast<std::size_t>(x)] > threshold)
      box.x1 = std::min(box.x1, x), box.x2 = x + 1;
  return box;
}

Patch resize_patch(const Patch& patch, const PixelBox& crop, int width, int height, bool flip) {
  const int crop_w = crop.x2 - crop.x1, crop_h = crop.y2 - crop.y1;
  const auto w = static_cast<std::size_t>(width);
  Patch result{width, height, std::vector<float>(w * static_cast<std::size_t>(height))};

  // Rows are resized first, into [crop_h, width]; then pairs of rows are mixed.
  std::vector<int> left(w), right(w);
  std::vector<float> part(w);
  for (int x = 0; x < width; ++x) {
    const float at = (static_cast<float>(flip ? width - 1 - x : x) + .5f) *
                         static_cast<float>(crop_w) / static_cast<float>(width) -
                     .5f;
    const float inside = std::clamp(at, 0.f, static_cast<float>(crop_w - 1));
    const auto i = static_cast<std::size_t>(x);
    left[i] = static_cast<int>(inside);
    right[i] = std::min(left[i] + 1, crop_w - 1);
    part[i] = inside - static_cast<float>(left[i]);
  }
  std::vector<float> rows(static_cast<std::size_t>(crop_h) * w);
  for (int y = 0; y < crop_h; ++y) {
    const float* in =
        &patch.values[static_cast<std::size_t>((crop.y1 + y) * patch.width + crop.x1)];
    float* out = &rows[static_cast<std::size_t>(y) * w];
    for (std::size_t x = 0; x < w; ++x)
      out[x] = in[left[x]] + part[x] * (in[right[x]] - in[left[x]]);
  }
  for (int y = 0; y < height; ++y) {
    const float at =
        (static_cast<float>(y) + .5f) * static_cast<float>(crop_h) / static_cast<float>(height) -
        .5f;
    const float inside = std::clamp(at, 0.f, static_cast<float>(crop_h - 1));
    const int upper = static_cast<int>(inside), lower = std::min(upper + 1, crop_h - 1);
    const float mix = inside - static_cast<float>(upper);
    const float* a = &rows[static_cast<std::size_t>(upper) * w];
    const float* b = &rows[static_cast<std::size_t>(lower) * w];
    float* out = &result.values[static_cast<std::size_t>(y) * w];
    for (std::size_t x = 0; x < w; ++x) out[x] = a[x] + mix * (b[x] - a[x]);
  }
  return result;
}

SceneCanvas::SceneCanvas(int side, bool colour)
    : side_(side),
      num_planes_(colour ? 3 : 1),
      pixels_(static_cast<std::size_t>(num_planes_) * static_cast<std::size_t>(side) *
              static_cast<std::size_t>(side)) {}

void SceneCanvas::paint_texture(Random& random, Pattern pattern, const Rgb& base, float contrast) {
  // The last plane holds the texture while it is built, and is turned into pixels last.
  const std::size_t area = static_cast<std::size_t>(side_) * static_cast<std::size_t>(side_);
  const std::span<float> texture(&pixels_[static_cast<std::size_t>(num_planes_ - 1) * area], area);
  std::fill(texture.begin(), texture.end(), 0.f);
  float variance = 0;
  for (int cell = 2; cell <= 64; cell *= 2) {
    const float weight = static_cast<float>(random.uniform());
    add_noise(random, texture, side_, cell, weight);
    variance += weight * weight * 4 / 9;  // bilinear mixing leaves 2/3 of it for each axis
  }
  const float strength = static_cast<float>(random.uniform(.5, 1.5)) * std::sqrt(variance);
  if (pattern == Pattern::stripes) add_stripes(random, texture, side_, strength * std::sqrt(2.f));
  if (pattern == Pattern::checks) add_checks(random, texture, side_, strength);

  const Moments m = moments(texture);
  const float scale = contrast / m.deviation;
  for (int p = 0; p < num_planes_; ++p) {
    const float shift = base[static_cast<std::size_t>(p)] - scale * m.mean;
    float* out = &pixels_[static_cast<std::size_t>(p) * area];
    for (std::size_t i = 0; i < area; ++i)
      out[i] = std::min(std::max(scale * texture[i] + shift, 0.f), 1.f);
  }
}

void SceneCanvas::blend_box(const PixelBox& box, const Rgb& value, float alpha) {
  const int x1 = std::max(box.x1, 0), x2 = std::min(box.x2, side_);
  const int y1 = std::max(box.y1, 0), y2 = std::min(box.y2, side_);
  for (int p = 0; p < num_planes_; ++p)
    for (int y = y1; y < y2; ++y) {
      float* row = &pixels_[static_cast<std::size_t>((p * side_ + y) * side_)];
      for (int x = x1; x < x2; ++x) row[x] += alpha * (value[static_cast<std::size_t>(p)] - row[x]);
    }
}

void SceneCanvas::blend_patch(const Patch& patch, int x, int y, float contrast, float brightness,
                              const Rgb& tint) {
  for (int p = 0; p < num_planes_; ++p)
    for (int r = 0; r < patch.height; ++r) {
      const float* in = &patch.values[static_cast<std::size_t>(r * patch.width)];
      float* out = &pixels_[static_cast<std::size_t>((p * side_ + y + r) * side_ + x)];
      const float factor = tint[static_cast<std::size_t>(p)];
      for (int i = 0; i < patch.width; ++i) {
        const float alpha = std::min(6 * in[i], 1.f);
        out[i] += alpha * (factor * std::min(contrast * in[i] + brightness, 1.f) - out[i]);
      }
    }
}

Image SceneCanvas::to_image() const {
  Image image(side_, side_);
  const std::size_t area = static_cast<std::size_t>(side_) * static_cast<std::size_t>(side_);
  std::uint8_t* out = image.data().data();
  const float *red = pixels_.data(), *green = red, *blue = red;
  if (num_planes_ == 3) green = red + area, blue = green + area;
  const auto byte = [](float v) {  // truncating v + 1/2 rounds, as v is not negative
    return static_cast<std::uint8_t>(static_cast<int>(std::clamp(v, 0.f, 1.f) * 255 + .5f));
  };
  for (std::size_t i = 0; i < area; ++i) {
    out[3 * i] = byte(red[i]);
    out[3 * i + 1] = byte(green[i]);
    out[3 * i + 2] = byte(blue[i]);
  }
  return image;
}

}  // namespace boxgrad::detection
