#pragma once

#include <string>

#include "core/check.h"
#include "detection/data/voc.h"
#include "tests/photo_folder.h"

/// Annotation files like PASCAL VOC's, of pictures of 20 x 10 px, for tests.
namespace boxgrad::voc_files {

inline std::string object(const std::string& name, const std::string& xmin, const std::string& ymin,
                          const std::string& xmax, const std::string& ymax,
                          const std::string& more = "") {
  return "<object>\n<name>" + name + "</name>" + more + "<bndbox><xmin>" + xmin + "</xmin><ymin>" +
         ymin + "</ymin><xmax>" + xmax + "</xmax><ymax>" + ymax + "</ymax></bndbox></object>\n";
}

inline std::string annotation(const std::string& objects, const std::string& filename = "",
                              int width = 20, int height = 10) {
  return concat("<annotation>\n<filename>", filename, "</filename><size><width>", width,
                "</width><height>", height, "</height></size>\n", objects, "</annotation>\n");
}

inline const std::string kDog = object("dog", "3", "2", "8", "9");

struct Folder : PhotoFolder {
  Folder() : PhotoFolder("voc") {}
  void picture(const std::string& name, int width = 20, int height = 10) const {
    PhotoFolder::picture(name, width, height);
  }
  // Both halves of a VOC image.
  void image(const std::string& stem, const std::string& xml) const {
    text("Annotations/" + stem + ".xml", xml);
    picture("JPEGImages/" + stem + ".png");
  }
};

inline std::string one_line(const detection::VocDataset& data) {
  std::string all;
  for (const std::string& line : data.summary()) all += line + "\n";
  return all;
}

using Numbers = std::vector<Scalar>;

}  // namespace boxgrad::voc_files
