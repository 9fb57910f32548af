#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "detection/data/data_report.h"
#include "detection/data/dataset.h"

namespace boxgrad::detection {

struct VocOptions {
  /// "train", "val", "test", "trainval" or any other list in ImageSets/Main; "" takes everything.
  std::string split = "";
  /// Names of classes 1, 2, ...; objects of others are skipped and reported. When empty, all names
  /// in the folder (whatever the split), sorted.
  std::vector<std::string> classes = {};
  /// Every problem is an error, instead of being skipped or mended, and reported.
  bool strict = false;
  /// Of the images, where a folder has no lists of its own: see VocDataset.
  double val_share = 0.2;
  std::uint64_t split_seed = 0;
};

/// One image of a VOC folder.
struct VocEntry {
  std::filesystem::path image, annotation;
  int width = 0, height = 0;  ///< the upright picture's own, not the annotation's
  struct Object {
    std::int64_t label = 0;  ///< 1..num_classes
    double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
    bool difficult = false, truncated = false;
  };
  std::vector<Object> objects;
};

/// A folder annotated like PASCAL VOC, as it comes (Everingham et al., "The PASCAL Visual Object
/// Classes challenge", IJCV 2010).
///
/// Where things are is found by looking: the annotations are the .xml files of the folder called
/// Annotations, in `folder` or up to three levels below (VOCdevkit/VOC2007/Annotations), else the
/// nearest .xml files; the pictures lie in JPEGImages (or Images) beside it or next to the .xml
/// files. Folders called train, val (valid) and test with both are taken as splits.
///
/// Without lists, "train" and "val" cut the sorted names, shuffled by split_seed, at 1 - val_share.
///
/// VOC counts pixels from 1 and includes both ends. Here a box is continuous and half-open:
/// (xmin - 1, ymin - 1, xmax, ymax). That is the only place of the conversion. A box is judged
/// before it (xmax <= xmin has no area, and would become one pixel wide) and clipped to the
/// picture's real size after it.
///
/// What is wrong with a file or an object is skipped or mended, counted and reported: report().
/// Names from lists and annotations are only looked up among the files of those folders, so that
/// none leads elsewhere.
class VocDataset : public Dataset {
 public:
  /// Throws std::invalid_argument when there is no such folder or list, when no image is left, or
  /// for the first problem when options.strict.
  explicit VocDataset(const std::filesystem::path& folder, VocOptions options = {});

  std::int64_t size() const override { return static_cast<std::int64_t>(entries_.size()); }
  /// Decodes the picture; its name is the file's. Throws when it is damaged or has changed.
  Sample get(std::int64_t index) const override;
  const std::vector<std::string>& class_names() const override { return class_names_; }

  const std::vector<VocEntry>& entries() const { return entries_; }
  const DataReport& report() const { return report_; }
  /// "205 images, 2804 boxes of 3 classes: Platelets 209, RBC 2381, WBC 214", then the report's
  /// lines.
  std::vector<std::string> summary() const;

 private:
  std::vector<std::string> class_names_;
  std::vector<VocEntry> entries_;
  DataReport report_;
};

}  // namespace boxgrad::detection
