#include "detection/data/voc_folder.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <sstream>
#include <string_view>

#include "core/check.h"
#include "core/files.h"
#include "core/printable.h"
#include "detection/data/photo_dataset.h"

namespace boxgrad::detection {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxDepth = 3;
constexpr std::size_t kMaxFolders = 5000;  // someone passed their home directory
constexpr std::uint64_t kMaxListBytes = 64 << 20;
const std::set<std::string> kImageExtensions{".jpg", ".jpeg", ".png", ".bmp"};

std::string extension(const fs::path& path) { return lower_case(path.extension().string()); }

// Sorted, so that nothing depends on the order in which the system lists a folder.
std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    entries.push_back(it->path());
  std::sort(entries.begin(), entries.end());
  return entries;
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

std::map<std::string, std::vector<std::string>> files_by_stem(
    const fs::path& folder, const std::set<std::string>& extensions) {
  std::map<std::string, std::vector<std::string>> files;
  for (const fs::path& path : sorted_entries(folder))
    if (extensions.count(extension(path)) && !is_folder(path) &&
        path.filename().string().front() != '.')
      files[path.stem().string()].push_back(path.filename().string());
  return files;
}

// All folders with .xml files, nearest first.
std::vector<std::pair<int, fs::path>> annotation_folders(const fs::path& root) {
  std::vector<std::pair<int, fs::path>> queue{{0, root}}, found;
  for (std::size_t i = 0; i < queue.size(); ++i) {
    const auto [depth, folder] = queue[i];  // a copy: the queue grows
    bool has_xml = false;
    for (const fs::path& path : sorted_entries(folder)) {
      if (path.filename().string().front() == '.') continue;
      if (extension(path) == ".xml" && !is_folder(path)) has_xml = true;
      if (depth < kMaxDepth && queue.size() < kMaxFolders && is_folder(path))
        queue.push_back({depth + 1, path});
    }
    if (has_xml) found.push_back({depth, folder});
  }
  return found;
}

std::string split_of_folder(const fs::path& folder) {
  const std::string name = lower_case(folder.filename().string());
  return name == "valid" || name == "validation" ? "val" : name;
}

std::string list_paths(const std::vector<fs::path>& paths) {
  std::string text;
  for (std::size_t i = 0; i < paths.size() && i < 5; ++i)
    text += concat(i == 0 ? "" : ", ", paths[i]);
  return paths.size() > 5 ? text + ", ..." : text;
}

// The pictures of an annotation folder: in a folder with a usual name beside it or one above, or
// where the annotations themselves are, or one above.
fs::path find_images(const fs::path& annotations, const fs::path& root) {
  const fs::path parent = annotations.parent_path();
  std::vector<fs::path> candidates;
  std::vector<fs::path> bases{parent};
  if (annotations != root && parent != root) bases.push_back(parent.parent_path());
  for (const fs::path& base : bases)
    for (const fs::path& path : sorted_entries(base)) {
      const std::string name = lower_case(path.filename().string());
      if ((name == "jpegimages" || name == "images" || name == "imgs") && is_folder(path))
        candidates.push_back(path);
    }
  // Pictures beside the .xml files come first: in the flat layout other folders are not meant.
  candidates.insert(candidates.begin(), annotations);
  candidates.push_back(parent);
  for (const fs::path& candidate : candidates)
    if (!files_by_stem(candidate, kImageExtensions).empty()) return candidate;
  return {};
}

}  // namespace

namespace {

/// The folders called Annotations, else the nearest ones.
std::vector<fs::path> candidates(const std::vector<std::pair<int, fs::path>>& found) {
  std::vector<fs::path> chosen;
  for (const auto& [depth, path] : found)
    if (lower_case(path.filename().string()) == "annotations") chosen.push_back(path);
  if (chosen.empty())
    for (const auto& [depth, path] : found)
      if (depth == found.front().first) chosen.push_back(path);
  return chosen;
}

/// In UTF-8, or in UTF-16, whose letters have a zero beside them.
bool begins_annotation(const fs::path& xml) {
  constexpr std::uint64_t kLookedAt = 4096;
  std::string text;
  const auto error = input_error([&] {
    const InputFile file(xml);
    std::vector<std::uint8_t> bytes(std::min(file.size(), kLookedAt));
    file.read_at(0, bytes);
    for (const std::uint8_t byte : bytes)
      if (byte != 0) text += static_cast<char>(byte);
  });
  const std::string_view tag = "<annotation", behind = " \t\r\n/>";
  for (std::size_t at = text.find(tag); !error && at != std::string::npos;
       at = text.find(tag, at + 1))
    if (const std::size_t end = at + tag.size();
        end < text.size() && behind.find(text[end]) != std::string_view::npos)
      return true;
  return false;
}

}  // namespace

