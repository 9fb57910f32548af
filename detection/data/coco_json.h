#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "detection/data/data_report.h"

namespace boxgrad::detection {

/// What of a COCO annotation file is about boxes. Ids are kept as texts: files have numbers, with
/// gaps, or strings; "7" finds 7, but is written as it was.
struct CocoFile {
  struct Image {
    std::string id, file_name;
    double width = 0, height = 0;  ///< 0 where the file does not say
    bool id_is_string = false;
  };
  struct Annotation {
    std::string id, image, category;
    double x = 0, y = 0, width = 0, height = 0;
    double area = 0;  ///< 0 where the file does not say
    bool crowd = false;
  };
  struct Category {
    std::string id, name;
    bool id_is_string = false;
  };
  std::vector<Image> images;
  std::vector<Annotation> annotations;
  std::vector<Category> categories;
  std::vector<DataIssue> issues;  ///< records that lack what they need
};

/// Reads
///
///   {"images": [{"id", "file_name", "width", "height"}, ...],
///    "annotations": [{"id", "image_id", "category_id", "bbox": [x, y, width, height], "area",
///                     "iscrowd"}, ...],
///    "categories": [{"id", "name"}, ...]}
///
/// in one pass; outlines, captions and whatever else there is are passed over and take no memory.
/// Throws std::runtime_error when the file cannot be read and std::invalid_argument, naming it and
/// the place, when it is no JSON, is above a gigabyte, or lacks "images" or "annotations".
///
/// Lin et al., "Microsoft COCO: common objects in context", ECCV 2014.
CocoFile read_coco_json(const std::filesystem::path& path);

/// False of a file that is sound JSON without a list called "images" or "annotations": a run's
/// settings or figures, another program's. Reads as far as the first of them, and nothing of a file
/// above 16 MB or one that cannot be read: read_coco_json() says what is wrong with it.
bool may_be_coco(const std::filesystem::path& path);

}  // namespace boxgrad::detection
