#pragma once

#include <optional>
#include <string>
#include <vector>

#include "detection/explain_frames.h"
#include "detection/target.h"

namespace boxgrad::detection {

/// The usual reasons for an AP of 0. Each is found by a test on the numbers.
enum class ZeroReason {
  no_photos,          ///< the split is empty
  no_truths,          ///< nothing is annotated in it
  only_difficult,     ///< all truths are difficult or crowds: nothing is asked for
  names_differ,       ///< the network's class names are not the data's
  no_answers,         ///< the detector says nothing at all
  nan_scores,         ///< some or all scores are NaN
  bad_boxes,          ///< most boxes are not finite or have no area
  below_threshold,    ///< the scores are below the one from which on answers count
  other_frame,        ///< AP comes back when the answers' boxes are scaled or rearranged
  truths_rearranged,  ///< the same for the truths
  other_photos,       ///< AP comes back when each photo gets its neighbour's answers
  labels_shifted,     ///< AP comes back when 1 is added to or taken from the labels
  labels_permuted,    ///< AP comes back when the labels are exchanged
  same_everywhere,    ///< the answers do not depend on the photo
  outranked,          ///< objects are found, but false positives have better scores
  poor_boxes,         ///< answers lie on the objects and overlap them too little
  unrelated,          ///< none of these: answers and truths have nothing in common
};

struct ZeroFinding {
  ZeroReason reason = ZeroReason::unrelated;
  std::string found = {};           ///< what the numbers say
  std::string remedy = {};          ///< what to do
  std::optional<double> ap50 = {};  ///< what it came to, where something was tried
};

/// What is known beside answers and truths.
struct ZeroContext {
  std::vector<std::string> class_names = {};       ///< the network's: of labels 1, 2, ...
  std::vector<std::string> data_class_names = {};  ///< the folder's own; empty: not known
  PhotoSizes sizes = {};       ///< empty: not known; frames that depend on them are not tried
  double score_threshold = 0;  ///< answers below do not count
  double nearly_zero = 0.1;    ///< an AP50 from here on needs no explanation
};

/// Why AP50 (VOC's, by area) is 0 or nearly so, the most certain reason first; empty when AP50 is
/// at least context.nearly_zero.
///
/// Boxes are tried in the forms of explain_frames.h, as they are and scaled; the truths as
/// (x, y, width, height), (centre, size), added or reversed corners, and numbers from 0 to 1; each
/// photo with its neighbours' answers; labels shifted by one, looked up in the data's names, and
/// exchanged as the overlapping pairs say. AP has come back when it is at least .1 and four times
/// what it was; of several changes that come to 90 % of the best, the simplest is named. At most
/// 300 photos are looked at, from the first with a truth on, and the best 50 answers of each.
///
/// Labels of the detections may be any numbers, scores and boxes anything; the targets must be
/// sound. Throws std::invalid_argument when numbers of images or fields do not fit together, or
/// there are no class names.
std::vector<ZeroFinding> why_ap_is_zero(const std::vector<Detections>& detections,
                                        const std::vector<Target>& targets,
                                        const ZeroContext& context);

}  // namespace boxgrad::detection
