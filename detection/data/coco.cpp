#include "detection/data/coco.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <set>

#include "core/check.h"
#include "core/printable.h"
#include "core/progress.h"
#include "detection/data/coco_json.h"

namespace boxgrad::detection {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxDepth = 2;
constexpr std::size_t kMaxFolders = 5000, kMostGlanced = 1000;

/// The .json files, sorted; of those called instances_*, if there are any, only these.
std::vector<fs::path> json_files(const fs::path& root) {
  std::vector<std::pair<int, fs::path>> queue{{0, root}};
  std::vector<fs::path> found, instances;
  for (std::size_t i = 0; i < queue.size(); ++i) {
    const auto [depth, folder] = queue[i];  // a copy: the queue grows
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      const std::string name = it->path().filename().string();
      if (name.front() == '.') continue;
      std::error_code ignored;
      if (fs::is_directory(it->path(), ignored)) {
        if (depth < kMaxDepth && queue.size() < kMaxFolders)
          queue.push_back({depth + 1, it->path()});
      } else if (lower_case(it->path().extension().string()) == ".json") {
        found.push_back(it->path());
        if (name.starts_with("instances_")) instances.push_back(it->path());
      }
    }
  }
  if (!instances.empty()) found = instances;
  std::ranges::sort(found);
  return found;
}

/// Without those of other programs, such as a run that was trained here: where one file is left, it
/// is the annotations.
std::vector<fs::path> annotation_files(const fs::path& root) {
  const std::vector<fs::path> found = json_files(root);
  if (found.size() < 2 || found.size() > kMostGlanced) return found;
  std::vector<fs::path> own;
  for (const fs::path& file : found)
    if (may_be_coco(file)) own.push_back(file);
  return own.empty() ? found : own;
}

/// The words of a name in small letters: digits, punctuation and a capital behind a small letter
/// divide them. "instances_train2017" -> instances, train; "TestSet" -> test, set.
std::vector<std::string> words_of(const std::string& name) {
  std::vector<std::string> words(1);
  char before = 0;
  for (const char c : name) {
    const bool small = c >= 'a' && c <= 'z', capital = c >= 'A' && c <= 'Z';
    if ((!small && !capital) || (capital && before >= 'a' && before <= 'z')) words.emplace_back();
    if (small || capital) words.back() += lower_case(std::string(1, c))[0];
    before = c;
  }
  return words;
}

/// "trainval", "train", "val" or "test" where a word of a file's name or of its folder's says so,
/// else "". Whole words: "latest" is no test, "interval" no validation.
std::string split_of(const fs::path& file) {
  static const std::map<std::string, std::string> splits{
      {"trainval", "trainval"}, {"train", "train"},    {"training", "train"}, {"val", "val"},
      {"valid", "val"},         {"validation", "val"}, {"test", "test"},      {"testing", "test"}};
  for (const fs::path& part : {file.stem(), file.parent_path().filename()})
    for (const std::string& word : words_of(part.string()))
      if (const auto known = splits.find(word); known != splits.end()) return known->second;
  return "";
}

std::string names_of(const std::vector<fs::path>& files) {
  std::string text;
  for (std::size_t i = 0; i < files.size() && i < 5; ++i)
    text += concat(i == 0 ? "" : ", ", files[i]);
  return files.size() > 5 ? text + ", ..." : text;
}

/// The file of a split, and whether the split still has to be cut out of it.
std::pair<fs::path, bool> file_of(const std::vector<fs::path>& files, const fs::path& root,
                                  const std::string& split) {
  check(!files.empty(), "CocoDataset: no .json annotations in ", root, " or up to ", kMaxDepth,
        " levels below");
  if (files.size() == 1) {
    std::string own = split_of(files.front());
    if (split.empty() || own == split) return {files.front(), false};
    if (own == "trainval") own.clear();  // all that there is to learn from
    check(own.empty(), "CocoDataset: ", root, " has annotations for \"", own, "\" only, got \"",
          printable(split), "\"; ask for its own split, or name a folder that has both");
    check(split == "train" || split == "val", "CocoDataset: split must be train or val, as ",
          files.front(), " is one file for all, got \"", printable(split), "\"");
    return {files.front(), true};
  }
  std::vector<fs::path> own;
  for (const fs::path& file : files)
    if (!split.empty() && split_of(file) == split) own.push_back(file);
  check(own.size() == 1, "CocoDataset: ", root, " must hold one .json file",
        split.empty() ? "" : concat(" for \"", printable(split), "\""), ", got ",
        names_of(own.empty() ? files : own), "; pass one of them");
  return {own.front(), false};
}

/// An id as a number, 0 when it is none.
std::int64_t number_of(const std::string& id) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  return error == std::errc() && end == id.data() + id.size() ? number : 0;
}

