#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/random.h"
#include "core/tensor.h"
#include "detection/training/log.h"

namespace boxgrad::detection {

/// Everything that a training needs to go on as if it had never stopped.
struct Checkpoint {
  std::int64_t iteration = 0;         ///< steps done: the next sample follows from it
  std::int64_t total_iterations = 0;  ///< fixed when the run began
  /// Looks at the validation photos that are spread over the run; nothing in checkpoints of before
  /// it was kept: as many as the settings say.
  std::optional<std::int64_t> looks = {};
  double seconds = 0;  ///< of training so far
  Random random{0};    ///< default_random(): dropout draws from it
  std::string config;  ///< JSON; a resumed run must have the same
  TrainingLog log;
  /// "model/...", "optimizer/...", "average/..."
  std::vector<std::pair<std::string, Tensor>> tensors;
};

/// Writes a generation into a folder: first `checkpoint-<iteration>.safetensors`, then, renamed
/// into place last, `checkpoint-<iteration>.json` with the counters, the log, the SHA-256 of the
/// tensor file and one of itself. Whenever the process dies, every manifest that is there names a
/// tensor file that is whole. This generation and the one before are kept; later ones, which an
/// earlier run left in the folder, are removed, as is what a kill left of others: tensors without a
/// manifest, temporary files. One process at a time may write into a folder.
///
/// Throws std::runtime_error naming the file when something cannot be written, or when a tensor
/// holds a number that is not finite; the generations that were there stay.
void save_checkpoint(const std::filesystem::path& folder, const Checkpoint& checkpoint);

/// One generation, by its manifest, checkpoint-<iteration>.json.
/// Throws std::invalid_argument naming the file for another name and when it, or its file of
/// tensors, is damaged; std::runtime_error when one cannot be read.
Checkpoint read_checkpoint(const std::filesystem::path& manifest);

/// Reads the newest generation that is intact: both hashes match. std::nullopt when the folder
/// holds none at all. `warning` says when an older one was taken, and why.
/// Throws std::invalid_argument naming the files when there are some but none is intact.
std::optional<Checkpoint> load_checkpoint(const std::filesystem::path& folder,
                                          std::string* warning = nullptr);

/// In which settings two configs differ, for people: "rate was 1, is now 2; seed was missing, is
/// now 3". Both in full when one of them is no JSON object.
std::string config_differences(const std::string& before, const std::string& now);

}  // namespace boxgrad::detection