bool is_picture_name(const fs::path& path) {
  return kImageExtensions.count(extension(path)) && path.filename().string().front() != '.';
}

bool has_voc_files(const fs::path& folder) {
  return is_folder(folder) && !annotation_folders(fs::canonical(folder)).empty();
}

bool has_voc_annotations(const fs::path& folder) {
  if (!is_folder(folder)) return false;
  for (const auto& [depth, path] : annotation_folders(fs::canonical(folder)))
    for (const auto& [stem, files] : files_by_stem(path, {".xml"}))
      for (const std::string& file : files)
        if (begins_annotation(path / file)) return true;
  return false;
}

std::vector<std::string> voc_splits(const fs::path& root) {
  std::vector<std::string> splits;
  const std::vector<fs::path> chosen = candidates(annotation_folders(fs::canonical(root)));
  if (chosen.size() == 1) {
    const auto lists = files_by_stem(chosen.front().parent_path() / "ImageSets" / "Main", {".txt"});
    // VOC has "cat_train" and "dog_train" beside "train". A folder that has lists with "_" alone
    // means these.
    for (const auto& [stem, files] : lists)
      if (stem.find('_') == std::string::npos) splits.push_back(stem);
    if (splits.empty())
      for (const auto& [stem, files] : lists) splits.push_back(stem);
    return splits;
  }
  for (const char* split : {"train", "val", "test"})
    for (const fs::path& path : chosen)
      if (split_of_folder(path) == split || split_of_folder(path.parent_path()) == split) {
        splits.push_back(split);
        break;
      }
  return splits;
}

bool has_voc_list(const fs::path& root, const std::string& name) {
  const std::vector<fs::path> chosen = candidates(annotation_folders(fs::canonical(root)));
  if (chosen.size() != 1) return false;
  const auto lists = files_by_stem(chosen.front().parent_path() / "ImageSets" / "Main", {".txt"});
  return lists.count(name) > 0;
}

VocFolder find_voc_folder(const fs::path& root, const std::string& split) {
  check(is_folder(root), "VocDataset: ", root, " must be a folder");
  std::vector<std::pair<int, fs::path>> found = annotation_folders(fs::canonical(root));
  check(!found.empty(), "VocDataset: no .xml annotations in ", root, " or up to ", kMaxDepth,
        " levels below");

  std::vector<fs::path> chosen = candidates(found);

  VocFolder folder;
  if (chosen.size() > 1) {
    std::vector<fs::path> of_split;
    for (const fs::path& path : chosen)
      if (split_of_folder(path) == split || split_of_folder(path.parent_path()) == split)
        of_split.push_back(path);
    check(of_split.size() == 1, "VocDataset: ", root, " must hold one set of annotations",
          split.empty() ? "" : concat(" (or one folder called \"", printable(split), "\")"),
          ", got ", list_paths(chosen), "; pass one of them");
    chosen = of_split;
    folder.split_is_folder = true;
  }
  folder.annotations = chosen.front();
  folder.images = find_images(folder.annotations, fs::canonical(root));
  check(!folder.images.empty(), "VocDataset: no pictures (JPEGImages) beside ", folder.annotations);
  folder.xml_files = files_by_stem(folder.annotations, {".xml"});
  folder.image_files = files_by_stem(folder.images, kImageExtensions);
  const fs::path lists = folder.annotations.parent_path() / "ImageSets" / "Main";
  // One without lists says nothing: the photos are cut, as voc_splits() promises.
  if (!files_by_stem(lists, {".txt"}).empty()) folder.lists = lists;
  return folder;
}

