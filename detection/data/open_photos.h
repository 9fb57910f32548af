#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "detection/data/photo_dataset.h"

namespace boxgrad::detection {

/// Whether `folder` is annotated like PASCAL VOC: it has .xml files, and an <annotation> among them
/// or no .json. Throws std::invalid_argument when it is not there or has neither.
bool is_like_voc(const std::filesystem::path& folder);

/// The photos in `folder`, whichever way they are annotated: like PASCAL VOC (voc.h) where
/// is_like_voc(), else like COCO (coco.h); `folder` may also be a COCO file itself.
/// Throws what their constructors throw, and std::invalid_argument when there is neither.
std::unique_ptr<PhotoDataset> open_photos(const std::filesystem::path& folder,
                                          const PhotoOptions& options = {});

/// The splits that such a folder has of its own, by name; empty when it has none, so that "train"
/// and "val" are cut (PhotoOptions::val_share). Throws as above.
std::vector<std::string> photo_splits(const std::filesystem::path& folder);

/// Whether open_photos() finds this split: one of photo_splits(), or another of VOC's lists
/// ("cat_train"); where the folder has none, "train" and "val". Throws as above.
bool has_photo_split(const std::filesystem::path& folder, const std::string& split);

}  // namespace boxgrad::detection
