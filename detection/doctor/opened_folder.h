#pragma once

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "detection/data/photo_dataset.h"
#include "detection/doctor/fault.h"

namespace boxgrad::detection {

/// All photos of an annotated folder, whatever its splits are: lists of one set of annotations, or
/// sets of their own.
struct OpenedFolder {
  struct Photo {
    const PhotoEntry* entry = nullptr;
    std::size_t part = 0;
    std::set<std::size_t> splits = {};  ///< numbers in `splits`; a list may name what another does
  };
  /// One set of annotations.
  struct Part {
    std::unique_ptr<PhotoDataset> photos;
    std::vector<std::int64_t> labels;  ///< which of `classes`, from 1, its own 1, 2, ... are
  };

  std::string format;                ///< "PASCAL VOC" or "COCO"
  std::vector<std::string> splits;   ///< their names; one "" where the folder has none
  std::vector<std::string> classes;  ///< of all parts
  std::vector<Part> parts;
  std::vector<Photo> photos;
  std::set<std::filesystem::path> unusable;  ///< pictures that annotations name, but cannot be read

  const std::vector<std::int64_t>& labels(const Photo& photo) const {
    return parts[photo.part].labels;
  }
  /// Number of an object's class in `classes`, from 0.
  std::size_t class_of(const Photo& photo, const PhotoEntry::Object& object) const {
    return static_cast<std::size_t>(labels(photo)[static_cast<std::size_t>(object.label - 1)] - 1);
  }
};

/// Opens every split of `folder` and hands what the readers report to `faults`; a split that
/// cannot be opened is a fault, too. What needs all splits at once is left to the caller: class
/// names that look alike, pictures without annotation.
/// Throws std::invalid_argument when no split can be opened.
OpenedFolder open_all_splits(const std::filesystem::path& folder, std::int64_t kept_faults,
                             FaultLog& faults);

}  // namespace boxgrad::detection
