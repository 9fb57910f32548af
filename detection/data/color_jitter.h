#pragma once

#include <array>

#include "core/random.h"
#include "detection/data/dataset.h"

namespace boxgrad::detection {

/// Red, green and blue, 0 to 255, as hue [0, 360), saturation [0, 1] and value 0 to 255 of the
/// hexcone, and back (Smith, "Color gamut transform pairs", SIGGRAPH 1978). Grey has hue 0.
std::array<double, 3> rgb_to_hsv(const std::array<double, 3>& rgb);
std::array<double, 3> hsv_to_rgb(const std::array<double, 3>& hsv);

/// How far colours are changed. Each of the four happens to half of the images.
struct ColorJitterOptions {
  double brightness = 32. / 255;  ///< v + 255 b,  b = U(-brightness, brightness)
  double contrast = 0.5;          ///< c v,        c = U(1 - contrast, 1 + contrast)
  double saturation = 0.5;        ///< s times U(1 - saturation, 1 + saturation)
  double hue = 36;                ///< degrees, h + U(-hue, hue)
  double chance = 0.5;            ///< of each
};

/// SSD's photometric distortion: brightness first, then contrast before saturation and hue or
/// behind them, with equal chances. Boxes stay as they are. Values are cut to 0..255 behind every
/// change, as a byte would be, and rounded once, at the end.
///
/// The published 18 of hue are OpenCV's units of two degrees. Contrast is a factor, as in the
/// authors' code: dark pictures change less than bright ones.
/// Throws std::invalid_argument for options out of range: brightness, contrast, saturation and
/// chance in 0..1, hue in 0..180.
///
/// Liu et al., "SSD", ECCV 2016, section 2.2 "Data augmentation", after Howard, "Some improvements
/// on deep convolutional neural network based image classification", 2013.
Sample jitter_colors(const Sample& sample, Random& random, const ColorJitterOptions& options = {});

}  // namespace boxgrad::detection
