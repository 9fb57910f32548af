#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "detection/data/data_report.h"
#include "detection/data/photo_dataset.h"

namespace boxgrad::detection {

/// Where the parts of a VOC-like folder are.
struct VocFolder {
  std::filesystem::path annotations, images;
  std::filesystem::path lists;   ///< ImageSets/Main, empty when it holds none
  bool split_is_folder = false;  ///< annotations was chosen by the split's name
  /// Stem -> file names in those folders, sorted: "dog1" -> {"dog1.jpg"}.
  std::map<std::string, std::vector<std::string>> xml_files, image_files;
};

/// Whether a file is called like a picture: .jpg, .jpeg, .png, .bmp, in any case, not hidden.
bool is_picture_name(const std::filesystem::path& path);

/// Whether there are .xml files where find_voc_folder() looks for them.
bool has_voc_files(const std::filesystem::path& folder);

/// Whether one of them is an <annotation>, as its first bytes say.
bool has_voc_annotations(const std::filesystem::path& folder);

/// The splits that a folder has of its own: its lists, or its folders called train, val (valid) and
/// test. Empty when it has neither. Lists with "_" in their names ("cat_train") are left out where
/// there are others.
std::vector<std::string> voc_splits(const std::filesystem::path& root);

/// Whether it has a list of that name, whatever the name is.
bool has_voc_list(const std::filesystem::path& root, const std::string& name);

/// Looks for them in `root` and up to three levels below. `split` decides between folders called
/// train, val or valid, and test. Throws std::invalid_argument when nothing, or more than one
/// candidate, is found.
VocFolder find_voc_folder(const std::filesystem::path& root, const std::string& split);

/// The stems that belong to options.split: of a list in `folder.lists`, or of a seeded cut of all.
/// A line of a list is a stem or a file's name, which may hold blanks, and in VOC's lists for one
/// class a flag behind it.
std::vector<std::string> voc_split(const VocFolder& folder, const PhotoOptions& options,
                                   DataReport& report);

}  // namespace boxgrad::detection
