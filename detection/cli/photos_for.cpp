#include "detection/cli/photos_for.h"

#include <algorithm>
#include <cstdio>
#include <iostream>

#include "core/check.h"
#include "detection/data/open_photos.h"

namespace boxgrad::detection {

std::unique_ptr<PhotoDataset> photos_for(const std::string& folder, const std::string& split,
                                         const std::vector<std::string>& classes) {
  auto photos = open_photos(folder, {.split = split, .classes = classes});
  for (const std::string& line : photos->summary()) std::cout << split << ": " << line << "\n";
  const bool any = std::ranges::any_of(
      photos->entries(), [](const PhotoEntry& entry) { return !entry.objects.empty(); });
  std::string known;
  for (const std::string& name : classes) known += (known.empty() ? "" : ", ") + name;
  check(any || photos->report().count(DataProblem::unknown_class) == 0, folder, ", split \"", split,
        "\": no object is of a class that the network knows (", known,
        "); names are compared letter by letter");
  check(any, folder, ", split \"", split, "\": there is no object on any of its ", photos->size(),
        " photos");
  return photos;
}

bool is_cut(const std::string& folder) { return photo_splits(folder).empty(); }

void say_how_it_is_split(const std::string& folder) {
  const PhotoOptions options;
  if (is_cut(folder))
    std::cout << folder << " has no lists of its own: a share of " << options.val_share
              << " of the photos, shuffled by seed " << options.split_seed
              << ", is \"val\", the others are \"train\"\n";
}

bool has_split(const std::string& folder, const std::string& split) {
  const std::vector<std::string> own = photo_splits(folder);
  if (own.empty()) return split == "train" || split == "val";
  return std::ranges::find(own, split) != own.end();
}

std::string figure_text(const std::optional<double>& figure) {
  char text[32] = "n/a";
  if (figure) std::snprintf(text, sizeof text, "%.3f", *figure);
  return text;
}

}  // namespace boxgrad::detection
