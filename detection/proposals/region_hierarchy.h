#pragma once

#include <cstdint>
#include <vector>

#include "detection/proposals/region_features.h"

namespace boxgrad::detection {

/// A region of the hierarchy: a segment, or the union of two regions before it.
struct Region {
  RegionFeatures::Place place = {};
  std::int32_t left = -1, right = -1;  ///< the two regions that it was made of; -1 for a segment
  double similarity = 0;               ///< of the two when they were merged
};

/// Segments 0..n-1 of a segmentation, then their n - 1 unions in the order in which they were
/// made; the last one is the whole picture.
struct RegionHierarchy {
  Segmentation segmentation;
  std::vector<Region> regions;  ///< [2 n - 1]

  /// The segmentation at the moment when `count` regions were left. Throws std::invalid_argument
  /// unless 1 <= count <= n.
  Segmentation level(std::int32_t count) const;
};

/// Hierarchical grouping: merge the two most similar neighbours, compute the similarities of their
/// union to its neighbours, and go on until one region is left. Of equally similar pairs the one
/// with the lowest numbers goes first.
///
/// features   region_features of the segmentation; it is used up as the regions' memory
///
/// With n segments and m pairs of neighbours O((n + m) log m) steps on a queue of pairs, and as
/// many comparisons of histograms: nothing is searched for. A pair whose region was merged
/// meanwhile stays in the queue and is dropped when its turn comes.
///
/// Uijlings et al. 2013, algorithm 1.
RegionHierarchy group_regions(Segmentation segmentation, RegionFeatures features,
                              const SimilarityTerms& terms = {});

}  // namespace boxgrad::detection
