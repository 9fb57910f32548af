#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "detection/data/photo_dataset.h"

namespace boxgrad::detection {

/// A folder annotated like COCO: boxes only, outlines are passed over.
///
/// Annotations are .json files in `folder` or up to two levels below, without those that
/// may_be_coco() denies; where some are called instances_*, only those. One file per split is told
/// by a word of its name or of its folder's (instances_train2017.json,
/// valid/_annotations.coco.json; not latest/annotations.json); of a single file without such a name
/// "train" and "val" are cut, see PhotoOptions. Pictures are looked for by their file_name beside
/// the .json file, in the folder above (where that is part of `folder`), and in images/ and folders
/// called like the split there. A file_name that leads away (absolute, with a drive or "..") is
/// reduced to its last part, so that none leads elsewhere.
///
/// A picture has one record: where a second names it, the first is taken and the second reported.
///
/// bbox is [x, y, width, height] in continuous pixels: (x, y, x + width, y + height) here. Crowds
/// are marked as such and difficult. Classes are in the order of "categories", whose ids may have
/// gaps.
class CocoDataset : public PhotoDataset {
 public:
  /// `folder` may also be the .json file itself, whose name then says which split it is, if any.
  /// Throws std::invalid_argument when there is no such file or split, when no image is left, or
  /// for the first problem when options.strict; and what read_coco_json() throws.
  explicit CocoDataset(const std::filesystem::path& folder, const PhotoOptions& options = {});
  std::vector<std::string> class_ids() const override { return class_ids_; }

 private:
  std::vector<std::string> class_ids_;
};

/// The splits that a folder, or a file, is annotated for: of "train", "val", "test", "trainval"
/// those that names of files or of their folders say. Empty when none does, and for a single file
/// for "trainval", of which "train" and "val" are cut.
std::vector<std::string> coco_splits(const std::filesystem::path& folder);

/// Whether there is a .json file where CocoDataset looks for them.
bool has_coco_files(const std::filesystem::path& folder);

}  // namespace boxgrad::detection
