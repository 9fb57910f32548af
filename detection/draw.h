#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/image.h"
#include "detection/evaluation.h"
#include "detection/matcher.h"
#include "detection/sampler.h"
#include "detection/target.h"

/// Boxes on pictures. All functions draw over `image`, whose pixels are `scale` times as fine as
/// the boxes' coordinates: enlarge a small image first and say by how much.
namespace boxgrad::detection {

struct DrawOptions {
  double scale = 1;        ///< picture pixels per box pixel
  double min_score = 0.3;  ///< detections below are not drawn
  int thickness = 2;
  int text_scale = 1;  ///< 0 draws no text
};

/// Boxes [N, 4] in one colour, without a word: the anchors of a cell, proposals.
void draw_boxes(Image& image, const Tensor& boxes, Color color, const DrawOptions& options = {});

/// "shirt 0.87" in the class's colour, best score on top. A label without a name is written as a
/// number.
void draw_detections(Image& image, const Detections& detections,
                     const std::vector<std::string>& class_names, const DrawOptions& options = {});

/// The truths, dashed, in their class's colour with its name; difficult ones are marked "?".
void draw_truths(Image& image, const Target& target, const std::vector<std::string>& class_names,
                 const DrawOptions& options = {});

/// Colours of an anchor's or a detection's fate, for legends.
inline constexpr Color kPositiveColor{0, 158, 115};  ///< green: positive anchor, hit
inline constexpr Color kNegativeColor{213, 94, 0};   ///< red: chosen negative, false positive
inline constexpr Color kIgnoredColor{230, 159, 0};   ///< amber: ignored anchor; duplicate
inline constexpr Color kTruthColor{255, 255, 255};   ///< white: truth

/// Anchors by match state: ignored ones thin in amber, the selection's negatives thin in red and
/// its positives in green on top. Other anchors - thousands of background - are left out. Throws
/// std::invalid_argument when matches or selection do not belong to the anchors.
void draw_anchors(Image& image, const Tensor& anchors, const Matches& matches,
                  const Selection& selection, const DrawOptions& options = {});

/// What evaluate_detections made of one image: hits green, false alarms red, duplicates amber (each
/// with its score), and the truths that no detection of at least min_score hit dashed in white.
/// `result` is one class's (call it for each) or the class-agnostic one; `detections` and `target`
/// are those of image number `image_index` in the evaluation.
void draw_outcomes(Image& image, const Detections& detections, const Target& target,
                   const ClassResult& result, std::int64_t image_index,
                   const std::vector<std::string>& class_names, const DrawOptions& options = {});

/// Images by how wrong the result is on them, worst first, for a sheet of worst errors: the number
/// of truths that no detection of at least min_score hit, plus the scores of the false positives of
/// at least min_score. Images without an error are left out. Over the given results (classes, or
/// the class-agnostic one).
struct ImageError {
  std::int64_t image = 0;
  double error = 0;
};
std::vector<ImageError> worst_images(const std::vector<ClassResult>& results,
                                     double min_score = 0.3);

}  // namespace boxgrad::detection
