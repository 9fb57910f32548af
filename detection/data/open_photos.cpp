#include "detection/data/open_photos.h"

#include <algorithm>

#include "core/check.h"
#include "detection/data/coco.h"
#include "detection/data/voc.h"
#include "detection/data/voc_folder.h"

namespace boxgrad::detection {

bool is_like_voc(const std::filesystem::path& folder) {
  check(std::filesystem::exists(folder), "open_photos: there is no ", folder);
  if (!std::filesystem::is_directory(folder)) return false;
  const bool xml = has_voc_files(folder);
  // Editors leave .xml files of their own, programs .json: what it says decides where both are.
  if (xml && (has_voc_annotations(folder) || !has_coco_files(folder))) return true;
  check(xml || has_coco_files(folder), "open_photos: ", folder,
        " must hold annotations like PASCAL VOC's (.xml) or COCO's (.json)");
  return false;
}

std::unique_ptr<PhotoDataset> open_photos(const std::filesystem::path& folder,
                                          const PhotoOptions& options) {
  if (is_like_voc(folder)) return std::make_unique<VocDataset>(folder, options);
  return std::make_unique<CocoDataset>(folder, options);
}

std::vector<std::string> photo_splits(const std::filesystem::path& folder) {
  return is_like_voc(folder) ? voc_splits(folder) : coco_splits(folder);
}

bool has_photo_split(const std::filesystem::path& folder, const std::string& split) {
  const std::vector<std::string> own = photo_splits(folder);
  if (own.empty()) return split == "train" || split == "val";
  return std::ranges::find(own, split) != own.end() ||
         (is_like_voc(folder) && has_voc_list(folder, split));
}

}  // namespace boxgrad::detection
