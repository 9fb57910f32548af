#include "detection/proposals/color_space.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/check.h"

namespace boxgrad::detection {
namespace {

/// sRGB's transfer curve backwards: a byte becomes light, 0 to 1.
std::array<Scalar, 256> linear_light() {
  std::array<Scalar, 256> light{};
  for (std::size_t i = 0; i < light.size(); ++i) {
    const double v = static_cast<double>(i) / 255;
    light[i] = static_cast<Scalar>(v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4));
  }
  return light;
}

/// The cube root that CIE continues by a straight line below (6/29)^3.
Scalar lab_curve(Scalar t) {
  constexpr Scalar kKnee = Scalar{216} / 24389, kSlope = Scalar{841} / 108;
  return t > kKnee ? std::cbrt(t) : kSlope * t + Scalar{4} / 29;
}

void rgb_to_lab(const std::uint8_t* rgb, Scalar* lab) {
  static const std::array<Scalar, 256> kLight = linear_light();
  const Scalar r = kLight[rgb[0]], g = kLight[rgb[1]], b = kLight[rgb[2]];
  // Rows of the sRGB-to-XYZ matrix divided by D65 white, whose XYZ is their sum.
  const Scalar x = lab_curve(Scalar(0.4339499) * r + Scalar(0.3762098) * g + Scalar(0.1898403) * b);
  const Scalar y = lab_curve(Scalar(0.2126729) * r + Scalar(0.7151522) * g + Scalar(0.0721749) * b);
  const Scalar z = lab_curve(Scalar(0.0177566) * r + Scalar(0.1094681) * g + Scalar(0.8727753) * b);
  const auto on_scale = [](Scalar v) { return std::clamp<Scalar>(v, 0, 255); };
  lab[0] = on_scale((116 * y - 16) * Scalar(2.55));
  lab[1] = on_scale(500 * (x - y) + 128);
  lab[2] = on_scale(200 * (y - z) + 128);
}

Scalar intensity(const std::uint8_t* rgb) {
  return Scalar(0.299) * rgb[0] + Scalar(0.587) * rgb[1] + Scalar(0.114) * rgb[2];
}

void rgb_to_rgi(const std::uint8_t* rgb, Scalar* rgi) {
  const int sum = rgb[0] + rgb[1] + rgb[2];
  rgi[0] = sum > 0 ? Scalar{255} * rgb[0] / static_cast<Scalar>(sum) : Scalar{85};
  rgi[1] = sum > 0 ? Scalar{255} * rgb[1] / static_cast<Scalar>(sum) : Scalar{85};
  rgi[2] = intensity(rgb);
}

void rgb_to_hsv(const std::uint8_t* rgb, Scalar* hsv) {
  const int r = rgb[0], g = rgb[1], b = rgb[2];
  const int high = std::max({r, g, b}), range = high - std::min({r, g, b});
  Scalar sextant = 0;  // 0 to 6: red, yellow, green, cyan, blue, magenta
  if (range > 0) {
    const auto part = [&](int d) { return static_cast<Scalar>(d) / static_cast<Scalar>(range); };
    sextant = high == r ? part(g - b) : high == g ? 2 + part(b - r) : 4 + part(r - g);
    if (sextant < 0) sextant += 6;
  }
  hsv[0] = sextant * (Scalar{255} / 6);
  hsv[1] = high > 0 ? Scalar{255} * static_cast<Scalar>(range) / static_cast<Scalar>(high) : 0;
  hsv[2] = static_cast<Scalar>(high);
}

void convert_pixel(ColorSpace space, const std::uint8_t* rgb, Scalar* out) {
  switch (space) {
    case ColorSpace::rgb:
      std::copy_n(rgb, 3, out);
      return;
    case ColorSpace::intensity:
      *out = intensity(rgb);
      return;
    case ColorSpace::lab:
      return rgb_to_lab(rgb, out);
    case ColorSpace::rgi:
      return rgb_to_rgi(rgb, out);
    case ColorSpace::hsv:
      return rgb_to_hsv(rgb, out);
    case ColorSpace::hue: {
      Scalar hsv[3];
      rgb_to_hsv(rgb, hsv);
      *out = hsv[0];
      return;
    }
  }
}

}  // namespace

Tensor to_color_space(const Image& image, ColorSpace space) {
  check(image.width() > 0 && image.height() > 0, "to_color_space: the image has no pixels");
  const int channels = num_channels(space);
  Tensor planes = Tensor::empty({image.height(), image.width(), channels});
  Scalar* out = planes.data().data();
  const auto bytes = image.data();
  for (std::size_t p = 0; p + 2 < bytes.size(); p += 3, out += channels)
    convert_pixel(space, &bytes[p], out);
  return planes;
}

int num_channels(ColorSpace space) {
  return space == ColorSpace::intensity || space == ColorSpace::hue ? 1 : 3;
}

std::string to_string(ColorSpace space) {
  constexpr const char* kNames[] = {"rgb", "intensity", "lab", "rgi", "hsv", "hue"};
  return kNames[static_cast<std::size_t>(space)];
}

}  // namespace boxgrad::detection
