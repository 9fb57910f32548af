#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace boxgrad::detection {

/// Fields as the arguments of torchvision.ops.roi_align.
struct RoiAlignOptions {
  std::int64_t sampling_ratio = -1;  ///< s > 0: s x s points a bin; else as many as it has cells
  /// The convention of pixel centres, see below. torchvision's default is false, for the sake of
  /// networks that were trained before there was a choice; here are none.
  bool aligned = true;
};

/// RoI align: each bin is the mean of the map at a few points of it, between cells by bilinear
/// interpolation. Nothing is rounded, so a region that moves by half a cell is seen to move.
///
///   y[r, i, j, c]  = 1 / (sh sw) sum over sh x sw points (py, px) of bin (i, j) of x(n_r, py, px, c)
///   py             = start + extent / out_h * (i + (k + 0.5) / sh),  k = 0 .. sh - 1,  px likewise
///   x(py, px)      = sum over h, w of max(0, 1 - |py - h|) max(0, 1 - |px - w|) x[h, w]
///   dx[n, h, w, c] = sum over r, i, j of (weight of (h, w) in bin (i, j) of r) dy[r, i, j, c]
///
/// aligned    start = y1 * scale - 0.5, extent = (y2 - y1) * scale. Pixel i goes from i to i + 1,
///            so that its centre, where the map's number i stands, is i + 0.5. An inverted region
///            is pooled backwards with a sampling_ratio and 0 without
/// not        start = y1 * scale, extent at least 1: as first published, half a cell too far down
///            and right
/// A point before -1 or behind the map's size counts as 0; one between -1 and 0 is moved to 0, one
/// behind the last cell to it. Weights of rows and of columns are summed up apart, so a bin costs
/// as many additions as it has cells, not four for each point.
///
/// x        feature map, [N, H, W, C]
/// rois     [R, 5], each [n, x1, y1, x2, y2]: image number in the batch, then corners in pixels of
///          the input image. Constants: no gradient flows to them
/// scale    feature cells per image pixel
/// returns  [R, out_h, out_w, C]
/// throws   std::invalid_argument for other shapes, an image number that is not one of the batch,
///          corners that are not finite, a scale that is not > 0, out_h or out_w that are not from
///          1 to 1024, and more than 65536 points a bin each way
///
/// The same bits for any number of threads. He, Gkioxari, Dollár, Girshick, "Mask R-CNN", ICCV
/// 2017, section 3. Equals torchvision.ops.roi_align on permuted axes.
Tensor roi_align(const Tensor& x, const Tensor& rois, std::int64_t out_h, std::int64_t out_w,
                 double scale, const RoiAlignOptions& options = {});

}  // namespace boxgrad::detection
