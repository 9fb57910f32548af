#include "detection/data/ssd_augmentation.h"

#include "core/check.h"

namespace boxgrad::detection {

Transform ssd_augmentation(const SsdAugmentationOptions& options) {
  check((options.width > 0 && options.height > 0) || (options.width == 0 && options.height == 0),
        "ssd_augmentation: width and height must be > 0, or both 0, got ", options.width, " and ",
        options.height);
  check(options.flip_chance >= 0 && options.flip_chance <= 1,
        "ssd_augmentation: flip_chance must be in 0..1, got ", options.flip_chance);
  return [options](Sample sample, Random& random) {
    const int width = options.width > 0 ? options.width : sample.image.width();
    const int height = options.height > 0 ? options.height : sample.image.height();
    sample = jitter_colors(sample, random, options.colors);
    sample = zoom_out(sample, random, options.zoom_out);
    sample = zoom_in(sample, random, options.zoom_in);
    const Shrinking shrinking = random.bernoulli(0.5) ? Shrinking::area : Shrinking::bilinear;
    sample = resize(sample, width, height, shrinking);
    if (random.bernoulli(options.flip_chance)) sample = flip_horizontal(sample);
    if (options.vertical_flips && random.bernoulli(options.flip_chance))
      sample = flip_vertical(sample);
    return sample;
  };
}

}  // namespace boxgrad::detection
