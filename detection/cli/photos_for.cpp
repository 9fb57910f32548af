#include "detection/cli/photos_for.h"

#include <algorithm>
#include <iostream>
#include <set>

#include "core/check.h"
#include "core/printable.h"
#include "detection/data/open_photos.h"

namespace boxgrad::detection {

namespace {

/// "green, red", the first ten of them.
template <class Names>
std::string names_text(const Names& names) {
  std::string text;
  std::size_t shown = 0;
  for (const std::string& name : names) {
    if (++shown > 10) return text + ", ...";
    text += (shown == 1 ? "" : ", ") + printable(name);
  }
  return text;
}

}  // namespace

std::unique_ptr<PhotoDataset> photos_for(const std::string& folder, const std::string& split,
                                         const std::vector<std::string>& classes, bool may_be_empty,
                                         PhotoCut cut) {
  auto photos = open_photos(folder, {.split = split, .classes = classes, .cut = cut});
  for (const std::string& line : photos->summary()) std::cout << split << ": " << line << "\n";
  const std::string why = why_empty(*photos, folder, split, classes);
  check(why.empty() || may_be_empty, why);
  return photos;
}

std::string why_empty(const PhotoDataset& photos, const std::string& folder,
                      const std::string& split, const std::vector<std::string>& classes) {
  if (std::ranges::any_of(photos.entries(),
                          [](const PhotoEntry& entry) { return !entry.objects.empty(); }))
    return {};
  const std::string where = concat(folder, ", split \"", split, "\": ");
  const DataReport& report = photos.report();
  if (report.count(DataProblem::unknown_class) == 0) {
    std::int64_t skipped = 0;
    for (const DataProblem problem : {DataProblem::bad_object, DataProblem::no_area,
                                      DataProblem::reversed, DataProblem::outside})
      skipped += report.count(problem);
    return concat(where, "there is no object on any of its ", photos.size(), " photos",
                  skipped > 0 ? concat("; ", skipped, " were skipped, for the reasons above") : "");
  }
  return concat(where, "no object is of a class that the network knows (", names_text(classes),
                "); here they are called ", names_text(photos.annotated_names()),
                ": names are compared letter by letter");
}

void check_split_exists(const char* option, const std::string& folder, const std::string& split) {
  if (has_photo_split(folder, split)) return;
  std::vector<std::string> own = photo_splits(folder);
  if (own.empty()) own = {"train", "val"};  // those that are cut
  check(false, option, ": ", folder, " has no \"", printable(split), "\"; there are ",
        names_text(own));
}

std::string kept_path(const std::string& folder) {
  std::string path = std::filesystem::absolute(folder).lexically_normal().string();
  check(is_utf8(path),
        "--data: the run's config.json has to name the folder, in UTF-8; rename it or pass a link "
        "to it, got ",
        printable_whole(path));
  return path;
}

std::int64_t photos_in_both(const PhotoDataset& learned, const PhotoDataset& asked) {
  std::set<std::filesystem::path> files;
  for (const PhotoEntry& entry : learned.entries()) files.insert(entry.image);
  return std::ranges::count_if(
      asked.entries(), [&](const PhotoEntry& entry) { return files.count(entry.image) > 0; });
}

bool is_cut(const std::string& folder) { return photo_splits(folder).empty(); }

void say_how_it_is_split(const std::string& folder, PhotoCut cut) {
  const PhotoOptions options;
  if (is_cut(folder))
    std::cout << folder << " has no lists of its own: a share of " << options.val_share
              << " of the photos, "
              << (cut == PhotoCut::by_name ? "chosen by their names"
                                           : "shuffled, as in older runs,")
              << (cut == PhotoCut::by_name ? " and seed " : " by seed ") << options.split_seed
              << ", is \"val\", the others are \"train\"\n";
}

}  // namespace boxgrad::detection
