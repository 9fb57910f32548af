#include "detection/training/photo_recipe.h"

#include "core/check.h"
#include "core/file_names.h"
#include "core/json_fields.h"
#include "core/parallel.h"
#include "core/stopwatch.h"
#include "detection/data/first_images.h"
#include "detection/models/face_trunk.h"
#include "detection/training/recipe_fields.h"
#include "detection/training/run_folder.h"
#include "detection/training/trained_detector.h"

namespace boxgrad::detection {

namespace {

/// Calls f with the recipe that is in there.
template <class F>
decltype(auto) with(PhotoRecipe& recipe, F f) {
  return std::visit(f, recipe.settings);
}
template <class F>
decltype(auto) with(const PhotoRecipe& recipe, F f) {
  return std::visit(f, recipe.settings);
}

/// The file of weights that a run, or a file itself, starts others from; empty for the face
/// detector's package.
std::filesystem::path own_weights(const std::filesystem::path& pretrained) {
  if (pretrained.empty()) return {};
  check(std::filesystem::exists(pretrained), "--pretrained: there is no ", pretrained);
  if (is_run_folder(pretrained)) return pretrained / kModelFile;
  return pretrained.extension() == ".safetensors" ? pretrained : std::filesystem::path();
}

Preparation prepare(const SsdRecipe& r, const Dataset& train) { return ssd_preparation(r, train); }
Preparation prepare(const RegionRecipe& r, const Dataset& train) {
  return region_preparation(r, train);
}
Preparation prepare(const DenseRecipe& r, const Dataset& train) {
  return dense_preparation(r, train);
}

DetectorSpec describe_with(const SsdRecipe& r, const Dataset& train, const Preparation& p) {
  return describe_ssd_mobilenet(r, train, p);
}
DetectorSpec describe_with(const RegionRecipe& r, const Dataset& train, const Preparation& p) {
  return describe_region_detector(r, train, p);
}
DetectorSpec describe_with(const DenseRecipe& r, const Dataset& train, const Preparation& p) {
  return describe_dense_detector(r, train, p);
}

/// A config may bring a detector that was measured on other photos. What the filters learned with
/// is what they must see.
void check_same_input(const DetectorSpec& spec, const DetectorSpec& learned,
                      const std::string& source) {
  const auto same = [&](bool equal, const char* what) {
    check(equal, "--pretrained: ", source, " was trained with another ", what,
          " than the config's \"detector\" has; take that out of the config, and it is measured "
          "anew");
  };
  same(learned.model == spec.model, "model");
  same(learned.mean == spec.mean && learned.std == spec.std, "mean or std of colours");
  same(learned.box_weights == spec.box_weights, "coder of boxes (box_weights)");
  same(learned.tensorflow_trunk == spec.tensorflow_trunk, "kind of trunk (tensorflow_trunk)");
}

/// settle() and the trunk's rate take all of the trunk for pretrained. Layers that the weights do not
/// have would stay nearly as they were drawn, behind batch norm that never looked at a picture.
void check_whole_trunk(const FilledWeights& filled, const std::filesystem::path& weights,
                       const DetectorSpec& spec) {
  for (const std::string& name : filled.missing)
    check(!name.starts_with("backbone."), "--pretrained: ", weights.string(),
          ": its trunk ends before ", spec.maps.back(), ", which the boxes in these photos need (",
          name, " is missing); start from the package of make faces, whose trunk is whole, from a ",
          "run on photos with boxes as large, or without --pretrained");
}

}  // namespace

PhotoRecipe PhotoRecipe::of(const std::string& model) {
  if (model == "ssd-mobilenet") return {.model = model, .settings = SsdRecipe()};
  if (model == "ssd-small") return {.model = model, .settings = DenseRecipe::ssd_small()};
  if (model == "retinanet") return {.model = model, .settings = DenseRecipe::retinanet()};
  if (model == "faster-rcnn") return {.model = model, .settings = RegionRecipe::faster_rcnn()};
  if (model == "fast-rcnn") return {.model = model, .settings = RegionRecipe::fast_rcnn()};
  throw std::invalid_argument(concat("there is no model \"", model, "\""));
}

std::int64_t& PhotoRecipe::iterations() {
  return with(*this, [](auto& r) -> std::int64_t& { return r.iterations; });
}
double& PhotoRecipe::minutes() {
  return with(*this, [](auto& r) -> double& { return r.minutes; });
}
std::uint64_t& PhotoRecipe::seed() {
  return with(*this, [](auto& r) -> std::uint64_t& { return r.seed; });
}
std::int64_t& PhotoRecipe::checkpoint_every() {
  return with(*this, [](auto& r) -> std::int64_t& { return r.checkpoint_every; });
}
std::int64_t PhotoRecipe::batch_size() const {
  return with(*this, [](const auto& r) { return r.batch_size; });
}
Transform PhotoRecipe::augmentation() const {
  return with(*this, [](const auto& r) { return r.augmentation(); });
}
bool PhotoRecipe::set_augmentation(Augmentation kind) {
  if (auto* ssd = std::get_if<SsdRecipe>(&settings)) return ssd->changes = kind, true;
  if (auto* dense = std::get_if<DenseRecipe>(&settings)) return dense->changes = kind, true;
  return false;
}
int PhotoRecipe::longer_px() const {
  return with(*this, [](const auto& r) { return r.longer_px; });
}

void recipe_fields(JsonFields& io, PhotoRecipe& recipe) {
  std::string pretrained = recipe.pretrained.string();
  io.text("pretrained", pretrained);
  recipe.pretrained = pretrained;
  with(recipe, [&](auto& r) { recipe_fields(io, r); });
}

DetectorSpec describe(const PhotoRecipe& recipe, const Dataset& train) {
  const std::filesystem::path weights = own_weights(recipe.pretrained);
  check(recipe.pretrained.empty() || !weights.empty() || recipe.model == "ssd-mobilenet",
        "--pretrained: ", recipe.pretrained, " must be a run's folder or a .safetensors file for ",
        recipe.model, "; the face detector's package fits ssd-mobilenet alone");
  if (!recipe.pretrained.empty() && weights.empty()) face_manifest(recipe.pretrained);  // throws
  PhotoRecipe told = recipe;
  if (auto* ssd = std::get_if<SsdRecipe>(&told.settings)) ssd->pretrained = recipe.pretrained;
  return with(told, [&](const auto& r) {
    Preparation preparation = prepare(r, train);
    if (weights.empty()) return describe_with(r, train, preparation);
    const DetectorSpec before = spec_of_weights(weights);
    check(before.model == recipe.model, weights.string(), ": holds a ", before.model, ", not a ",
          recipe.model);
    preparation.batch.mean = before.mean;
    preparation.batch.std = before.std;
    DetectorSpec spec = describe_with(r, train, preparation);
    spec.tensorflow_trunk = before.tensorflow_trunk;
    return spec;
  });
}

void settle(Detector& detector, const PhotoRecipe& recipe) {
  if (const auto* ssd = std::get_if<SsdRecipe>(&recipe.settings)) {
    SsdRecipe told = *ssd;
    told.pretrained = recipe.pretrained;
    settle_trunk(detector, told);
  }
}

std::string start(Detector& detector, const PhotoRecipe& recipe, const DetectorSpec& spec,
                  const Dataset& train) {
  std::string told;
  const std::filesystem::path weights = own_weights(recipe.pretrained);
  if (!weights.empty()) {
    check_same_input(spec, spec_of_weights(weights), weights.string());
    const FilledWeights filled = fill_from_weights(detector, weights);
    if (std::holds_alternative<SsdRecipe>(recipe.settings))
      check_whole_trunk(filled, weights, spec);
    told = filled.told;
  } else if (!recipe.pretrained.empty()) {
    DetectorSpec face = spec;
    face.mean = face.std = kFaceColors;
    face.tensorflow_trunk = true;
    check_same_input(spec, face, recipe.pretrained.string());
    fill_from_face_trunk(*detector.find("backbone"), recipe.pretrained);
    told = concat("the trunk of ", recipe.pretrained.string());
  }
  if (auto* fast = dynamic_cast<FastRcnn*>(&detector))
    fit_region_targets(*fast, train, preparation_of(spec));
  settle(detector, recipe);
  return told;
}

TrainingSummary train_on_photos(Detector& detector, const PhotoRecipe& recipe,
                                const DetectorSpec& spec, const Dataset& photos,
                                const Dataset* validation, std::int64_t looks,
                                const std::filesystem::path& out, bool resume,
                                const ValidationHook& on_validation, double seconds_spent) {
  const Preparation preparation = preparation_of(spec);
  if (const auto* region = std::get_if<RegionRecipe>(&recipe.settings))
    return train_region_detector(detector, *region, preparation, photos, validation, out, resume,
                                 on_validation, seconds_spent);
  if (const auto* dense = std::get_if<DenseRecipe>(&recipe.settings))
    return train_dense_detector(detector, *dense, preparation, photos, validation, looks, out,
                                resume, on_validation);
  SsdRecipe ssd = std::get<SsdRecipe>(recipe.settings);
  ssd.pretrained = recipe.pretrained;
  return train_ssd_mobilenet(detector, ssd, preparation, photos, validation, looks, out, resume,
                             on_validation);
}

ProposalMethod proposal_method(const DetectorSpec& spec) {
  RegionRecipe recipe = RegionRecipe::fast_rcnn();
  recipe.longer_px = spec.longer_px;
  return selective_search_method(region_search(recipe));
}

double seconds_of_proposals(const DetectorSpec& spec, const Dataset& dataset) {
  if (spec.model != "fast-rcnn" || dataset.size() == 0) return 0;
  const FirstImages some(dataset, std::max(8, 2 * num_threads()));  // something for each thread
  const Stopwatch watch;
  compute_proposals(some, proposal_method(spec));
  return watch.seconds() / static_cast<double>(some.size());
}

std::unique_ptr<WithProposals> with_proposals(const DetectorSpec& spec, const Dataset& dataset,
                                              const std::filesystem::path& cache,
                                              const std::string& name, double* seconds) {
  if (spec.model != "fast-rcnn") return nullptr;
  return std::make_unique<WithProposals>(
      dataset,
      cached_proposals(dataset, proposal_method(spec), cache, in_file_name(name), nullptr, seconds),
      kMostProposals);
}

}  // namespace boxgrad::detection
