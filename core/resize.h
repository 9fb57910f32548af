#pragma once

#include "core/image.h"
#include "core/tensor.h"

namespace boxgrad {

/// Which point of the input an output pixel samples, along an axis of `in` pixels that becomes
/// `out`. Three rules are in use, and a network only works well with the one it was trained with:
///
///   half_pixel     src = (dst + 0.5) * in / out - 0.5   centre onto centre; the picture's borders
///                  stay borders. PyTorch's default (align_corners=False), OpenCV, ours everywhere.
///   top_left       src = dst * in / out                 no half pixel: the first corner stays, the
///                  picture moves by up to half a pixel. TensorFlow 1, and networks trained with
///                  it.
///   align_corners  src = dst * (in - 1) / (out - 1)     first and last centres stay (0 if out =
///   1).
///                  PyTorch's align_corners=True.
///
/// src is clamped to [0, in - 1].
enum class PixelGrid { half_pixel, top_left, align_corners };

/// Bilinear interpolation at src of the grid's rule, separately along both axes:
///
///   lo = floor(src), hi = min(lo + 1, in - 1), t = src - lo,   y = (1 - t) x[lo] + t x[hi]
///
/// image    [H, W, C], any values; treated as a constant (no gradient)
/// returns  [height, width, C]
/// throws   std::invalid_argument unless image is [H, W, C] without empty axis and the sizes are >
/// 0
///
/// Reads two pixels an axis and no more, so shrinking to less than half skips pixels: use
/// resize_area there. Equals torch.nn.functional.interpolate(mode="bilinear") without antialias.
Tensor resize_bilinear(const Tensor& image, int height, int width,
                       PixelGrid grid = PixelGrid::half_pixel);

/// Mean over the area that an output pixel covers in the input, fractions of pixels counted
/// exactly: along an axis, output i covers [i * in / out, (i + 1) * in / out).
///
/// The filter for shrinking. Equals torch's interpolate(mode="area") when `in` is a multiple of
/// `out`; otherwise torch rounds the windows outwards to whole pixels, and we do not.
Tensor resize_area(const Tensor& image, int height, int width);

/// An image in another size: area along an axis that shrinks, bilinear (half_pixel) along one that
/// grows. Computed in float, rounded once. Throws std::invalid_argument unless width and height
/// are > 0 and the image has pixels.
Image resize(const Image& image, int width, int height);

/// The largest size with the image's proportions inside max_width x max_height, at least 1 x 1.
Image resize_to_fit(const Image& image, int max_width, int max_height);

/// Columns x to x + width - 1 and rows y to y + height - 1; they must lie inside.
Image crop(const Image& image, int x, int y, int width, int height);

/// The image with a border of so many pixels at each side, in one colour.
Image pad(const Image& image, int left, int top, int right, int bottom, Color color = {});

/// Left and right exchanged.
Image flip_horizontal(const Image& image);

/// Top and bottom exchanged.
Image flip_vertical(const Image& image);

}  // namespace boxgrad
