#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "detection/models/detector_spec.h"
#include "detection/proposals/proposal_cache.h"
#include "detection/proposals/with_proposals.h"
#include "detection/training/dense_recipe.h"
#include "detection/training/region_recipe.h"
#include "detection/training/ssd_recipe.h"
#include "detection/training/trainer.h"

namespace boxgrad::detection {

/// The recipe of one of the command's five models: what it is described, started and trained by.
/// The steps in order:
///
///   PhotoRecipe recipe = PhotoRecipe::of("ssd-small");
///   const DetectorSpec spec = describe(recipe, photos);      // measures
///   const auto detector = make_detector(spec);
///   start(*detector, recipe, spec, photos);                  // pretrained weights, target sizes
///   train_on_photos(*detector, recipe, spec, photos, ...);
struct PhotoRecipe {
  std::string model = {};
  std::variant<SsdRecipe, RegionRecipe, DenseRecipe> settings = {};
  /// Weights to start from: the face detector's package (ssd-mobilenet alone), a run's folder or a
  /// file of weights. Empty: random ones.
  std::filesystem::path pretrained = {};

  /// With the defaults of a model. Throws std::invalid_argument when there is none of that name.
  static PhotoRecipe of(const std::string& model);

  /// What all recipes have.
  std::int64_t& iterations();
  double& minutes();
  std::uint64_t& seed();
  std::int64_t& checkpoint_every();
  std::int64_t batch_size() const;
  int longer_px() const;
  /// What is done to the photos in training.
  Transform augmentation() const;
  /// Another kind of it; false for a model that has one alone, the two-stage ones.
  bool set_augmentation(Augmentation kind);
};

/// All settings of a recipe as JSON; keys as the fields are called.
void recipe_fields(JsonFields& io, PhotoRecipe& recipe);

/// The network that fits the photos. Takes colours and the kind of trunk from what it starts from.
/// Throws std::invalid_argument for settings out of range, for a trunk that is to be frozen and
/// starts from random weights, and for photos without boxes.
DetectorSpec describe(const PhotoRecipe& recipe, const Dataset& train);

/// Fills what does not start from random weights, and freezes what the recipe wants frozen.
/// `train` has proposals where the model needs them. Returns a line for people that says what was
/// taken; "" for random weights.
/// Throws std::invalid_argument when the weights are of another model, when nothing of them fits,
/// and for a run of ssd-mobilenet whose trunk ends before the last map that these photos need: the
/// recipe freezes and slows a pretrained trunk as a whole, which random layers would not survive.
std::string start(Detector& detector, const PhotoRecipe& recipe, const DetectorSpec& spec,
                  const Dataset& train);

/// Freezes what start() freezes, for a training that goes on.
void settle(Detector& detector, const PhotoRecipe& recipe);

/// Trains it; see train_ssd_mobilenet(). seconds_spent: what making proposals took, see
/// TrainerOptions; 0 for the models that need none.
TrainingSummary train_on_photos(Detector& detector, const PhotoRecipe& recipe,
                                const DetectorSpec& spec, const Dataset& train,
                                const Dataset* validation, std::int64_t looks,
                                const std::filesystem::path& out, bool resume,
                                const ValidationHook& on_validation = {}, double seconds_spent = 0);

/// Of selective search, for each photo.
inline constexpr std::int64_t kMostProposals = 2000;

/// How a Fast R-CNN of such a spec gets its proposals.
ProposalMethod proposal_method(const DetectorSpec& spec);
/// Seconds that making them takes for a photo, as the first few tell; 0 for other models.
double seconds_of_proposals(const DetectorSpec& spec, const Dataset& dataset);
/// `dataset` with proposals where the model needs them from outside, else null. They are kept in
/// <cache>/<name>.safetensors, blanks and the like as '_'. The dataset must outlive the result.
/// `seconds`, if given, becomes what making them took, also when that was at another time and the
/// file has them.
std::unique_ptr<WithProposals> with_proposals(const DetectorSpec& spec, const Dataset& dataset,
                                              const std::filesystem::path& cache,
                                              const std::string& name, double* seconds = nullptr);

}  // namespace boxgrad::detection