namespace {

std::string without_blanks_around(const std::string& text) {
  constexpr const char* kBlanks = " \t\r\n\v\f";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

/// What stands in front of the number that VOC's lists have behind a name, whether a class is there
/// (-1, 0, 1) or which object a layout is of: "dog1" of "dog1 -1"; "" where there is none. "my dog 2"
/// is a name, that of a photo which is not there.
std::string before_flag(const std::string& entry) {
  const std::size_t blank = entry.find_last_of(" \t");
  if (blank == std::string::npos) return "";
  const std::string number = entry.substr(entry[blank + 1] == '-' ? blank + 2 : blank + 1);
  const bool digits = !number.empty() && std::ranges::all_of(number, [](unsigned char c) {
    return std::isdigit(c) != 0;
  });
  const std::string name = without_blanks_around(entry.substr(0, blank));
  const bool of_class = entry.substr(blank + 1) == "-1" || number == "0" || number == "1";
  return digits && (of_class || name.find_first_of(" \t") == std::string::npos) ? name : "";
}

/// The stem that an entry of a list means; some give the picture's file name. "" for none.
std::string stem_of(const VocFolder& folder, const std::string& name) {
  if (folder.xml_files.count(name)) return name;
  const fs::path as_file(name);
  const bool has_ending =
      kImageExtensions.count(extension(as_file)) > 0 || extension(as_file) == ".xml";
  const std::string stem = as_file.stem().string();
  return has_ending && folder.xml_files.count(stem) ? stem : "";
}

std::vector<std::string> read_list(const VocFolder& folder, const fs::path& path,
                                   DataReport& report) {
  std::istringstream text(read_text_file(path, kMaxListBytes));
  std::vector<std::string> stems;
  std::set<std::string> seen;
  std::string line;
  for (int number = 1; std::getline(text, line); ++number) {
    if (number == 1 && line.compare(0, 3, "\xEF\xBB\xBF") == 0) line.erase(0, 3);
    const std::string entry = without_blanks_around(line);
    if (entry.empty()) continue;
    // Names may hold blanks: "my cat" is not "my".
    const std::string flagged = stem_of(folder, entry).empty() ? before_flag(entry) : "";
    const std::string name = flagged.empty() ? entry : flagged;
    const std::string where = concat(path.filename().string(), ":", number);
    if (name.find('/') != std::string::npos || name.find('\\') != std::string::npos ||
        name.find('\0') != std::string::npos || name == "." || name == "..") {
      report.add({DataProblem::bad_name, where, concat("\"", printable(name), "\""), path});
      continue;
    }
    const std::string stem = stem_of(folder, name);
    if (stem.empty())
      report.add(
          {DataProblem::missing_annotation, where, concat("\"", printable(name), "\""), path});
    else if (!seen.insert(stem).second)
      report.add({DataProblem::duplicate, where, concat("\"", printable(stem), "\""), path});
    else
      stems.push_back(stem);
  }
  return stems;
}

}  // namespace

std::vector<std::string> voc_split(const VocFolder& folder, const PhotoOptions& options,
                                   DataReport& report) {
  const std::string& split = options.split;
  std::vector<std::string> all;
  for (const auto& [stem, files] : folder.xml_files) all.push_back(stem);

  const bool takes_all = split.empty() || folder.split_is_folder;
  if (!takes_all && !folder.lists.empty()) {
    std::string names;
    for (const auto& [stem, files] : files_by_stem(folder.lists, {".txt"})) {
      if (stem == split) return read_list(folder, folder.lists / files.front(), report);
      if (stem.find('_') == std::string::npos) names += concat(names.empty() ? "" : ", ", stem);
    }
    check(false, "VocDataset: split must be one of the lists in ", folder.lists, " (", names,
          "), got \"", printable(split), "\"");
  }
  if (takes_all || split == "trainval") {
    for (const auto& [stem, files] : folder.image_files)
      if (!folder.xml_files.count(stem))
        report.add({DataProblem::missing_annotation, files.front(), "",
                    folder.images / files.front(), folder.images / files.front()});
    return all;
  }
  check(split == "train" || split == "val", "VocDataset: split must be train, val or trainval, as ",
        folder.annotations.parent_path(), " has no lists in ImageSets/Main, got \"",
        printable(split), "\"");
  std::vector<std::string> part;
  for (const std::int64_t i : seeded_split(all, options))
    part.push_back(all[static_cast<std::size_t>(i)]);
  return part;
}

}  // namespace boxgrad::detection
