#include "detection/training/photo_recipe.h"

#include <limits>

#include "core/check.h"
#include "core/json_fields.h"
#include "detection/models/face_trunk.h"
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

template <class Recipe>
void common_fields(JsonFields& io, Recipe& r) {
  io.integer("longer_px", r.longer_px, 32, 8192);
  io.boolean("vertical_flips", r.vertical_flips);
  io.integer("anchor_sides", r.anchor_sides, 2, 64);
  io.number("nms_iou", r.nms_iou, 0, 1);
  io.integer("iterations", r.iterations, 1, std::int64_t{1} << 40);
  io.number("minutes", r.minutes, 0, 1e6);
  io.integer("batch_size", r.batch_size, 1, 4096);
  io.number("rate", r.rate, 1e-9, 10);
  io.number("weight_decay", r.weight_decay, 0, 10);
  io.number("average_decay", r.average_decay, 0, 1);
  io.integer("seed", r.seed, 0, std::numeric_limits<std::int64_t>::max());
  // Runs from before these two existed have the default of then, which is that of now.
  if (io.has("checkpoint_every"))
    io.integer("checkpoint_every", r.checkpoint_every, 0, std::int64_t{1} << 40);
  if (io.has("checkpoint_seconds")) io.number("checkpoint_seconds", r.checkpoint_seconds, 0, 1e9);
}

template <class Recipe>
void picture_fields(JsonFields& io, Recipe& r) {
  io.number("crop_chance", r.crop_chance, 0, 1);
  io.number("brightness", r.brightness, 0, 1);
  io.number("contrast", r.contrast, 0, 1);
  io.number("trunk_rate", r.trunk_rate, 1e-9, 1e3);
}

void own_fields(JsonFields& io, SsdRecipe& r) {
  common_fields(io, r);
  picture_fields(io, r);
  bool frozen = r.trunk == Trunk::frozen;
  io.boolean("frozen_trunk", frozen);
  r.trunk = frozen ? Trunk::frozen : Trunk::tuned;
}

void own_fields(JsonFields& io, RegionRecipe& r) {
  common_fields(io, r);
  io.integer("channels", r.channels, 1, 4096);
  io.integer("blocks", r.blocks, 1, 256);
  io.integer("pool", r.pool, 1, 64);
  io.integer("hidden", r.hidden, 1, 1 << 16);
  io.integer("proposals", r.proposals, 1, 1 << 16);
  io.integer("regions", r.regions, 1, 1 << 16);
}

void own_fields(JsonFields& io, DenseRecipe& r) {
  common_fields(io, r);
  picture_fields(io, r);
  if (!r.focal) return;
  io.integer("channels", r.channels, 1, 1 << 16);
  io.integer("tower_depth", r.tower_depth, 0, 64);
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
std::int64_t PhotoRecipe::validation_batch() const {
  const auto* region = std::get_if<RegionRecipe>(&settings);
  return region != nullptr ? region->validation_batch() : TrainerOptions().validation_batch;
}
Transform PhotoRecipe::augmentation() const {
  return with(*this, [](const auto& r) { return r.augmentation(); });
}
int PhotoRecipe::longer_px() const {
  return with(*this, [](const auto& r) { return r.longer_px; });
}

void recipe_fields(JsonFields& io, PhotoRecipe& recipe) {
  std::string pretrained = recipe.pretrained.string();
  io.text("pretrained", pretrained);
  recipe.pretrained = pretrained;
  with(recipe, [&](auto& r) { own_fields(io, r); });
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
    told = fill_from_weights(detector, weights);
  } else if (!recipe.pretrained.empty()) {
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
                                const ValidationHook& on_validation) {
  const Preparation preparation = preparation_of(spec);
  if (const auto* region = std::get_if<RegionRecipe>(&recipe.settings))
    return train_region_detector(detector, *region, preparation, photos, validation, out, resume,
                                 on_validation);
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

std::unique_ptr<WithProposals> with_proposals(const DetectorSpec& spec, const Dataset& dataset,
                                              const std::filesystem::path& cache,
                                              const std::string& name) {
  if (spec.model != "fast-rcnn") return nullptr;
  return std::make_unique<WithProposals>(
      dataset, cached_proposals(dataset, proposal_method(spec), cache, name), kMostProposals);
}

}  // namespace boxgrad::detection
