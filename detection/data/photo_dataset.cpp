#include "detection/data/photo_dataset.h"

#include <algorithm>
#include <array>
#include <map>

#include "core/check.h"
#include "core/files.h"
#include "core/image_check.h"
#include "core/printable.h"
#include "core/random.h"

namespace boxgrad::detection {
namespace {

constexpr std::uint64_t kMaxImageBytes = std::uint64_t{256} << 20;

}  // namespace

PhotoDataset::PhotoDataset(const char* format, const PhotoOptions& options)
    : format_(format), class_names_(options.classes), report_(options.strict, options.kept_issues) {
  check(options.val_share >= 0 && options.val_share <= 1, format_,
        ": val_share must be in 0..1, got ", options.val_share);
  std::vector<std::string> sorted = class_names_;
  std::ranges::sort(sorted);
  const auto twice = std::ranges::adjacent_find(sorted);
  check(twice == sorted.end(), format_, ": classes must not name \"",
        twice == sorted.end() ? "" : printable(*twice), "\" twice");
}

std::optional<std::int64_t> PhotoDataset::label_of(const std::string& name) {
  annotated_names_.insert(name);
  const auto found = std::ranges::find(class_names_, name);
  if (found == class_names_.end()) return {};
  return found - class_names_.begin() + 1;
}

void PhotoDataset::report_similar_names(const std::set<std::string>& names) {
  std::map<std::string, std::string> by_lower;
  for (const std::string& name : names) {
    const auto [other, is_new] = by_lower.emplace(lower_case(name), name);
    if (!is_new)
      report_.add({DataProblem::similar_names, printable(other->second), printable(name)});
  }
}

bool PhotoDataset::measure(PhotoEntry& entry, const std::string& where, double width,
                           double height) {
  const std::string name = entry.image.filename().string();
  ImageHeader header;
  const auto error = input_error([&] {
    const std::vector<std::uint8_t> bytes = read_file(entry.image, kMaxImageBytes);
    header = check_image(bytes, name + ": ");
    const ImageLimits limits;
    if (header.cut_at > 0 || header.width > limits.max_side_px ||
        header.height > limits.max_side_px || header.width * header.height > limits.max_pixels ||
        header.decoder_bytes > limits.max_decoder_bytes)
      Image::decode(bytes, name);
  });
  if (error) {
    report_.add({DataProblem::bad_image, *error, "", entry.image, entry.image});
    return false;
  }
  const bool turned = header.orientation >= 5;
  entry.width = static_cast<int>(turned ? header.height : header.width);
  entry.height = static_cast<int>(turned ? header.width : header.height);
  if (width != entry.width || height != entry.height) {
    const bool swapped = width == entry.height && height == entry.width;
    report_.add({DataProblem::size_differs, where,
                 concat(width, " x ", height, ", picture ", entry.width, " x ", entry.height,
                        swapped ? " (annotated before it was turned?)" : ""),
                 entry.annotation, entry.image});
  }
  return true;
}

std::optional<PhotoEntry::Object> PhotoDataset::clipped(PhotoEntry::Object box,
                                                        const PhotoEntry& entry,
                                                        const std::string& where,
                                                        const std::string& what) {
  const double w = entry.width, h = entry.height;
  const std::array<double, 4> before{box.x1, box.y1, box.x2, box.y2};
  const double beyond = std::max({-box.x1, -box.y1, box.x2 - w, box.y2 - h});
  box.x1 = std::clamp(box.x1, 0., w), box.x2 = std::clamp(box.x2, 0., w);
  box.y1 = std::clamp(box.y1, 0., h), box.y2 = std::clamp(box.y2, 0., h);
  const bool nothing = box.x1 >= box.x2 || box.y1 >= box.y2;
  if (nothing || beyond > 0)
    report_.add({nothing       ? DataProblem::outside
                 : beyond <= 1 ? DataProblem::slightly_outside
                               : DataProblem::partly_outside,
                 where, concat(what, " in a picture of ", w, " x ", h), entry.annotation,
                 entry.image, before});
  if (nothing) return {};
  return box;
}

void PhotoDataset::check_any(const std::filesystem::path& folder, const std::string& split) const {
  if (!entries_.empty()) return;
  std::string why;
  for (const std::string& line : report_.summary()) why += "; " + line;
  check(false, format_, ": no image is left of ", folder,
        split.empty() ? "" : concat(", split \"", printable(split), "\""), why);
}

std::string PhotoDataset::key(std::int64_t index) const {
  const PhotoEntry& entry = entries_.at(static_cast<std::size_t>(index));
  return concat(entry.id, ' ', entry.image.filename().string(), ' ', entry.width, 'x',
                entry.height);
}

Sample PhotoDataset::get(std::int64_t index) const {
  check(index >= 0 && index < size(), format_, ": index must be in 0..", size() - 1, ", got ",
        index);
  const PhotoEntry& entry = entries_[static_cast<std::size_t>(index)];
  Sample sample;
  const auto bytes = read_file(entry.image, ImageLimits().max_file_bytes);
  const auto error =
      input_error([&] { sample.image = Image::decode(bytes, entry.image.string()); });
  check(!error, format_, ": ", error.value_or(""),
        "; boxgrad doctor decodes all pictures of a folder and names those that are damaged");
  check(sample.image.width() == entry.width && sample.image.height() == entry.height, format_, ": ",
        entry.image, " was ", entry.width, " x ", entry.height,
        " when the folder was read, now it is ", sample.image.width(), " x ",
        sample.image.height());
  sample.name = entry.image.filename().string();
  sample.target.boxes = Tensor({static_cast<std::int64_t>(entry.objects.size()), 4});
  Scalar* out = sample.target.boxes.data().data();
  for (const PhotoEntry::Object& object : entry.objects) {
    for (const double edge : {object.x1, object.y1, object.x2, object.y2})
      *out++ = static_cast<Scalar>(edge);
    sample.target.labels.push_back(object.label);
    sample.target.difficult.push_back(object.difficult);
  }
  const auto& objects = entry.objects;
  // Of the box as the file has it: one that was resized with its photo and brought back is no longer
  // of exactly 32^2 pixels.
  for (const PhotoEntry::Object& o : objects)
    sample.target.areas.push_back(o.area > 0 ? o.area : (o.x2 - o.x1) * (o.y2 - o.y1));
  if (std::ranges::any_of(objects, &PhotoEntry::Object::crowd))  // only in COCO's files
    for (const PhotoEntry::Object& o : objects) sample.target.crowd.push_back(o.crowd);
  return sample;
}

std::vector<std::string> PhotoDataset::summary() const {
  std::vector<std::int64_t> count(class_names_.size());
  std::int64_t boxes = 0;
  for (const PhotoEntry& entry : entries_)
    for (const PhotoEntry::Object& object : entry.objects) {
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

std::vector<std::int64_t> seeded_split(const std::vector<std::string>& names,
                                       const PhotoOptions& options) {
  const auto count = static_cast<std::int64_t>(names.size());
  auto num_val = static_cast<std::int64_t>(options.val_share * static_cast<double>(count) + .5);
  std::vector<std::int64_t> order;  // "val" first
  if (options.cut == PhotoCut::by_place) {
    order = Random(options.split_seed).permutation(count);
  } else {
    if (count >= 2 && options.val_share > 0 && options.val_share < 1)
      num_val = std::clamp<std::int64_t>(num_val, 1, count - 1);
    std::vector<std::pair<std::string, std::int64_t>> ranked;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::string text = concat(options.split_seed, ':', names[static_cast<std::size_t>(i)]);
      ranked.emplace_back(sha256(as_bytes(text)), i);
    }
    std::ranges::sort(ranked);
    for (const auto& [hash, i] : ranked) order.push_back(i);
  }
  std::vector<std::int64_t> part;
  for (std::int64_t i = 0; i < count; ++i)
    if ((i < num_val) == (options.split == "val"))
      part.push_back(order[static_cast<std::size_t>(i)]);
  std::ranges::sort(part);
  return part;
}

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

}  // namespace boxgrad::detection
