// Folders of annotated photos.
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "core/files.h"
#include "core/image.h"
#include "detection/data/coco.h"
#include "detection/data/voc.h"
#include "detection/data/voc_xml.h"
#include "tests/fuzz/targets.h"

namespace boxgrad::fuzz {

namespace fs = std::filesystem;

namespace {

void picture(const std::string& name) {
  if (!fs::exists(folder() / name)) write(name, Image(20, 10).encode_png());
}

/// What a training relies on, whatever the files said.
void require_sound(const detection::PhotoDataset& data, const fs::path& root) {
  for (const detection::PhotoEntry& entry : data.entries()) {
    require(is_inside(entry.image, root), "pictures lie in the folder");
    for (const auto& o : entry.objects) {
      require(o.label >= 1 && o.label <= static_cast<std::int64_t>(data.class_names().size()),
              "a label is one of the classes");
      require(0 <= o.x1 && o.x1 < o.x2 && o.x2 <= entry.width && 0 <= o.y1 && o.y1 < o.y2 &&
                  o.y2 <= entry.height,
              "a box has an area and lies in its picture");
      require(std::isfinite(o.area), "an area is finite");
    }
  }
  for (const std::string& name : data.class_names())
    nlohmann::json(name).dump();  // throws unless it is UTF-8: it has to go into a run's config
  for (const std::string& line : data.summary()) require_message(line);
}

}  // namespace

void voc(Bytes bytes) {
  const auto [xml, list] = split(bytes);
  const std::string text(xml.begin(), xml.end());
  accepts([&] { detection::parse_voc_annotation(text, "a"); });
  const fs::path root = folder() / "voc";
  picture("outside.png");
  picture("voc/JPEGImages/a.png");
  picture("voc/JPEGImages/b.png");
  write("voc/Annotations/a.xml", xml);
  write("voc/ImageSets/Main/train.txt", list);
  for (const char* split : {"", "train"})
    accepts([&] { require_sound(detection::VocDataset(root, {.split = split}), root); });
}

void coco(Bytes bytes) {
  const fs::path root = folder() / "coco";
  picture("outside.png");
  picture("coco/images/a.png");
  picture("coco/images/b.png");
  write("coco/annotations.json", bytes);
  for (const char* split : {"", "train"})
    accepts([&] { require_sound(detection::CocoDataset(root, {.split = split}), root); });
}

}  // namespace boxgrad::fuzz
