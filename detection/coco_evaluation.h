#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "detection/target.h"

namespace boxgrad::detection {

/// COCO's twelve figures; empty where there is no truth that they could be about ("n/a").
struct CocoFigures {
  std::optional<double> ap = {};               ///< mean over IoU .50, .55, ..., .95
  std::optional<double> ap50 = {}, ap75 = {};  ///< at one IoU
  std::optional<double> ap_small = {}, ap_medium = {}, ap_large = {};  ///< by the truths' area
  std::optional<double> ar1 = {}, ar10 = {},
                        ar100 = {};  ///< recall of the best 1, 10, 100 an image
  std::optional<double> ar_small = {}, ar_medium = {}, ar_large = {};  ///< of the best 100

  /// ("AP", ap), ("AP50", ap50), ... in the order above.
  std::vector<std::pair<std::string, std::optional<double>>> named() const;
};

struct CocoResult {
  CocoFigures all;                   ///< means over the classes that have such truths
  std::vector<CocoFigures> classes;  ///< of label 1, 2, ..., num_classes
};

/// Average precision as COCO defines it. For each class, IoU threshold t and range of areas, the
/// best 100 detections of an image, by score, each take the truth that they overlap most among
/// those still free, if IoU >= t; and
///
///   AP = 1/101 sum over r = 0, .01, ..., 1 of max precision at recall >= r
///
/// What differs from VOC's (evaluation.h), apart from the mean over thresholds:
///
///   * a detection whose best truth is taken goes on to its second best
///   * truths outside the range of areas, crowds and difficult ones are ignored, but are looked at
///     after all others; so is a detection that found none and has itself an area outside the range
///   * a crowd may be found any number of times, and overlaps by intersection / detection's area
///   * small is up to 32^2 square pixels, medium from there to 96^2, large from there; both ends
///     count on either side
///
/// Boxes in pixels of the files, since areas are.
/// Throws std::invalid_argument when the numbers of images differ, a target's or detection's fields
/// do not have the same length, or a label is not in 1..num_classes, naming the image.
///
/// Lin et al., "Microsoft COCO: common objects in context", ECCV 2014, and the published
/// evaluation code (pycocotools), whose figures these are. Two departures: figures about nothing
/// are empty instead of -1, and any truth can be matched, whatever its number in the file (there, a
/// truth with id 0 never is).
CocoResult evaluate_coco(const std::vector<Detections>& detections,
                         const std::vector<Target>& targets, std::int64_t num_classes);

}  // namespace boxgrad::detection
