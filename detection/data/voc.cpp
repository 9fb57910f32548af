#include "detection/data/voc.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "core/check.h"
#include "core/printable.h"
#include "core/progress.h"
#include "detection/data/voc_folder.h"
#include "detection/data/voc_xml.h"

namespace boxgrad::detection {
namespace {

// Either an annotation or why there is none.
struct Parsed {
  VocAnnotation annotation;
  std::string error;
};

std::map<std::string, Parsed> parse(const VocFolder& folder,
                                    const std::vector<std::string>& stems) {
  std::map<std::string, Parsed> result;
  for (const std::string& stem : stems) {
    Parsed& parsed = result[stem];
    const std::filesystem::path file = folder.annotations / folder.xml_files.at(stem).front();
    const auto error = input_error([&] { parsed.annotation = read_voc_annotation(file); });
    parsed.error = error.value_or("");
  }
  return result;
}

std::set<std::string> names_in(const std::map<std::string, Parsed>& all) {
  std::set<std::string> names;
  for (const auto& [stem, parsed] : all)
    for (const VocObject& object : parsed.annotation.objects) names.insert(object.name);
  check(names.size() <= 10000, "VocDataset: at most 10000 class names are accepted, got ",
        names.size());
  return names;
}

// The picture of an annotation: the file of the same name, as in VOC, else the one that <filename>
// means, with whatever folder and extension it has there.
std::optional<std::string> image_of(const VocFolder& folder, const std::string& stem,
                                    const std::string& filename) {
  const std::string plain = filename.substr(filename.find_last_of("/\\") + 1);
  for (const std::string& key : {stem, std::filesystem::path(plain).stem().string(), plain}) {
    const auto found = folder.image_files.find(key);
    if (found == folder.image_files.end()) continue;
    const auto& files = found->second;
    return std::find(files.begin(), files.end(), plain) != files.end() ? plain : files.front();
  }
  return {};
}

std::string corners(const VocObject& object) {
  return concat(printable(object.name), " (", object.xmin, ", ", object.ymin, ", ", object.xmax,
                ", ", object.ymax, ")");
}

}  // namespace

VocDataset::VocDataset(const std::filesystem::path& path, const VocOptions& options)
    : PhotoDataset("VocDataset", options) {
  const VocFolder folder = find_voc_folder(path, options.split);
  // Which classes there are, all annotations of the folder must say; else those of the split do.
  std::map<std::string, Parsed> all;
  if (class_names_.empty()) {
    std::vector<std::string> every;
    for (const auto& [stem, files] : folder.xml_files) every.push_back(stem);
    all = parse(folder, every);
    const std::set<std::string> names = names_in(all);
    report_similar_names(names);
    class_names_.assign(names.begin(), names.end());
  }

  const std::vector<std::string> stems = voc_split(folder, options, report_);
  if (!options.classes.empty()) all = parse(folder, stems);
  std::map<std::string, std::string> owner;  // of a picture: the annotation's file
  Progress progress("opening photos", static_cast<std::int64_t>(stems.size()));
  std::int64_t opened = 0;
  for (const std::string& stem : stems) {
    progress.update(++opened);
    const Parsed& parsed = all.at(stem);
    const std::string xml = folder.xml_files.at(stem).front();
    if (!parsed.error.empty()) {
      report_.add({DataProblem::bad_annotation, parsed.error, "", folder.annotations / xml});
      continue;
    }
    VocEntry entry;
    entry.annotation = folder.annotations / xml;
    entry.id = stem;
    const auto image = image_of(folder, stem, parsed.annotation.filename);
    if (!image) {
      report_.add({DataProblem::missing_image, xml, "", entry.annotation});
      continue;
    }
    entry.image = folder.images / *image;
    // The annotation called like a picture is that picture's, in whatever list it stands.
    const auto own = folder.xml_files.find(entry.image.stem().string());
    const std::string first = own != folder.xml_files.end()
                                  ? own->second.front()
                                  : owner.emplace(*image, xml).first->second;
    if (first != xml) {
      report_.add({DataProblem::second_annotation, xml,
                   concat(printable(*image), ", the picture of ", printable(first)),
                   entry.annotation, entry.image});
      continue;
    }
    if (!measure(entry, xml, parsed.annotation.width, parsed.annotation.height)) continue;
    for (DataIssue issue : parsed.annotation.issues) {
      issue.file = entry.annotation;
      issue.image = entry.image;
      report_.add(std::move(issue));
    }
    for (const VocObject& object : parsed.annotation.objects) {
      const std::string where = concat(xml, ":", object.line);
      const auto label = label_of(object.name);
      const std::array<double, 4> numbers{object.xmin - 1, object.ymin - 1, object.xmax,
                                          object.ymax};
      if (!label)
        report_.add({DataProblem::unknown_class, where, printable(object.name), entry.annotation,
                     entry.image, numbers});
      else if (object.xmax <= object.xmin || object.ymax <= object.ymin)
        report_.add({object.xmax < object.xmin || object.ymax < object.ymin ? DataProblem::reversed
                                                                            : DataProblem::no_area,
                     where, corners(object), entry.annotation, entry.image, numbers});
      else if (const auto box = clipped({.label = *label,
                                         .x1 = object.xmin - 1,
                                         .y1 = object.ymin - 1,
                                         .x2 = object.xmax,
                                         .y2 = object.ymax,
                                         .difficult = object.difficult,
                                         .truncated = object.truncated,
                                         .place = object.line},
                                        entry, where, corners(object)))
        entry.objects.push_back(*box);
    }
    entries_.push_back(std::move(entry));
  }
  check_any(path, options.split);
}

}  // namespace boxgrad::detection
