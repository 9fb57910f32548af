#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/report.h"
#include "detection/data/first_images.h"
#include "detection/data/transforms.h"
#include "detection/models/fast_rcnn.h"
#include "detection/training/claims.h"
#include "detection/training/fast_rcnn_presets.h"
#include "detection/training/faster_rcnn_presets.h"
#include "detection/training/region_classifier_training.h"
#include "detection/training/region_task.h"
#include "detection/training/result_store.h"
#include "detection/training/spp_net_training.h"
#include "detection/training/trainer.h"

/// What the groups of `reproduce` share: one task, one way to train, one folder of results.
namespace boxgrad::reproduce {

using namespace boxgrad::detection;

struct LabOptions {
  std::filesystem::path out;
  int seeds = 3;
  std::int64_t steps = 1500;  ///< of a training, two images each
  bool quick = false;         ///< a handful of everything

  RegionTaskOptions task() const {
    return quick ? RegionTaskOptions::quick() : RegionTaskOptions{};
  }
};

/// How a Fast R-CNN is trained. What is written here is lesson 09's recipe.
struct FastRecipe {
  std::string freeze = "conv1_2";  ///< the last layer that stays as it is
  double lambda = 1;
  bool flips = true;
  bool five_scales = false;  ///< a random one in training, the one that suits a region in test
  RegionSelection selection = RegionSelection::sampled;
  Scalar negative_low = Scalar(0.1);
  OhemOptions ohem = {.size = 128};
  double rate = 0.01;

  std::string describe() const;
};

/// Something whose time is compared with others': what `make` gives is called with the numbers of
/// validation scenes, one after the other. It need not look at them.
struct Timed {
  std::string name;
  std::string settings = {};  ///< all that the time depends on, but the machine
  std::function<std::function<void(std::int64_t scene)>()> make = {};
};

class Lab {
 public:
  explicit Lab(const LabOptions& options);

  const LabOptions& options() const { return options_; }
  /// Scenes, proposals, starting weights; made when first asked for.
  const RegionTask& task();
  ResultStore& store() { return store_; }
  /// What every result depends on, for ResultStore's settings.
  std::string common_settings() const;

  /// `compute` for each seed, or what is kept of it: <name>-seed_<s>.
  std::vector<Result> by_seed(const std::string& name, const std::string& settings,
                              const std::function<Result(std::uint64_t seed)>& compute);

  /// A network that is trained once for each seed: <name>-seed_<s> in the folder of models.
  ///
  /// make    the untrained network
  /// train   trains it and returns what that took ("seconds", ...) and what was recorded on the way
  /// result  the trained network and what `train` returned
  template <class Model>
  std::pair<std::shared_ptr<Model>, Result> trained(
      const std::string& name, const std::string& settings, std::uint64_t seed,
      const std::function<std::shared_ptr<Model>()>& make,
      const std::function<Result(Model&)>& train) {
    const std::string run = concat(name, "-seed_", seed);
    const std::shared_ptr<Model> model = make();
    if (const auto known = load_model(*model, run, settings)) return {model, *known};
    announce("training " + run);
    const Result result = train(*model);
    save_model(*model, run, settings, result);
    return {model, result};
  }

  /// Fast R-CNN by that recipe, each seed trained and measured once: "ap50", "ap50_any" (whatever
  /// the class), "seconds" and "mb", and over the training, by RegionRecorder, the curves
  /// "iteration", "read_ratio" and "chosen_ratio": background regions for each object among those
  /// that a step could choose from, and among those that it chose.
  std::vector<Result> fast_rcnn(const std::string& name, const FastRecipe& recipe);
  /// One of those networks, with its "seconds" and curves.
  std::pair<std::shared_ptr<FastRcnn>, Result> trained_fast_rcnn(const std::string& name,
                                                                 const FastRecipe& recipe,
                                                                 std::uint64_t seed);
  /// Trains by lesson 09's schedule; returns seconds.
  /// on_step  called behind each step, as TrainerOptions::on_step
  double train_detector(
      Detector& model, const Dataset& data, std::uint64_t seed, std::int64_t steps, double rate,
      const Transform& augmentation, std::int64_t images = 2,
      const std::function<void(std::int64_t iteration, const DetectorLoss& loss)>& on_step = {});
  /// Any other recipe; without checkpoints. Throws std::runtime_error if it was stopped.
  double seconds_to_train(Detector& model, nn::Optimizer& optimizer, const Dataset& data,
                          const Transform& augmentation, TrainerOptions training);
  /// "ap50" and "ap50_any" on the validation scenes.
  Result measure(Detector& model, const Dataset& val);
  /// Milliseconds a call of each, by name: the best of five rounds over 40 validation scenes. In
  /// every round all of them take their turn, so that what else the machine does meets all alike.
  std::map<std::string, double> milliseconds(const std::string& name,
                                             const std::vector<Timed>& works);
  /// Detection, one image at a time, without proposals.
  Timed timed(const std::string& name, const std::string& settings,
              std::function<std::shared_ptr<Detector>()> model);
  /// The same of trained_fast_rcnn() of seed 0.
  Timed timed_fast_rcnn(const std::string& name, const FastRecipe& recipe);
  /// Megabytes of a saved network.
  double megabytes(const std::string& name, std::uint64_t seed) const;

