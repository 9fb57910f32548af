#pragma once

#include <filesystem>

#include "detection/data/photo_dataset.h"

namespace boxgrad::detection {

using VocOptions = PhotoOptions;
using VocEntry = PhotoEntry;

/// A folder annotated like PASCAL VOC, as it comes (Everingham et al., "The PASCAL Visual Object
/// Classes challenge", IJCV 2010).
///
/// Where things are is found by looking: the annotations are the .xml files of the folder called
/// Annotations, in `folder` or up to three levels below (VOCdevkit/VOC2007/Annotations), else the
/// nearest .xml files; the pictures lie in JPEGImages (or Images) beside it or next to the .xml
/// files. Folders called train, val (valid) and test with both are taken as splits.
///
/// Without lists, "train" and "val" are cut by the photos' names: PhotoOptions::val_share.
///
/// VOC counts pixels from 1 and includes both ends. Here a box is continuous and half-open:
/// (xmin - 1, ymin - 1, xmax, ymax). That is the only place of the conversion. A box is judged
/// before it (xmax <= xmin has no area, and would become one pixel wide) and clipped to the
/// picture's real size after it.
///
/// When options.classes is empty, classes are all names in the folder, whatever the split, sorted.
/// Names from lists and annotations are only looked up among the files of those folders, so that
/// none leads elsewhere.
class VocDataset : public PhotoDataset {
 public:
  /// Throws std::invalid_argument when there is no such folder or list, when no image is left, or
  /// for the first problem when options.strict.
  explicit VocDataset(const std::filesystem::path& folder, const VocOptions& options = {});
};

}  // namespace boxgrad::detection
