#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"
#include "detection/region_max.h"

namespace boxgrad::detection {

/// Spatial pyramid pooling of regions: each is cut into grids of n x n bins, coarse ones beside
/// fine ones, and every bin gives the maximum of each channel over its cells.
///
///   y[r, (level, i, j, c)] = max of x[n_r, h, w, c] over bin (i, j) of the level's n x n
///   dx[n, h, w, c] = sum of dy over the bins that (h, w) won in channel c
///
/// A region has the cells whose centres, pixels (i + 0.5) / scale, lie inside it: rounded inwards,
/// where RoI pooling rounds to the nearest cell. One too small for any is the cell at its middle,
/// and what lies outside the map is moved to its border, so that no bin is empty. Of L cells bin i
/// covers floor(i L / n) .. ceil((i + 1) L / n) - 1. The first of equal cells wins; NaN never wins.
///
/// x        feature map, [N, H, W, C] with H, W >= 1
/// rois     [R, 5], each [n, x1, y1, x2, y2]: image number in the batch, then corners in pixels of
///          the input image, x1 <= x2 and y1 <= y2. Constants: no gradient flows to them
/// scale    feature cells per image pixel
/// levels   the n of each grid; {6, 3, 2, 1} is 36 + 9 + 4 + 1 = 50 bins
/// returns  [R, sum of n^2 * C]: grids in the order of levels, bins row by row, channels innermost
/// throws   std::invalid_argument for other shapes, an image number that is not one of the batch,
///          corners that are not finite or not in order, a scale that is not > 0, no levels and
///          levels that are not from 1 to 64
///
/// The same bits for any number of threads. He, Zhang, Ren, Sun, "Spatial Pyramid Pooling in Deep
/// Convolutional Networks", ECCV 2014, sections 2.2 and 4.1 and appendix A. The authors' code
/// starts its maximum at 0, which is the same behind a ReLU, and trains the layers above only; here
/// the gradient goes on. PyTorch has no such function.
Tensor spatial_pyramid_pool(const Tensor& x, const Tensor& rois, double scale,
                            const std::vector<std::int64_t>& levels = {6, 3, 2, 1});

/// The cells that a region from `low` to `high`, in pixels, has along an axis of `size` cells: what
/// is cut into bins, by part_of().
CellRange spatial_pyramid_cells(Scalar low, Scalar high, double scale, std::int64_t size);

}  // namespace boxgrad::detection
