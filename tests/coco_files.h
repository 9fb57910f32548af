#pragma once

#include <string>

#include "core/check.h"
#include "tests/photo_folder.h"

/// Annotation files like COCO's, of pictures of 20 x 10 px, for tests.
namespace boxgrad::coco_files {

struct Folder : PhotoFolder {
  Folder() : PhotoFolder("coco") {}
  void picture(const std::string& name, int width = 20, int height = 10) const {
    PhotoFolder::picture(name, width, height);
  }
};

/// Lists of records as a file: dog is 18, cat is 3.
inline std::string file(
    const std::string& images, const std::string& annotations,
    const std::string& categories =
        R"({"id": 18, "name": "dog"}, {"id": 3, "name": "cat", "supercategory": "x"})") {
  return R"({"info": {"images": [1]}, "images": [)" + images + R"(], "annotations": [)" +
         annotations + R"(], "categories": [)" + categories + "]}";
}

inline const std::string kImage = R"({"id": 7, "file_name": "a.png", "width": 20, "height": 10})";
inline const std::string kBox =
    R"({"id": 1, "image_id": 7, "category_id": 18, "bbox": [2, 1.5, 6, 8], "area": 30.5,
        "iscrowd": 0, "segmentation": [[1, 2, 3, 4, 5, 6]], "attributes": {"id": 9, "bbox": [0]}})";

}  // namespace boxgrad::coco_files
