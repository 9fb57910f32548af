#pragma once

#include <vector>

#include "core/image.h"
#include "core/random.h"
#include "detection/data/dataset.h"

/// SSD's two ways of making objects smaller and larger, which is what one resolution lacks. Both
/// leave pixels as they are; resize() comes behind them.
namespace boxgrad::detection {

struct ZoomOutOptions {
  double chance = 0.5;
  double max_ratio = 4;          ///< canvas over image, of either side: up to 16 times the area
  Color fill = {123, 117, 104};  ///< ImageNet's mean
};

/// The image somewhere on a canvas of one colour whose sides are U(1, max_ratio) times its own: all
/// objects become smaller by the resize behind it.
///
/// Throws std::invalid_argument unless max_ratio >= 1 and chance in 0..1.
/// Liu et al., "SSD", 2016, section 3.6 "Data augmentation for small object accuracy".
Sample zoom_out(const Sample& sample, Random& random, const ZoomOutOptions& options = {});

struct ZoomInOptions {
  std::vector<double> min_ious{0.1, 0.3, 0.5, 0.7, 0.9};
  double min_scale = 0.3;  ///< sqrt of the patch's area over the image's, U(min_scale, 1)
  double max_aspect = 2;   ///< of the patch, times the image's: U(1 / max_aspect, max_aspect)
  int tries = 50;          ///< to find a patch for each of min_ious
};

/// One of these, with equal chances among those that were found:
///
///   the whole image
///   for each of min_ious: a random patch that overlaps a truth with IoU >= it
///   a random patch
///
/// Truths stay when their centre lies in the patch, and are clipped to it. An image with truths
/// keeps at least one; without any it stays as it is.
///
/// The constraint is on the best of the truths: "at least one object". A widely copied port tests
/// the smallest and the largest overlap in one condition that is never true, so that any patch
/// passes.
///
/// Throws std::invalid_argument unless 0 < min_scale <= 1, max_aspect >= 1 and tries >= 1.
/// Liu et al., "SSD", 2016, section 2.2, with the scale .3 of the authors' code (the paper has .1).
Sample zoom_in(const Sample& sample, Random& random, const ZoomInOptions& options = {});

}  // namespace boxgrad::detection
