#pragma once

#include <functional>
#include <vector>

#include "core/random.h"
#include "detection/data/dataset.h"

/// What may be done to an image on its way into a network, boxes included. Each function returns a
/// new sample; boxes, true and proposed, are continuous pixels of the image that comes back.
namespace boxgrad::detection {

/// A step of augmentation: a pure function of the sample and of the random numbers it is given.
using Transform = std::function<Sample(Sample, Random&)>;

/// Throws std::invalid_argument, named after `op` and naming the image, for one without pixels.
void check_has_pixels(const Sample& sample, const char* op);

/// One after the other, each drawing from the same stream.
Transform chain(std::vector<Transform> steps);

/// Left and right exchanged: x becomes W - x. (Inclusive pixel numbers would need W - 1 - x.)
Sample flip_horizontal(const Sample& sample);

/// flip_horizontal() of a share of the images, each with this probability: torchvision's
/// RandomHorizontalFlip. Throws std::invalid_argument unless the probability is in [0, 1].
Transform random_horizontal_flip(double probability = 0.5);

/// Top and bottom exchanged: y becomes H - y. For pictures that have no up and down (a
/// microscope's, a satellite's).
Sample flip_vertical(const Sample& sample);

/// What the pixels of a smaller image are made of (core/resize.h): the mean of the area that each
/// covers, or, with bilinear, of two pixels along an axis, which skips others.
enum class Shrinking { area, bilinear };

/// To exactly width x height, stretching (SSD). Boxes are multiplied by width / W and height / H,
/// scale_x and scale_y take the same factors. Throws for sizes that are not > 0.
Sample resize(const Sample& sample, int width, int height, Shrinking shrinking = Shrinking::area);

/// Keeps the proportions: the shorter side becomes `shorter_px`, or less, so that the longer side
/// does not pass `max_longer_px` (Fast R-CNN section 3.2: 600 and 1000). Sides are rounded to whole
/// pixels, and the scales are what was really done.
Sample resize_shorter_side(const Sample& sample, int shorter_px, int max_longer_px);

/// Keeps the proportions: the longer side becomes `longer_px`.
Sample resize_longer_side(const Sample& sample, int longer_px);

/// The columns x..x + width - 1 and rows y..y + height - 1, which must lie inside the image. A box
/// stays when its centre lies in the window, and is clipped to it (SSD section 2.2).
Sample crop(const Sample& sample, int x, int y, int width, int height);

struct CropOptions {
  double min_area = 0.5;      ///< of the window as a share of the image's
  double max_stretch = 1.33;  ///< of the window's proportions against the image's, either way
  int tries = 10;             ///< to find a window that keeps a box, before the image is left alone
};

/// A window of random size, proportions and place. An image with boxes keeps at least one.
Sample random_crop(const Sample& sample, Random& random, const CropOptions& options = {});

/// v becomes contrast * v + 255 * brightness, rounded and cut to 0..255, for brightness
/// U(-max_brightness, max_brightness) and contrast U(1 - max_contrast, 1 + max_contrast). SSD's
/// values: 32/255 and 0.5, each in half of the images.
Sample jitter_brightness_contrast(const Sample& sample, Random& random, double max_brightness,
                                  double max_contrast);

}  // namespace boxgrad::detection
