#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>

#include "detection/detector.h"
#include "detection/training/evaluate.h"
#include "detection/training/log.h"
#include "layers/optimizer.h"
#include "layers/schedule.h"

namespace boxgrad::detection {

using ValidationHook = std::function<void(const ValidationRecord& found)>;

struct TrainerOptions {
  std::int64_t iterations = 1000;  ///< steps in all
  /// If > 0: the run takes so long, validation and checkpoints included. The first steps are timed
  /// for the number of steps that fits, which is corrected on the way, and schedule() with it. A
  /// checkpoint has the number of that moment, and a resumed run keeps to it. Half of the time is
  /// for steps: there are fewer looks than `validations` when these would take the other half, and
  /// only a single one that takes longer than that makes the run longer.
  double minutes = 0;
  /// Of these minutes, what had to be done before train() took already (proposals); counts up to
  /// half of them.
  double seconds_spent = 0;
  std::int64_t batch_size = 16;
  std::uint64_t seed = 0;  ///< order of the images, augmentation, sampling

  /// Makes the schedule of the learning rate once the number of steps is known; none: constant.
  std::function<nn::Schedule(std::int64_t iterations)> schedule = {};
  double clip_norm = 0;  ///< if > 0: gradients are scaled down to this length
  /// If > 0: a running mean of the weights with this decay is kept, and is what validation, the
  /// end of train() and the saved model use ("Polyak averaging"; SSDs gain one or two points).
  double average_decay = 0;

  std::int64_t log_every = 20;
  /// Looks at the validation set, if there is one: spread evenly over the run, the last at its end.
  std::int64_t validations = 1;
  /// Passes over the validation set that the caller makes behind train(), for final figures: of
  /// `minutes` time is kept for them.
  std::int64_t validations_behind = 0;
  std::int64_t validation_images = -1;  ///< of such a look; -1: all
  std::int64_t validation_batch = 8;    ///< images at a time: a look takes memory for each
  std::int64_t checkpoint_every = 500;  ///< steps; 0: only at the end
  /// If > 0: also when so many seconds have passed since the last one. When a checkpoint is written
  /// changes nothing of a run's numbers.
  double checkpoint_seconds = 0;
  std::filesystem::path out = {};  ///< empty: nothing is written
  bool resume = false;             ///< go on from the checkpoint in `out`
  std::string config = "{}";       ///< JSON of everything that a resumed run must agree on
  int loader_threads = 1;
  /// Called behind every step with the number of steps done and the step's loss, for recorders
  /// (RegionRecorder). It may look at the detector and must leave it as it is.
  std::function<void(std::int64_t iteration, const DetectorLoss& loss)> on_step = {};
  /// Called behind every look at the validation set, while the weights that were looked at (their
  /// mean, if one is kept) stand in the detector: to save the best ones. It must leave them.
  ValidationHook on_validation = {};
};

/// What a training ended as.
struct TrainingSummary {
  TrainingLog log;
  std::int64_t iterations = 0;  ///< done
  std::int64_t total_iterations = 0;
  double seconds = 0;        ///< of training, validation and checkpoints left out
  bool interrupted = false;  ///< by Ctrl-C; the checkpoint holds the state
};

/// A loss, a gradient, or a value on the way that is not finite. The message names the first op
/// that made one, its layer and the images of the batch.
class TrainingDiverged : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Trains a detector:
///
///   for every iteration: next batch (made in the background) -> loss -> backward -> step
///
/// dataset      the images to learn from, first through `augmentation` (may be empty)
/// preparation  what training and validation images share: size, normalisation
/// validation   the set that AP is measured on, or null
///
/// Same seed, same bits: for any number of threads, and for a run that was interrupted and resumed.
/// Ctrl-C finishes the step, saves and returns. A loss that is not finite stops the run in that
/// step, which is then repeated with every op checked; no checkpoint is written of it.
///
/// Throws TrainingDiverged; std::invalid_argument for options that do not fit, a resume without a
/// checkpoint, with another config, or of a finished run; std::runtime_error when files fail.
TrainingSummary train(Detector& detector, nn::Optimizer& optimizer, const Dataset& dataset,
                      const Transform& augmentation, const Preparation& preparation,
                      const TrainerOptions& options, const Dataset* validation = nullptr);

}  // namespace boxgrad::detection
