#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/files.h"
#include "core/image.h"

/// Small annotated folders for tests, written like PASCAL VOC's or COCO's.
namespace boxgrad {

/// A folder that goes away with the test.
class PhotoFolder {
 public:
  explicit PhotoFolder(const std::string& name)
      : root(std::filesystem::temp_directory_path() / concat("boxgrad_", name, "_", ::getpid())) {
    std::filesystem::remove_all(root);
    std::filesystem::create_directories(root);
  }
  ~PhotoFolder() { std::filesystem::remove_all(root); }
  PhotoFolder(const PhotoFolder&) = delete;
  PhotoFolder& operator=(const PhotoFolder&) = delete;

  void text(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((root / name).parent_path());
    write_file_atomically(root / name, content);
  }
  void bytes(const std::string& name, std::span<const std::uint8_t> content) const {
    std::filesystem::create_directories((root / name).parent_path());
    write_file_atomically(root / name, content);
  }
  /// A PNG of one grey: pictures of different greys are different pictures.
  void picture(const std::string& name, int width, int height, std::uint8_t grey = 0) const {
    bytes(name, Image(width, height, grey, grey, grey).encode_png());
  }

  const std::filesystem::path root;
};

/// A box as a file has it: VOC's corners or COCO's corner and size, in any writing.
struct WrittenBox {
  std::string label = {}, a = {}, b = {}, c = {}, d = {};
};

/// The object that box k is begins in line 3 + k.
inline std::string voc_text(const std::vector<WrittenBox>& boxes, int width, int height,
                            const std::string& filename = "") {
  std::string text = concat("<annotation><filename>", filename, "</filename>\n<size><width>", width,
                            "</width><height>", height, "</height></size>\n");
  for (const WrittenBox& box : boxes)
    text +=
        concat("<object><name>", box.label, "</name><bndbox><xmin>", box.a, "</xmin><ymin>", box.b,
               "</ymin><xmax>", box.c, "</xmax><ymax>", box.d, "</ymax></bndbox></object>\n");
  return text + "</annotation>\n";
}

struct WrittenPhoto {
  std::string file = {};
  int width = 0, height = 0;
  std::vector<WrittenBox> boxes = {};
};

/// Annotations are numbered 1, 2, ... over all photos, categories 10, 20, ... in the given order.
inline std::string coco_text(const std::vector<WrittenPhoto>& photos,
                             const std::vector<std::string>& categories) {
  std::string images, annotations, names;
  int image = 0, annotation = 0;
  for (const WrittenPhoto& photo : photos) {
    ++image;
    images += concat(image == 1 ? "" : ",\n", "{\"id\": ", image, ", \"file_name\": \"", photo.file,
                     "\", \"width\": ", photo.width, ", \"height\": ", photo.height, "}");
    for (const WrittenBox& box : photo.boxes) {
      int category = 990;
      for (std::size_t c = 0; c < categories.size(); ++c)
        if (categories[c] == box.label) category = 10 * static_cast<int>(c + 1);
      ++annotation;
      annotations += concat(annotation == 1 ? "" : ",\n", "{\"id\": ", annotation,
                            ", \"image_id\": ", image, ", \"category_id\": ", category,
                            ", \"bbox\": [", box.a, ", ", box.b, ", ", box.c, ", ", box.d, "]}");
    }
  }
  for (std::size_t c = 0; c < categories.size(); ++c)
    names += concat(c == 0 ? "" : ", ", "{\"id\": ", 10 * (c + 1), ", \"name\": \"", categories[c],
                    "\"}");
  return concat("{\"images\": [", images, "],\n\"annotations\": [", annotations,
                "],\n\"categories\": [", names, "]}");
}

}  // namespace boxgrad
