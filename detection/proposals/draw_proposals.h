#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/image.h"
#include "detection/data/dataset.h"
#include "detection/proposals/region_hierarchy.h"

/// Pictures of how proposals came about and of what they are worth.
namespace boxgrad::detection {

/// mean      every region in the mean of its pixels' colours
/// distinct  every region in a colour of its own; a union keeps the colour of its largest segment
enum class RegionPaint { mean, distinct };

/// The image with its regions painted; it is resized to the segmentation's size if need be.
/// `segments` gives the colours of `distinct`: the hierarchy's segmentation, for a level of it.
Image paint_regions(const Image& image, const Segmentation& regions, const Segmentation& segments,
                    RegionPaint paint = RegionPaint::mean);

/// A sheet: the image, then the hierarchy at the moments when so many regions were left.
/// levels   numbers of regions, each at most the number of segments; empty: all segments, then half
///          of them, a quarter, ... down to two
/// throws   std::invalid_argument for a level that there is not
Image draw_hierarchy(const Image& image, const RegionHierarchy& hierarchy,
                     std::span<const std::int32_t> levels = {},
                     RegionPaint paint = RegionPaint::mean);

/// The truths, dashed in white, and of each the proposal that overlaps it best with its IoU: green
/// from `iou` on, red below. Pixels of the image are `scale` times as fine as the boxes.
/// returns  how many truths are green
std::int64_t draw_best_proposals(Image& image, const Tensor& proposals, const Tensor& truths,
                                 double scale = 1, double iou = 0.5);

/// A sheet of samples with their best proposals, captioned "val/3: 4 of 5 found, 312 boxes".
/// Throws std::invalid_argument unless there is one list of proposals per sample, and at least one.
Image best_proposals_sheet(std::span<const Sample> samples, std::span<const Tensor> proposals,
                           double iou = 0.5);

}  // namespace boxgrad::detection
