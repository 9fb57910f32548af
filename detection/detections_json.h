#pragma once

#include <string>
#include <vector>

#include "core/image.h"
#include "detection/target.h"

namespace boxgrad::detection {

/// What was found in a photo as one line of JSON without the newline, for other programs:
///
///   {"image":"a.jpg","width":640,"height":480,
///    "detections":[{"score":0.98,"x":12.5,"y":40,"width":80.2,"height":100},...]}
///
/// and, where `class_names` are given, "label":"RBC" behind each score;
/// in pixels of the photo, x and y the upper left corner; best score first if `detections` are.
/// Throws std::invalid_argument for a label without a name. Bytes of `name` that are not UTF-8
/// become U+FFFD, as JSON has no others.
std::string detections_json(const std::string& name, const Image& photo,
                            const Detections& detections,
                            const std::vector<std::string>& class_names = {});

}  // namespace boxgrad::detection
