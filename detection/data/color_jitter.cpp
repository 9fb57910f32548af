#include "detection/data/color_jitter.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"

namespace boxgrad::detection {

std::array<double, 3> rgb_to_hsv(const std::array<double, 3>& rgb) {
  const auto [r, g, b] = rgb;
  const double high = std::max({r, g, b}), range = high - std::min({r, g, b});
  if (!(range > 0)) return {0, 0, high};
  const double sextant = high == r   ? (g - b) / range + (g < b ? 6 : 0)
                         : high == g ? (b - r) / range + 2
                                     : (r - g) / range + 4;
  return {60 * sextant, range / high, high};
}

std::array<double, 3> hsv_to_rgb(const std::array<double, 3>& hsv) {
  // A channel is at its highest within 60 degrees of its own hue (0, 120, 240), at its lowest
  // beyond 120 degrees, and falls in a straight line between.
  std::array<double, 3> rgb;
  for (std::size_t c = 0; c < 3; ++c) {
    double away = std::abs(hsv[0] - 120. * static_cast<double>(c));
    away = std::min(away, 360 - away);
    rgb[c] = hsv[2] * (1 - hsv[1] * std::clamp(away / 60 - 1, 0., 1.));
  }
  return rgb;
}

Sample jitter_colors(const Sample& sample, Random& random, const ColorJitterOptions& options) {
  const auto share = [](double v) { return v >= 0 && v <= 1; };
  check(share(options.brightness) && share(options.contrast) && share(options.saturation) &&
            share(options.chance) && options.hue >= 0 && options.hue <= 180,
        "jitter_colors: brightness, contrast, saturation and chance must be in 0..1, hue in "
        "0..180, got ",
        options.brightness, ", ", options.contrast, ", ", options.saturation, ", ", options.chance,
        " and ", options.hue);
  // Drawn whether used or not: a change of one option leaves the others' numbers as they are.
  const auto draw = [&](double middle, double spread) {
    const bool happens = random.bernoulli(options.chance);
    const double value = random.uniform(middle - spread, middle + spread);
    return happens ? value : middle;
  };
  const double brightness = 255 * draw(0, options.brightness), contrast = draw(1, options.contrast),
               saturation = draw(1, options.saturation), hue = draw(0, options.hue);
  const bool contrast_first = random.bernoulli(0.5);
  const bool tinted = saturation != 1 || hue != 0;

  Sample result = sample;
  const auto bytes = result.image.data();
  const auto cut = [](double v) { return std::clamp(v, 0., 255.); };
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::array<double, 3> rgb{cut(bytes[i] + brightness), cut(bytes[i + 1] + brightness),
                              cut(bytes[i + 2] + brightness)};
    if (contrast_first)
      for (double& v : rgb) v = cut(contrast * v);
    if (tinted) {
      auto [h, s, v] = rgb_to_hsv(rgb);
      h += hue + (h + hue < 0 ? 360 : h + hue >= 360 ? -360 : 0);
      rgb = hsv_to_rgb({h, std::min(1., s * saturation), v});
    }
    if (!contrast_first)
      for (double& v : rgb) v = cut(contrast * v);
    for (std::size_t c = 0; c < 3; ++c)
      bytes[i + c] = static_cast<std::uint8_t>(std::lround(rgb[c]));
  }
  return result;
}

}  // namespace boxgrad::detection
