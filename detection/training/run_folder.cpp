#include "detection/training/run_folder.h"

#include <system_error>

#include "core/check.h"
#include "core/files.h"
#include "core/json_fields.h"

namespace boxgrad::detection {

namespace {

constexpr std::uint64_t kMaxConfigBytes = 16 << 20;
constexpr const char* kRunFormat = "boxgrad run 3";
/// Knows no "min_negatives": photos without objects taught SSD nothing.
constexpr const char* kSecondFormat = "boxgrad run 2";
/// Differs from that in one key: DenseRecipe::trunk_factor was called "trunk_rate", as the rate of
/// ssd-mobilenet is, and ssd-small had it, too, without a meaning.
constexpr const char* kFirstFormat = "boxgrad run 1";

/// What an earlier format does not name has the value of then: its run is the same again.
void earlier_defaults(PhotoRecipe& recipe) {
  std::visit(
      [](auto& r) {
        if constexpr (requires { r.min_negatives; }) r.min_negatives = 0;
      },
      recipe.settings);
}

/// Configs of before there was a choice are those of runs, and name their format; what a person
/// writes means the cut of today.
void cut_field(JsonFields& io, bool of_a_run, PhotoCut& cut) {
  constexpr const char *kByName = "name", *kByPlace = "place";
  if (!io.has("cut")) {
    if (of_a_run) cut = PhotoCut::by_place;
    return;
  }
  std::string text = cut == PhotoCut::by_name ? kByName : kByPlace;
  io.text("cut", text);
  check(text == kByName || text == kByPlace, "\"data.cut\" must be ", kByName, " or ", kByPlace,
        ", got \"", text, "\"");
  cut = text == kByName ? PhotoCut::by_name : PhotoCut::by_place;
}

void first_format_fields(JsonFields& io, PhotoRecipe& recipe) {
  auto* dense = std::get_if<DenseRecipe>(&recipe.settings);
  if (dense != nullptr && io.has("trunk_rate"))
    io.number("trunk_rate", dense->trunk_factor, 1e-9, 1e3);
}

/// `recipe` and `detector` are made when the file says of which model they are.
void config_fields(JsonFields& io, RunConfig& config) {
  std::string format = kRunFormat, model = config.recipe.model;
  const bool of_a_run = io.has("format");
  io.text("format", format);
  check(format == kRunFormat || format == kSecondFormat || format == kFirstFormat,
        "\"format\" must be \"", kRunFormat, "\", got \"", format, "\"");
  io.text("model", model);
  check(!model.empty(), "\"model\" is missing");
  check(config.recipe.model.empty() || config.recipe.model == model, "is for a ", model,
        ", not for a ", config.recipe.model);
  if (config.recipe.model.empty()) config.recipe = PhotoRecipe::of(model);
  if (format != kRunFormat) earlier_defaults(config.recipe);
  io.object("data", [&](JsonFields& inner) {
    inner.text("folder", config.data);
    inner.text("train", config.train_split);
    inner.text("val", config.val_split);
    cut_field(inner, of_a_run, config.cut);
    // Runs of before it was written down go on without.
    if (inner.has("train_hash")) inner.text("train_hash", config.learned_hash);
  });
  bool has_length = false;
  io.object("training", [&](JsonFields& inner) {
    has_length = inner.has("iterations") || inner.has("minutes");
    recipe_fields(inner, config.recipe);
    if (format == kFirstFormat) first_format_fields(inner, config.recipe);
  });
  if (!has_length) config.recipe.minutes() = kDefaultMinutes;
  if (io.reading() && !io.has("detector")) return;
  if (!config.detector) config.detector.emplace();
  io.object("detector", [&](JsonFields& inner) { spec_fields(inner, *config.detector); });
  check(config.detector->model == model, "\"detector.model\" must be \"", model, "\", got \"",
        config.detector->model, "\"");
}

/// Messages of checks inside get the file's name in front.
template <class Read>
RunConfig named(const std::filesystem::path& file, RunConfig config, Read read) {
  const std::string text = read_text_file(file, kMaxConfigBytes), name = file.string();
  try {
    read(text, name, [&](JsonFields& io) { config_fields(io, config); });
  } catch (const std::invalid_argument& error) {
    const std::string message = error.what();
    throw std::invalid_argument(message.starts_with(name) ? message : name + ": " + message);
  }
  return config;
}

}  // namespace

void save_run_config(const std::filesystem::path& file, const RunConfig& config) {
  RunConfig copy = config;
  check(copy.detector.has_value(), "save_run_config: the detector must be known");
  write_file_atomically(file, write_json([&](JsonFields& io) { config_fields(io, copy); }));
}

RunConfig load_run_config(const std::filesystem::path& file) {
  RunConfig config = named(file, {}, read_json);
  check(config.detector.has_value(), file.string(), ": \"detector\" is missing");
  return config;
}

RunConfig read_user_config(const std::filesystem::path& file, const std::string& model) {
  RunConfig config;
  if (!model.empty()) config.recipe = PhotoRecipe::of(model);
  return named(file, config, read_partial_json);
}

bool is_run_folder(const std::filesystem::path& folder) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(folder / kConfigFile, ignored);
}

TrainedDetector load_run(const std::filesystem::path& run, bool best) {
  check(std::filesystem::exists(run), "there is no ", run);
  if (!std::filesystem::is_directory(run)) return load_trained(run);
  check(is_run_folder(run), run.string(), ": is no run's folder: it has no ", kConfigFile);
  const std::filesystem::path weights = run / (best ? kBestFile : kModelFile);
  check(std::filesystem::exists(weights), run.string(), ": has no ", weights.filename().string(),
        best ? "; training looks at no validation photos when there are none"
             : "; its training has not ended (boxgrad train --resume goes on)");
  const RunConfig config = load_run_config(run / kConfigFile);
  TrainedDetector trained = load_trained(weights);
  check(spec_to_json(*config.detector) == spec_to_json(trained.spec), weights.string(),
        ": is of another detector than \"detector\" in ", kConfigFile,
        " says; one of the two files was changed or exchanged");
  return trained;
}

}  // namespace boxgrad::detection
