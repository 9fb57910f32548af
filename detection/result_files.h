#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "detection/data/photo_dataset.h"
#include "detection/target.h"

/// Detections as the files that evaluation servers and other programs read (docs/evaluation.md).
namespace boxgrad::detection {

/// PASCAL VOC's: a file for each class, comp4_det_<split>_<class>.txt, "comp4" being detection
/// trained on whatever data, with a line for each detection:
///
///   <photo> <score> <x1> <y1> <x2> <y2>
///
/// Pixels count from 1 and both ends belong to the box: (x1 + 1, y1 + 1, x2, y2) of ours, which are
/// continuous. A class without detections gets an empty file. In the file's name, whatever of ASCII is
/// no letter, digit, ".", "-" or "_" becomes "_"; a class that would share the file of one before it
/// gets a number, "guinea_pig_2".
///
/// detections   boxes in pixels of the photos, labels 1, 2, ... of class_names
/// photo_ids    one for each image: their names in the lists, without extension
/// returns      the files, by class
/// throws       std::invalid_argument when numbers differ, a label has no name, or an id is empty or
///              holds blanks; std::runtime_error when one cannot be written. Each file is whole or
///              as it was.
///
/// Everingham, Winn, "The PASCAL VOC 2012 development kit", section 8.2.
std::vector<std::filesystem::path> write_voc_results(const std::filesystem::path& folder,
                                                     const std::string& split,
                                                     const std::vector<Detections>& detections,
                                                     const std::vector<std::string>& photo_ids,
                                                     const std::vector<std::string>& class_names);

/// Photos' names as ids for it, whose lines are split at blanks: these become "_", and a number
/// keeps apart what would then be called alike, "a_b_2".
std::vector<std::string> voc_result_ids(const std::vector<std::string>& names);

/// COCO's: one list of
///
///   {"image_id": 42, "category_id": 18, "bbox": [x, y, width, height], "score": 0.98}
///
/// in continuous pixels from 0. Ids are those of the annotation file; such as are whole numbers are
/// written as numbers, others, and those in string_ids, as strings.
///
/// detections    boxes in pixels of the photos, labels 1, 2, ... of category_ids
/// category_ids  "": the annotation file lacks the class; its detections are left out
/// returns       how many were left out for that reason
/// throws        std::invalid_argument when numbers differ or a label has no id; std::runtime_error
///               when the file cannot be written
///
/// https://cocodataset.org/#format-results
std::int64_t write_coco_results(const std::filesystem::path& file,
                                const std::vector<Detections>& detections,
                                const std::vector<std::string>& photo_ids,
                                const std::vector<std::string>& category_ids,
                                const StringIds& string_ids = {});

}  // namespace boxgrad::detection
