#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "detection/doctor/checkup.h"

namespace boxgrad::detection {

/// A checkup for people: what there is, then faults and notes by kind with their first places, the
/// rule and the fix, then sizes and anchors.
std::string checkup_text(const Checkup& checkup, int places_of_a_kind = 5);

/// The same for programs, one JSON document with a line for each fault that was remembered:
///
///   {"folder", "format", "images", "boxes", "splits": [{"name", "images", "boxes", "classes"}],
///    "classes": {"RBC": 4153, ...}, "counts": {"no_area": 2, ...},
///    "faults": [{"kind", "note", "file", "object", "value", "rule", "done", "fix", "image",
///                "boxes"}, ...],
///    "anchors": [{"preset", "boxes", "matched", "mean_iou"}], "suggested": [[w, h], ...]}
///
/// Boxes are [x1, y1, x2, y2] in continuous pixels of the picture, as everywhere in boxgrad.
/// Bytes that are not UTF-8 become U+FFFD.
std::string checkup_json(const Checkup& checkup);

/// A path of the folder for people: relative to it, and without control characters.
std::string shown_path(const Checkup& checkup, const std::filesystem::path& path);

/// "Annotations/a.xml, line 57: RBC (504, 337, 504, 337)".
std::string place_of(const Checkup& checkup, const Fault& fault);

/// Rows of texts as a table: the first column to the left, the others to the right.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

/// Rows of such tables, the header first: boxes of each class and split, at most `most_classes`;
/// what each preset's anchors can match.
std::vector<std::vector<std::string>> class_rows(const Checkup& checkup, std::size_t most_classes);
std::vector<std::vector<std::string>> anchor_rows(const Checkup& checkup);

/// The value at share q, 0 to 1, of the sorted values; 0 without values.
double quantile_of(std::vector<double> values, double q);

/// `value` with `digits` behind the point.
std::string fixed(double value, int digits);

}  // namespace boxgrad::detection