  /// How the papers' task was shrunk, as a table.
  void describe_task();

  // What is printed, and written to index.html and table.md at the end.
  void heading(const std::string& text);
  void paragraph(const std::string& text);
  void list(const std::string& introduction, const std::vector<std::string>& items);
  void table(const std::vector<std::string>& header,
             const std::vector<std::vector<std::string>>& rows);
  void claims(const std::vector<Claim>& claims);
  void chart(const std::string& svg, const std::string& caption);
  void write();

 private:
  std::shared_ptr<FastRcnn> new_fast_rcnn(const FastRecipe& recipe, std::uint64_t seed);
  std::filesystem::path model_file(const std::string& run) const;
  std::optional<Result> load_model(nn::Module& model, const std::string& run,
                                   const std::string& settings) const;
  void save_model(const nn::Module& model, const std::string& run, const std::string& settings,
                  const Result& result) const;
  static void announce(const std::string& text);

  LabOptions options_;
  std::unique_ptr<RegionTask> task_;
  ResultStore store_;
  Report report_;
  std::string markdown_;
};

/// The narrow presets, as long as this run's trainings are.
FastRcnnPreset our_fast_rcnn(const LabOptions& options);
FasterRcnnPreset our_faster_rcnn(const LabOptions& options);
SppNetPreset our_spp_net(const LabOptions& options, bool five);

/// SVMs whose positives weigh 20 times C instead of the published 2: a class has some 200 truths
/// here (lesson 06 measures the difference). For as few images, they are fitted anew after half as
/// many hard negatives.
inline RegionClassifierOptions region_classifier_options() {
  return {.svm = {.positive_weight = 20}, .retrain_after = 1000};
}

/// ", name: value" of each setting, for what is kept on disk.
std::string preset_text(const PresetSettings& settings);

/// The published five sizes, for scenes of 128 px as for photos of 600.
ScalePyramid five_scales();

/// One figure of every seed.
std::vector<double> values_of(const std::vector<Result>& runs, const std::string& name);
/// Seconds are those of one training: of the first a quiet machine can be made sure.
inline constexpr const char* kSecondsHeader = "s of training, seed 0";
/// Rows of a table: a name, then mean and spread of each figure, and the first one's "seconds".
std::vector<std::string> row_of(const std::string& name, const std::vector<Result>& runs,
                                const std::vector<std::string>& figures);

/// One row of the table of all systems.
struct System {
  std::string name, text;
  std::string amount;        ///< steps x images
  std::vector<Result> runs;  ///< by seed: "ap50", "ap50_any", "seconds", "mb"
  Timed timed;               ///< detection, without proposals
  bool searches = false;     ///< takes selective search's proposals
  std::int64_t images = 0;   ///< that the network has seen in training, repeated ones counted
  std::string optimizer = "SGD";
};
System faster_rcnn_system(Lab& lab);
/// `images` of a step: 2 as for the systems with regions, or 4.
System ssd_system(Lab& lab, std::int64_t images);
System retinanet_system(Lab& lab, std::int64_t images);

// The groups.
void reproduce_systems(Lab& lab);      ///< all systems, from R-CNN to RetinaNet: time, size, AP
void reproduce_fast_rcnn(Lab& lab);    ///< what Fast R-CNN's decisions are worth
void reproduce_svd(Lab& lab);          ///< truncated SVD: time and AP
void reproduce_ohem(Lab& lab);         ///< hard examples against heuristics
void reproduce_proposals(Lab& lab);    ///< the RPN against selective search; Faster R-CNN
void reproduce_mobilenet(Lab& lab);    ///< width, resolution, separable convolutions
void reproduce_focal(Lab& lab);        ///< what keeps easy anchors from drowning the hard ones
void reproduce_single_shot(Lab& lab);  ///< mining, maps, zooms and ratios of SSD

}  // namespace boxgrad::reproduce
