#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/image.h"
#include "core/random.h"

namespace boxgrad::detection {

/// A factor or a value for each of red, green and blue, 0 to 1; a grey canvas reads the first.
using Rgb = std::array<float, 3>;

/// A small grey picture that is cut, resized and pasted: values 0 to 1, rows from the top.
struct Patch {
  int width = 0, height = 0;
  std::vector<float> values;
};

/// A rectangle of whole pixels, half-open: columns x1..x2-1 and rows y1..y2-1.
struct PixelBox {
  int x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  bool empty() const { return x1 >= x2 || y1 >= y2; }
};

/// The smallest rectangle that holds every value above `threshold`; empty when there is none.
PixelBox tight_box(const Patch& patch, float threshold);

/// Bilinear resize of the part `crop` of the patch by the half-pixel rule; pixels outside of the
/// part are never read (its edge repeats). `flip` mirrors left and right.
Patch resize_patch(const Patch& patch, const PixelBox& crop, int width, int height, bool flip);

/// The pixels that a scene is painted on, as floats: one plane for grey, three for colour.
///
/// Always float, also in the double build, so that both see the same scenes. Written for speed,
/// since a training run paints every image it sees: random numbers are taken four to a word and
/// only for the nodes of coarse grids, and the loops over pixels are plain sums and products over
/// rows that the compiler vectorises.
class SceneCanvas {
 public:
  SceneCanvas(int side, bool colour);

  enum class Pattern { plain, stripes, checks };

  /// Covers the canvas with `base + contrast * t`, cut to 0..1. t is noise of several scales
  /// (grids of 2, 4, ..., 64 px, bilinear, each with a random weight), to which `stripes` adds a
  /// sine wave of 5 to 40 px in a random direction and `checks` squares of 6 to 24 px, light or
  /// dark at random; its mean over the canvas is 0 and its variance 1.
  void paint_texture(Random& random, Pattern pattern, const Rgb& base, float contrast);

  /// pixel += alpha * (value - pixel) inside the box, which is clipped to the canvas.
  void blend_box(const PixelBox& box, const Rgb& value, float alpha);

  /// Pastes a patch with its corner at (x, y), where it must fit: a pixel of value v covers with
  /// alpha = min(6 v, 1) and shows tint * min(contrast * v + brightness, 1).
  void blend_patch(const Patch& patch, int x, int y, float contrast, float brightness,
                   const Rgb& tint);

  /// 8 bits a channel, rounded to nearest; grey is written to all three.
  Image to_image() const;

 private:
  int side_;
  int num_planes_;
  std::vector<float> pixels_;  // [planes, side, side]
};

}  // namespace boxgrad::detection
