#include "detection/data/open_photos.h"

#include "core/check.h"
#include "detection/data/coco.h"
#include "detection/data/voc.h"
#include "detection/data/voc_folder.h"

namespace boxgrad::detection {

std::unique_ptr<PhotoDataset> open_photos(const std::filesystem::path& folder,
                                          const PhotoOptions& options) {
  check(std::filesystem::exists(folder), "open_photos: there is no ", folder);
  const bool is_folder = std::filesystem::is_directory(folder);
  if (is_folder && has_voc_files(folder)) return std::make_unique<VocDataset>(folder, options);
  check(!is_folder || has_coco_files(folder), "open_photos: ", folder,
        " must hold annotations like PASCAL VOC's (.xml) or COCO's (.json)");
  return std::make_unique<CocoDataset>(folder, options);
}

}  // namespace boxgrad::detection
