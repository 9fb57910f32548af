#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "detection/doctor/anchor_clusters.h"
#include "detection/doctor/anchor_recall.h"
#include "detection/doctor/fault.h"

namespace boxgrad::detection {

struct CheckupOptions {
  bool decode = true;  ///< every picture; else headers, and copies are told by the files' bytes
  std::int64_t kept_faults = 10000;  ///< of each kind; all are counted
  int longer_px = 320;               ///< the longer side of photos as the network sees them
  int anchors = 6;                   ///< how many sizes to suggest
  std::uint64_t seed = 0;            ///< of the clusters
};

/// What is in a folder of annotated photos and what is wrong with it.
struct Checkup {
  struct Split {
    std::string name;  ///< "" where the folder has none
    std::int64_t images = 0, boxes = 0;
    std::vector<std::int64_t> class_boxes;  ///< of labels 1, 2, ...
  };
  std::filesystem::path folder;
  std::string format;                ///< "PASCAL VOC" or "COCO"
  std::vector<std::string> classes;  ///< of all splits
  std::vector<Split> splits;         ///< may overlap, as train and trainval do
  std::int64_t images = 0, boxes = 0, empty_images = 0;
  std::vector<std::int64_t> class_boxes;
  FaultLog faults;

  // Of at most 100,000 boxes and pictures, evenly taken.
  std::vector<double> box_side;    ///< sqrt(w h) as the network sees it, px
  std::vector<double> box_aspect;  ///< width / height
  std::vector<double> photo_width, photo_height, photo_boxes;
  std::vector<BoxSize> box_sizes;  ///< as the network sees them

  std::vector<AnchorRecall> anchors;     ///< of each preset
  std::vector<AnchorClusters> clusters;  ///< of 1, 2, ... sizes, the last is options.anchors
  AnchorRecall suggested;                ///< what the last of them reach, laid on maps
  int longer_px = 0;
};

/// Opens `folder` as open_photos() does, each split that it has, and looks at everything:
///
///   - what the readers report (data_report.h), with its place
///   - each picture, decoded: damage, formats that are not what the name says, copies, and copies
///     on both sides of a split
///   - pictures that no annotation names, and that no list names
///   - boxes that lie on each other, boxes too small to learn from
///   - class names that look alike, classes without boxes, or without boxes to learn from
///   - counts and sizes, which truths the anchors of the detectors here can match, and sizes of
///     anchors that would suit
///
/// Nothing is changed. Memory: the annotations, one picture a thread, options.kept_faults.
/// Throws what open_photos() throws when no split can be opened.
Checkup examine(const std::filesystem::path& folder, const CheckupOptions& options = {});

}  // namespace boxgrad::detection
