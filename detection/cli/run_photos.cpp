#include "detection/cli/run_photos.h"

#include <cmath>
#include <iostream>

#include "core/check.h"
#include "core/file_names.h"
#include "core/progress.h"
#include "core/stopwatch.h"
#include "detection/cli/photos_for.h"
#include "detection/data/open_photos.h"
#include "detection/proposals/proposal_cache.h"

namespace boxgrad::detection {

namespace {

/// The photos that AP is followed on; null, after a line that says so, where there are none.
std::unique_ptr<PhotoDataset> photos_to_look_at(const RunConfig& config,
                                                const std::vector<std::string>& classes) {
  std::unique_ptr<PhotoDataset> photos;
  std::optional<std::string> missing;
  const auto open = [&] {
    photos = photos_for(config.data, config.val_split, classes, false, config.cut);
  };
  if (!has_photo_split(config.data, config.val_split))
    missing = concat("there is no \"", config.val_split, "\"");
  else if (is_cut(config.data))
    missing = input_error(open);  // a share of a handful, which may hold no object
  else
    open();
  if (missing)
    std::cout << *missing
              << ": nothing is measured along the way, and in the end the photos it learned from\n";
  return photos;
}

void check_proposals_fit(const RunPhotos& photos, const DetectorSpec& spec, double minutes) {
  const std::int64_t count = photos.learned.size() + photos.looked.size();
  const double expected_s =
      seconds_of_proposals(spec, *photos.learned.photos) * static_cast<double>(count);
  check(expected_s <= 30 * minutes, "--minutes: proposals for ", count, " photos will take about ",
        Progress::duration(expected_s), ", which is more than half of --minutes ", minutes,
        "; with --minutes ", std::ceil(expected_s / 30), " the training has as long");
}

}  // namespace

RunPhotos photos_of(const RunConfig& config) {
  say_how_it_is_split(config.data, config.cut);
  RunPhotos all;
  all.learned.photos = photos_for(
      config.data, config.train_split,
      config.detector ? config.detector->classes : std::vector<std::string>(), false, config.cut);
  const PhotoDataset& learned = *all.learned.photos;
  all.looked.photos = photos_to_look_at(config, learned.class_names());
  if (!all.has_val()) return all;
  const PhotoDataset& looked = *all.looked.photos;
  if (const std::int64_t both = photos_in_both(learned, looked); both > 0)
    std::cout << both << " of the " << looked.size() << " photos of \"" << config.val_split
              << "\" are among those of \"" << config.train_split
              << "\": AP on them, and the best weights by it, say little of new photos\n";
  return all;
}

double add_proposals(RunPhotos& photos, const RunConfig& config, const std::filesystem::path& cache,
                     double minutes) {
  const Stopwatch watch;
  const auto file = proposal_file(cache, in_file_name(config.train_split));
  if (minutes > 0 && !std::filesystem::exists(file))
    check_proposals_fit(photos, *config.detector, minutes);
  photos.learned.propose(*config.detector, cache, config.train_split);
  photos.looked.propose(*config.detector, cache, config.val_split);
  if (!photos.learned.proposed) return 0;
  const double spent = watch.seconds();
  std::cout << "proposals for " << photos.learned.size() + photos.looked.size()
            << " photos: " << Progress::duration(spent)
            << (minutes > 0 ? ", which is part of --minutes" : "") << "; kept in " << cache.string()
            << "\n";
  return spent;
}

}  // namespace boxgrad::detection
