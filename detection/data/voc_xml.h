#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "detection/data/data_report.h"

namespace boxgrad::detection {

/// An <object>, its box in the file's own numbers: 1-based, both ends included.
struct VocObject {
  std::string name;
  double xmin = 0, ymin = 0, xmax = 0, ymax = 0;
  bool difficult = false, truncated = false;
  int line = 0;  ///< of the file
};

/// What one annotation file says.
struct VocAnnotation {
  std::string filename;          ///< <filename>, often wrong; only ever looked up, never opened
  double width = 0, height = 0;  ///< <size>, 0 when it is not stated
  std::vector<VocObject> objects;
  std::vector<DataIssue> issues;  ///< objects that are left out: without name, box or number
};

/// Reads an annotation of PASCAL VOC: UTF-8, UTF-16 or Latin-1, with or without byte order mark,
/// either kind of line ends. A class name that is not UTF-8 although the file does not say what it
/// is instead is taken for Latin-1, so that names are always UTF-8. White space around and inside
/// of names is reduced to single blanks. Entities are not expanded and nothing outside of the file
/// is looked at. Throws std::invalid_argument as `file:line: reason` when it is not XML or has no
/// <annotation>.
VocAnnotation parse_voc_annotation(std::string_view xml, const std::string& name);

/// The same from a file of at most 4 MB; messages name the file without its folder.
VocAnnotation read_voc_annotation(const std::filesystem::path& path);

}  // namespace boxgrad::detection