/// Where pictures may be, nearest first. Not above `root`, the folder that was given.
std::vector<fs::path> image_folders(const fs::path& file, const fs::path& root) {
  const fs::path here = file.parent_path(), above = here.parent_path();
  std::string name = file.stem().string();  // instances_train2017
  name.erase(0, name.find('_') == std::string::npos ? 0 : name.find('_') + 1);
  std::vector<fs::path> result;
  std::vector<std::string> below{"", name, split_of(file)};
  if (below.back() == "trainval") below = {"", name, "trainval", "train", "val"};
  for (const fs::path& base : {here, here == root ? here : above})
    for (const std::string& part : below)
      for (const fs::path& folder : {base / part, base / "images" / part}) {
        std::error_code ignored;
        if (fs::is_directory(folder, ignored) && std::ranges::find(result, folder) == result.end())
          result.push_back(folder);
      }
  return result;
}

/// A name from a file as a path: "./vid/a.png" and Windows' "vid\\a.png" are "vid/a.png". Empty for
/// what no file can be called.
fs::path as_path(std::string name) {
  if (name.find('\0') != std::string::npos) return {};
  std::ranges::replace(name, '\\', '/');
  return fs::path(name).lexically_normal();
}

/// Whether it would not stay below the folder that it is put behind.
bool leads_away(const fs::path& path) {
  const std::string text = path.string();
  return path.is_absolute() || (text.size() > 1 && text[1] == ':') ||
         std::ranges::any_of(path, [](const fs::path& part) { return part == ".."; });
}

/// Finds pictures, and remembers where the last one was: usually all lie together.
class ImageFinder {
 public:
  ImageFinder(std::vector<fs::path> folders, const std::vector<CocoFile::Image>& images)
      : folders_(std::move(folders)) {
    for (const CocoFile::Image& image : images) {
      const fs::path path = as_path(image.file_name);
      names_[path.filename()].insert(path);
    }
  }
  fs::path operator()(const std::string& name) {
    const fs::path path = as_path(name);
    if (path.filename().empty()) return {};
    if (!leads_away(path))
      if (const fs::path found = find(path); !found.empty()) return found;
    // Photos move to other folders. Not where the 0.png of "vidA/0.png" could be that of "vidB/0.png".
    return names_.at(path.filename()).size() == 1 ? find(path.filename()) : fs::path();
  }

 private:
  fs::path find(const fs::path& tail) {
    for (auto folder = folders_.begin(); folder != folders_.end(); ++folder) {
      const fs::path found = *folder / tail;
      std::error_code ignored;
      if (!fs::is_regular_file(found, ignored)) continue;
      std::rotate(folders_.begin(), folder, folder + 1);
      return found;
    }
    return {};
  }

  std::map<fs::path, std::set<fs::path>> names_;  ///< by their last part
  std::vector<fs::path> folders_;
};

/// A folder's, or a file's, full path: the folders around a file say where its pictures and what
/// its split are, however it was named from where one stands. A file that is a link keeps the
/// neighbours that it has here.
fs::path full_path(const fs::path& given) {
  if (fs::is_directory(given)) return fs::canonical(given);
  return fs::canonical(fs::absolute(given).parent_path()) / given.filename();
}

std::vector<fs::path> annotations_of(const fs::path& full) {
  return fs::is_directory(full) ? annotation_files(full) : std::vector{full};
}

}  // namespace

std::vector<std::string> coco_splits(const fs::path& folder) {
  const std::vector<fs::path> files = annotations_of(full_path(folder));
  std::vector<std::string> splits;
  for (const char* split : {"train", "val", "test", "trainval"})
    if (std::ranges::any_of(files, [&](const fs::path& file) { return split_of(file) == split; }))
      splits.push_back(split);
  // Alone it is all that there is, out of which "train" and "val" are cut.
  if (files.size() == 1 && splits == std::vector<std::string>{"trainval"}) return {};
  return splits;
}

bool has_coco_files(const fs::path& folder) { return !json_files(folder).empty(); }

