#pragma once

#include <string>

#include "core/image.h"
#include "core/tensor.h"

namespace boxgrad::detection {

/// Colour spaces that selective search looks at a picture in. They differ in what they ignore: a
/// shadow changes intensity and leaves rg and hue alone; a grey object is nothing but intensity.
///
///   rgb        red, green, blue
///   intensity  I = .299 R + .587 G + .114 B                                       one channel
///   lab        CIE 1976 L*a*b* of sRGB under D65: equal distances look equally different
///   rgi        r = R / (R + G + B), g = G / (R + G + B), I; black has r = g = 1/3
///   hsv        hue, saturation, value of the hexcone (Smith 1978); grey has hue and saturation 0
///   hue        the H of hsv                                                       one channel
///
/// Uijlings et al., "Selective search for object recognition", IJCV 2013, section 3.2, table 1.
enum class ColorSpace { rgb, intensity, lab, rgi, hsv, hue };

/// The picture's channels in that space, every channel on a scale from 0 to 255, so that distances
/// and histograms of different spaces compare:
///
///   L* 255 / 100,   a* + 128,   b* + 128,   r, g, S 255,   H 255 / 360 degrees
///
/// returns  [H, W, C], C = 3 or 1
/// throws   std::invalid_argument for an image without pixels
///
/// Hue is an angle, and is treated as a number, as in the paper: the reds at 0 and at 359 degrees
/// are neighbours that this scale puts far apart.
Tensor to_color_space(const Image& image, ColorSpace space);

int num_channels(ColorSpace space);  ///< 3 or 1

/// "rgb", "intensity", "lab", "rgi", "hsv", "hue".
std::string to_string(ColorSpace space);

}  // namespace boxgrad::detection
