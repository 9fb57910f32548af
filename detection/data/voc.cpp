#include "detection/data/voc.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "core/check.h"
#include "core/files.h"
#include "core/image_check.h"
#include "detection/data/voc_folder.h"
#include "detection/data/voc_xml.h"

namespace boxgrad::detection {
namespace {

constexpr std::uint64_t kMaxImageBytes = std::uint64_t{256} << 20;

// Either an annotation or why there is none.
struct Parsed {
  VocAnnotation annotation;
  std::string error;
};

std::map<std::string, Parsed> parse_all(const VocFolder& folder) {
  std::map<std::string, Parsed> result;
  for (const auto& [stem, files] : folder.xml_files) {
    Parsed& parsed = result[stem];
    try {
      parsed.annotation = read_voc_annotation(folder.annotations / files.front());
    } catch (const std::exception& error) {
      parsed.error = error.what();
    }
  }
  return result;
}

std::vector<std::string> names_in(const std::map<std::string, Parsed>& all, DataReport& report) {
  std::set<std::string> names;
  for (const auto& [stem, parsed] : all)
    for (const VocObject& object : parsed.annotation.objects) names.insert(object.name);
  check(names.size() <= 10000, "VocDataset: at most 10000 class names are accepted, got ",
        names.size());
  std::map<std::string, std::string> by_lower;
  for (const std::string& name : names) {
    const auto [other, is_new] = by_lower.emplace(lower_case(name), name);
    if (!is_new)
      report.add({DataProblem::similar_names, printable(other->second), printable(name)});
  }
  return {names.begin(), names.end()};
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

// The conversion of the class's comment, or nothing when the object is skipped.
std::optional<VocEntry::Object> convert(const VocObject& object, std::int64_t label,
                                        const VocEntry& entry, DataReport& report) {
  const std::string where = concat(entry.annotation.filename().string(), ":", object.line);
  const auto issue = [&](DataProblem problem, const std::string& more = "") {
    report.add({problem, where, corners(object) + more});
  };
  if (object.xmax <= object.xmin || object.ymax <= object.ymin) {
    issue(DataProblem::no_area);
    return {};
  }
  const double w = entry.width, h = entry.height;
  VocEntry::Object box{label,       object.xmin - 1,  object.ymin - 1, object.xmax,
                       object.ymax, object.difficult, object.truncated};
  const double beyond = std::max({-box.x1, -box.y1, box.x2 - w, box.y2 - h});
  box.x1 = std::clamp(box.x1, 0., w), box.x2 = std::clamp(box.x2, 0., w);
  box.y1 = std::clamp(box.y1, 0., h), box.y2 = std::clamp(box.y2, 0., h);
  const std::string picture = concat(" in a picture of ", w, " x ", h);
  if (box.x1 >= box.x2 || box.y1 >= box.y2) {
    issue(DataProblem::outside, picture);
    return {};
  }
  if (beyond > 0)
    issue(beyond <= 1 ? DataProblem::slightly_outside : DataProblem::partly_outside, picture);
  return box;
}

// Reads the picture's header, and the whole of a picture that the header makes doubtful: one that
// lacks its end, or may be larger than Image::read takes. Decoding all of them would take minutes.
// False, with a report, when it is no picture that get() could read.
bool measure(VocEntry& entry, const VocAnnotation& annotation, DataReport& report) {
  const std::string name = entry.image.filename().string();
  ImageHeader header;
  try {
    const std::vector<std::uint8_t> bytes = read_file(entry.image, kMaxImageBytes);
    header = check_image(bytes, name + ": ");
    const ImageLimits limits;
    if (header.cut_at > 0 || header.width > limits.max_side_px ||
        header.height > limits.max_side_px || header.width * header.height > limits.max_pixels ||
        header.decoder_bytes > limits.max_decoder_bytes)
      Image::decode(bytes, name);
  } catch (const std::exception& error) {
    report.add({DataProblem::bad_image, error.what(), ""});
    return false;
  }
  const bool turned = header.orientation >= 5;
  entry.width = static_cast<int>(turned ? header.height : header.width);
  entry.height = static_cast<int>(turned ? header.width : header.height);
  if (annotation.width != entry.width || annotation.height != entry.height) {
    const bool swapped = annotation.width == entry.height && annotation.height == entry.width;
    report.add({DataProblem::size_differs, entry.annotation.filename().string(),
                concat(annotation.width, " x ", annotation.height, ", picture ", entry.width, " x ",
                       entry.height, swapped ? " (annotated before it was turned?)" : "")});
  }
  return true;
}

}  // namespace

VocDataset::VocDataset(const std::filesystem::path& path, VocOptions options)
    : class_names_(std::move(options.classes)), report_(options.strict) {
  check(options.val_share >= 0 && options.val_share <= 1,
        "VocDataset: val_share must be in 0..1, got ", options.val_share);
  const VocFolder folder = find_voc_folder(path, options.split);
  std::map<std::string, Parsed> all = parse_all(folder);
  if (class_names_.empty()) class_names_ = names_in(all, report_);
  std::map<std::string, std::int64_t> label_of;
  for (const std::string& name : class_names_)
    check(label_of.emplace(name, static_cast<std::int64_t>(label_of.size()) + 1).second,
          "VocDataset: classes must not name \"", printable(name), "\" twice");

  for (const std::string& stem :
       voc_split(folder, options.split, options.val_share, options.split_seed, report_)) {
    const Parsed& parsed = all.at(stem);
    const std::string xml = folder.xml_files.at(stem).front();
    if (!parsed.error.empty()) {
      report_.add({DataProblem::bad_annotation, parsed.error, ""});
      continue;
    }
    VocEntry entry;
    entry.annotation = folder.annotations / xml;
    const auto image = image_of(folder, stem, parsed.annotation.filename);
    if (!image) {
      report_.add({DataProblem::missing_image, xml, ""});
      continue;
    }
    entry.image = folder.images / *image;
    if (!measure(entry, parsed.annotation, report_)) continue;
    for (const DataIssue& issue : parsed.annotation.issues) report_.add(issue);
    for (const VocObject& object : parsed.annotation.objects) {
      const auto label = label_of.find(object.name);
      if (label == label_of.end())
        report_.add(
            {DataProblem::unknown_class, concat(xml, ":", object.line), printable(object.name)});
      else if (const auto box = convert(object, label->second, entry, report_))
        entry.objects.push_back(*box);
    }
    entries_.push_back(std::move(entry));
  }

  if (entries_.empty()) {
    std::string why;
    for (const std::string& line : report_.summary()) why += "; " + line;
    check(false, "VocDataset: no image is left of ", path,
          options.split.empty() ? "" : concat(", split \"", printable(options.split), "\""), why);
  }
}

Sample VocDataset::get(std::int64_t index) const {
  check(index >= 0 && index < size(), "VocDataset: index must be in 0..", size() - 1, ", got ",
        index);
  const VocEntry& entry = entries_[static_cast<std::size_t>(index)];
  Sample sample;
  sample.image = Image::read(entry.image);
  check(sample.image.width() == entry.width && sample.image.height() == entry.height,
        "VocDataset: ", entry.image, " was ", entry.width, " x ", entry.height,
        " when the folder was read, now it is ", sample.image.width(), " x ",
        sample.image.height());
  sample.name = entry.image.filename().string();
  sample.target.boxes = Tensor({static_cast<std::int64_t>(entry.objects.size()), 4});
  Scalar* out = sample.target.boxes.data().data();
  for (const VocEntry::Object& object : entry.objects) {
    for (const double edge : {object.x1, object.y1, object.x2, object.y2})
      *out++ = static_cast<Scalar>(edge);
    sample.target.labels.push_back(object.label);
    sample.target.difficult.push_back(object.difficult);
  }
  return sample;
}

std::vector<std::string> VocDataset::summary() const {
  std::vector<std::int64_t> count(class_names_.size());
  std::int64_t boxes = 0;
  for (const VocEntry& entry : entries_)
    for (const VocEntry::Object& object : entry.objects) {
      ++count[static_cast<std::size_t>(object.label - 1)];
      ++boxes;
    }
  std::string line =
      concat(size(), " images, ", boxes, " boxes of ", class_names_.size(), " classes:");
  for (std::size_t c = 0; c < class_names_.size() && c < 30; ++c)
    line += concat(c == 0 ? " " : ", ", printable(class_names_[c]), " ", count[c]);
  if (class_names_.size() > 30) line += ", ...";
  std::vector<std::string> lines{line};
  for (std::string& more : report_.summary()) lines.push_back(std::move(more));
  return lines;
}

}  // namespace boxgrad::detection
