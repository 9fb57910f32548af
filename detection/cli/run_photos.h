#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "detection/data/photo_dataset.h"
#include "detection/proposals/with_proposals.h"
#include "detection/training/photo_recipe.h"
#include "detection/training/run_folder.h"

/// The photos that `boxgrad train` learns from, and those that it follows AP on.
namespace boxgrad::detection {

/// The photos of one list of a run, with proposals where the model takes them from outside.
struct SplitPhotos {
  std::unique_ptr<PhotoDataset> photos;     ///< null: there is no such list
  std::unique_ptr<WithProposals> proposed;  ///< `photos` and proposals; null for other models
  double proposing_seconds = 0;             ///< now, or when the cache was made

  void propose(const DetectorSpec& spec, const std::filesystem::path& cache,
               const std::string& split) {
    if (photos) proposed = with_proposals(spec, *photos, cache, split, &proposing_seconds);
  }
  std::optional<double> proposals_took() const {
    return proposed ? std::optional(proposing_seconds) : std::nullopt;
  }
  std::int64_t size() const { return photos ? photos->size() : 0; }
  const Dataset& set() const { return proposed ? static_cast<const Dataset&>(*proposed) : *photos; }
};

struct RunPhotos {
  SplitPhotos learned, looked;

  bool has_val() const { return looked.photos != nullptr; }
  /// What the final figures are about: the photos it learned from where there are no others.
  const SplitPhotos& measured() const { return has_val() ? looked : learned; }
};

/// Opens a run's photos, after saying what they are. Those to look at are missing where there is no
/// such list, or the folder is cut and the cut has nothing to find; a line says so.
/// Throws what photos_for() throws.
RunPhotos photos_of(const RunConfig& config);

/// Adds proposals where the model takes them from outside, by the config's detector. Returns the
/// seconds spent, which --minutes pays for.
///
/// cache    the folder that they are kept in
/// minutes  of the run; 0 when it counts steps. Throws std::invalid_argument when proposals would
///          take more than half of it, as a few photos tell: what is left teaches little, and more
///          time would not be what was asked.
double add_proposals(RunPhotos& photos, const RunConfig& config, const std::filesystem::path& cache,
                     double minutes);

}  // namespace boxgrad::detection
