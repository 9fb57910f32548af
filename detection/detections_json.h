#pragma once

#include <string>

#include "core/image.h"
#include "detection/target.h"

namespace boxgrad::detection {

/// What was found in a photo as one line of JSON without the newline, for other programs:
///
///   {"image":"a.jpg","width":640,"height":480,
///    "detections":[{"score":0.98,"x":12.5,"y":40,"width":80.2,"height":100},...]}
///
/// in pixels of the photo, x and y the upper left corner; best score first if `detections` are.
/// Bytes of `name` that are not UTF-8 become U+FFFD, as JSON has no others.
std::string detections_json(const std::string& name, const Image& photo,
                            const Detections& detections);

}  // namespace boxgrad::detection
