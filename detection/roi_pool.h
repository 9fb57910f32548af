#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace boxgrad::detection {

/// RoI max pooling: a region of any size becomes a grid of out_h x out_w bins, each the largest
/// number of its part of the feature map.
///
///   y[r, i, j, c] = max of x[n_r, h, w, c] over the cells (h, w) of bin (i, j) of region r
///   dx[n, h, w, c] = sum over r, i, j of [(h, w) won bin (i, j) of r in channel c] dy[r, i, j, c]
///
/// A region's corners become cells by start = round(x1 * scale), end = round(x2 * scale), halves
/// away from zero. Its extent counts both end cells, end - start + 1, and is at least 1: an
/// inverted region is the one cell at its start. Bin i covers the cells floor(i extent / out) ..
/// ceil((i + 1) extent / out) - 1 from the start on, so bins overlap when they do not divide the
/// extent. Cells outside the map are left out; a bin without cells is 0 and sends no gradient. The
/// first of equal cells wins, in row-major order; NaN never wins. Everywhere else in boxgrad a
/// width is x2 - x1.
///
/// These are the rules of Fast R-CNN's code and of torchvision.ops.roi_pool on permuted axes, with
/// one deliberate difference: bin edges are exact. Theirs are floats, and a rounding error adds a
/// cell at some extents, such as 57, 114 and 121 for 7 bins: ceil(7 (57 / 7)) comes out as 58.
///
/// x        feature map, [N, H, W, C]
/// rois     [R, 5], each [n, x1, y1, x2, y2]: image number in the batch, then corners in pixels of
///          the input image. Constants: no gradient flows to them
/// scale    feature cells per image pixel, 1/16 for VGG16's conv5
/// returns  [R, out_h, out_w, C]
/// throws   std::invalid_argument for other shapes, an image number that is not one of the batch,
///          corners that are not finite, a scale that is not > 0, and out_h or out_w that are not
///          from 1 to 1024
///
/// The same bits for any number of threads. Girshick, "Fast R-CNN", ICCV 2015, sections 2.1 and 2.3
/// (equation 4).
Tensor roi_max_pool(const Tensor& x, const Tensor& rois, std::int64_t out_h, std::int64_t out_w,
                    double scale);

}  // namespace boxgrad::detection
