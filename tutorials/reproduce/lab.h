#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/report.h"
#include "detection/models/fast_rcnn.h"
#include "detection/training/claims.h"
#include "detection/training/region_task.h"
#include "detection/training/result_store.h"

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
  RegionSelection selection = RegionSelection::sampled;
  Scalar negative_low = Scalar(0.1);
  OhemOptions ohem = {.size = 128};
  double rate = 0.01;

  std::string describe() const;
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

  /// Fast R-CNN by that recipe, each seed trained and measured once: "ap50", "ap50_any" (whatever
  /// the class), "seconds", "ms" an image in test, without proposals.
  std::vector<Result> fast_rcnn(const std::string& name, const FastRecipe& recipe);
  /// The network itself, trained again only if its weights are gone.
  std::shared_ptr<FastRcnn> trained_fast_rcnn(const std::string& name, const FastRecipe& recipe,
                                              std::uint64_t seed);
  /// A network with the starting weights, not trained.
  std::shared_ptr<FastRcnn> new_fast_rcnn(const FastRecipe& recipe, std::uint64_t seed);
  /// Trains by lesson 09's schedule; returns seconds.
  double train_detector(Detector& model, const Dataset& data, std::uint64_t seed,
                        std::int64_t steps, double rate, bool flips);
  /// "ap50", "ap50_any" and "ms" on the validation scenes.
  Result measure(Detector& model, const Dataset& val);

  // What is printed, and written to index.html and table.md at the end.
  void heading(const std::string& text);
  void paragraph(const std::string& text);
  void table(const std::vector<std::string>& header,
             const std::vector<std::vector<std::string>>& rows);
  void claims(const std::vector<Claim>& claims);
  void chart(const std::string& svg, const std::string& caption);
  void write();

 private:
  LabOptions options_;
  std::unique_ptr<RegionTask> task_;
  ResultStore store_;
  Report report_;
  std::string markdown_;
};

/// One figure of every seed.
std::vector<double> values_of(const std::vector<Result>& runs, const std::string& name);
/// Rows of a table: a name, then mean and spread of each figure.
std::vector<std::string> row_of(const std::string& name, const std::vector<Result>& runs,
                                const std::vector<std::string>& figures);

// The groups.
void reproduce_systems(Lab& lab);    ///< R-CNN, SPPnet and Fast R-CNN: time, size, AP
void reproduce_fast_rcnn(Lab& lab);  ///< what Fast R-CNN's decisions are worth
void reproduce_svd(Lab& lab);        ///< truncated SVD: time and AP
void reproduce_ohem(Lab& lab);       ///< hard examples against heuristics
void reproduce_proposals(Lab& lab);  ///< the RPN against selective search; Faster R-CNN

}  // namespace boxgrad::reproduce