CocoDataset::CocoDataset(const fs::path& folder, const PhotoOptions& options)
    : PhotoDataset("CocoDataset", options) {
  check(fs::exists(folder), "CocoDataset: there is no ", folder);
  const fs::path full = full_path(folder);
  const bool is_file = !fs::is_directory(full);
  const auto [path, cut] = file_of(annotations_of(full), folder, options.split);
  const CocoFile file = read_coco_json(path);
  for (DataIssue issue : file.issues) {
    issue.file = path;
    report_.add(std::move(issue));
  }
  const std::string json = path.filename().string();

  check(file.categories.size() <= 10000, "CocoDataset: at most 10000 categories are accepted, got ",
        file.categories.size(), " in ", path);
  if (class_names_.empty()) {
    for (const CocoFile::Category& category : file.categories)
      if (std::ranges::find(class_names_, category.name) == class_names_.end())
        class_names_.push_back(category.name);
    report_similar_names({class_names_.begin(), class_names_.end()});
  }
  std::map<std::string, std::string> category_names;
  for (const CocoFile::Category& category : file.categories)
    category_names.emplace(category.id, category.name);
  for (const std::string& name : class_names_) {
    const auto own = std::ranges::find(file.categories, name, &CocoFile::Category::name);
    class_ids_.push_back(own == file.categories.end() ? "" : own->id);
    if (own != file.categories.end() && own->id_is_string) string_ids_.classes.insert(own->id);
  }

  // Annotations by image.
  std::map<std::string, std::vector<const CocoFile::Annotation*>> of_image;
  for (const CocoFile::Image& image : file.images)
    if (!of_image.emplace(image.id, 0).second)
      report_.add({DataProblem::duplicate, json, concat("image id ", printable(image.id)), path});
  for (const CocoFile::Annotation& annotation : file.annotations) {
    const auto own = of_image.find(annotation.image);
    if (own != of_image.end())
      own->second.push_back(&annotation);
    else
      report_.add({DataProblem::missing_image,
                   concat(json, ": annotation ", printable(annotation.id)),
                   concat("image id ", printable(annotation.image)), path});
  }

  // The picture of each record; nothing where the record is left out. Of all of them, whatever the
  // split is: a picture with two records is on one side of a cut.
  ImageFinder find_image(image_folders(path, is_file ? fs::path() : full), file.images);
  std::vector<std::optional<fs::path>> pictures;
  std::set<std::string> seen;
  std::map<std::string, std::string> owner;  // of a picture: the record's id
  for (const CocoFile::Image& image : file.images) {
    pictures.emplace_back();
    if (!seen.insert(image.id).second) continue;  // reported above
    const fs::path found = find_image(image.file_name);
    if (!found.empty()) {
      const auto [first, is_new] = owner.emplace(found.string(), image.id);
      if (!is_new) {
        report_.add({DataProblem::second_annotation, concat(json, ": image ", printable(image.id)),
                     concat(printable(image.file_name), ", the picture of image ",
                            printable(first->second)),
                     path, found});
        continue;
      }
    }
    pictures.back() = found;
  }

  std::vector<std::int64_t> taken;
  if (cut) {
    // Names stay when a tool numbers its images anew. Without their endings: the same photos
    // annotated like VOC are cut in the same way.
    std::vector<std::string> names;
    for (const CocoFile::Image& image : file.images)
      names.push_back(fs::path(image.file_name).replace_extension().string());
    taken = seeded_split(names, options);
  } else {
    for (std::size_t i = 0; i < file.images.size(); ++i)
      taken.push_back(static_cast<std::int64_t>(i));
  }
  Progress progress("opening photos", static_cast<std::int64_t>(taken.size()));
  std::int64_t opened = 0;
  for (const std::int64_t i : taken) {
    progress.update(++opened);
    const CocoFile::Image& image = file.images[static_cast<std::size_t>(i)];
    const std::optional<fs::path>& picture = pictures[static_cast<std::size_t>(i)];
    if (!picture) continue;
    PhotoEntry entry{.image = *picture, .annotation = path, .id = image.id};
    if (entry.image.empty()) {
      report_.add({DataProblem::missing_image, json, printable(image.file_name), path});
      continue;
    }
    const std::string name = entry.image.filename().string();
    if (!measure(entry, concat(json, ": ", name), image.width, image.height)) continue;
    for (const CocoFile::Annotation* a : of_image.at(image.id)) {
      const std::string where = concat(json, ": annotation ", printable(a->id));
      const auto category = category_names.find(a->category);
      const std::string class_name = category == category_names.end()
                                         ? concat("category ", printable(a->category))
                                         : category->second;
      const std::string what = concat(printable(class_name), " [", a->x, ", ", a->y, ", ", a->width,
                                      ", ", a->height, "] in ", name);
      const auto label = label_of(class_name);
      const std::array<double, 4> numbers{a->x, a->y, a->x + a->width, a->y + a->height};
      if (!label) {
        report_.add({DataProblem::unknown_class, where, what, path, entry.image, numbers});
      } else if (!(a->width > 0 && a->height > 0)) {
        report_.add({a->width < 0 || a->height < 0 ? DataProblem::reversed : DataProblem::no_area,
                     where, what, path, entry.image, numbers});
      } else if (const auto box = clipped({.label = *label,
                                           .x1 = a->x,
                                           .y1 = a->y,
                                           .x2 = a->x + a->width,
                                           .y2 = a->y + a->height,
                                           .difficult = a->crowd,
                                           .crowd = a->crowd,
                                           .area = a->area,
                                           .place = number_of(a->id)},
                                          entry, where, what)) {
        entry.objects.push_back(*box);
      }
    }
    if (image.id_is_string) string_ids_.photos.insert(image.id);
    entries_.push_back(std::move(entry));
  }
  check_any(folder, options.split);
}

}  // namespace boxgrad::detection
