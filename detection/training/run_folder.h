#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "detection/data/photo_dataset.h"
#include "detection/training/photo_recipe.h"
#include "detection/training/trained_detector.h"

/// What `boxgrad train` leaves behind, in one folder:
///
///   config.json          how it was trained, and what the network is: usable again
///   model.safetensors    the weights at the end (their mean along the way)
///   best.safetensors     those of the best look at the validation photos
///   checkpoint-*         the last two states, to go on from
///   log.csv, log.jsonl   loss, rate and AP over time
///   metrics.json         how good it is
///   index.html, images/  the same for people
namespace boxgrad::detection {

inline constexpr const char* kConfigFile = "config.json";
inline constexpr const char* kModelFile = "model.safetensors";
inline constexpr const char* kBestFile = "best.safetensors";

/// How long a run takes that nobody gave a length.
inline constexpr double kDefaultMinutes = 5;

/// config.json.
struct RunConfig {
  PhotoRecipe recipe = {};
  std::string data = {};  ///< the folder of photos; in a run's folder its full path
  std::string train_split = "train", val_split = "val";
  PhotoCut cut = PhotoCut::by_name;  ///< how, where `data` has no lists of its own
  std::string learned_hash = {};     ///< hash_annotations() of the train photos; "": not known
  std::optional<DetectorSpec> detector = {};  ///< measured on the photos, once they were seen
};

/// Complete, for a run's folder. Throws std::runtime_error naming the file.
void save_run_config(const std::filesystem::path& file, const RunConfig& config);
/// From a run's folder: every key must be there. Throws std::invalid_argument naming file and key.
RunConfig load_run_config(const std::filesystem::path& file);
/// From a user: what is not there keeps the model's default, or that of `model` when the file does
/// not say which. Without "iterations" and "minutes" the run takes kDefaultMinutes. Throws also when
/// neither says which model, and when they disagree.
RunConfig read_user_config(const std::filesystem::path& file, const std::string& model);

/// Whether there is a config.json.
bool is_run_folder(const std::filesystem::path& folder);

/// The detector of a run's folder, or of a file of weights by itself. In a folder weights and
/// config.json must speak of the same detector.
///
/// best     take best.safetensors instead of model.safetensors
/// throws   std::invalid_argument that names file and what differs; for a folder that is no run,
///          or whose training has not ended
TrainedDetector load_run(const std::filesystem::path& run, bool best = false);

}  // namespace boxgrad::detection
