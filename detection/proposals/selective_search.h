#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/image.h"
#include "core/tensor.h"
#include "detection/proposals/color_space.h"
#include "detection/proposals/region_hierarchy.h"

namespace boxgrad::detection {

/// One way of grouping a picture.
struct SearchStrategy {
  ColorSpace space = ColorSpace::hsv;
  SimilarityTerms terms = {};
  double k = 100;  ///< of the initial segmentation, and its least number of pixels
};

struct SelectiveSearchOptions {
  std::vector<SearchStrategy> strategies = {};  ///< at least one
  double sigma = 0.8;          ///< smoothing before the segmentation, pixels of the resized picture
  int resize_width_px = 0;     ///< work on the picture at this width; 0: as it is
  double min_side_px = 0;      ///< drop boxes with a shorter side, in the given picture's pixels
  std::int64_t max_boxes = 0;  ///< keep so many, the best ranked ones; 0: all
  std::uint64_t seed = 0;      ///< of the ranking

  /// The strategies of the paper's table 5; the other options as above. C, T, S, F are the terms
  /// colour, texture, size and fill.
  ///
  ///   single    HSV; C+T+S+F; k = 100                                              1 strategy
  ///   fast      HSV, Lab; C+T+S+F, T+S+F; k = 50, 100                              8
  ///   quality   HSV, Lab, rgI, hue, intensity; C+T+S+F, T+S+F, F, S; k = 50, 100, 150, 300   80
  ///
  /// Throws std::invalid_argument for another name.
  static SelectiveSearchOptions preset(const std::string& name);
};

/// Boxes where there may be an object, of whatever class: those of all regions of the hierarchies
/// of all strategies.
///
/// Each strategy starts from a segmentation of the picture (graph_segmentation.h) and groups it
/// until one region is left (region_hierarchy.h); n segments give 2 n - 1 regions. Objects come at
/// all scales, so that each step's region is a candidate; what groups one object fails for another,
/// so that several strategies are taken together.
///
/// Ranking: region number i of its hierarchy, counted from the whole picture (i = 1) down, gets the
/// value i u, with u uniform in [0, 1) from stream `strategy` of `seed`; boxes are sorted by it,
/// and of equal boxes the first one stays. The number keeps large regions in front, u mixes them so
/// that the first boxes are not all large.
///
/// returns  [P, 4], best ranked first; corners are whole pixels, half-open (a region's last column
///          is x2 - 1), unless resize_width_px scaled them
/// throws   std::invalid_argument for an image without pixels or with a side > 65535, and for
///          options that make no sense
///
/// A picture without any contrast gives its own box. The same bits for any number of threads:
/// segmentations and strategies run in parallel, each into its own place.
///
/// Uijlings, van de Sande, Gevers, Smeulders, "Selective search for object recognition", IJCV 2013.
Tensor selective_search(const Image& image, const SelectiveSearchOptions& options =
                                                SelectiveSearchOptions::preset("fast"));

/// The hierarchies behind the boxes, one for each strategy: for looking at them. Their coordinates
/// are those of the resized picture.
std::vector<RegionHierarchy> selective_search_hierarchies(const Image& image,
                                                          const SelectiveSearchOptions& options);

/// All options in one line, for a log or a fingerprint: two options that give different boxes have
/// different lines.
std::string to_string(const SelectiveSearchOptions& options);

}  // namespace boxgrad::detection
