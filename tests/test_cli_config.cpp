// What a training's config.json says, and what one says of an earlier format:
// detection/training/recipe_fields.cpp, detection/training/run_folder.cpp.
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/files.h"
#include "detection/training/photo_recipe.h"
#include "detection/training/run_folder.h"
#include "tests/bright_boxes.h"
#include "tests/cli.h"
#include "tests/cli_run.h"

using namespace boxgrad;
using namespace boxgrad::detection;

TEST_CASE("a config without a length means five minutes", "[cli][cli_run]") {
  const CliFolder folder("length");
  const fs::path file = folder.path() / "config.json";
  const auto read = [&](const std::string& training) {
    write_file_atomically(file, concat(R"({"model": "retinanet")", training, "}"));
    PhotoRecipe recipe = read_user_config(file, "").recipe;
    return std::pair(recipe.minutes(), recipe.iterations());
  };
  const std::int64_t steps = PhotoRecipe::of("retinanet").iterations();
  CHECK(read("") == std::pair(5., steps));
  CHECK(read(R"(, "training": {"rate": 0.004})") == std::pair(5., steps));
  CHECK(read(R"(, "training": {"iterations": 70})") == std::pair<double, std::int64_t>(0, 70));
  CHECK(read(R"(, "training": {"minutes": 2.5})") == std::pair(2.5, steps));
  CHECK(read(R"(, "training": {"minutes": 0})") == std::pair(0., steps));
  // --epochs has the last word.
  write_photos(folder.path() / "photos", 8, true);
  write_file_atomically(file, R"({"model": "ssd-small", "training": {"longer_px": 64}})");
  const fs::path run = folder.path() / "run";
  succeeds({"train", "--config", file.string(), "--data", (folder.path() / "photos").string(),
            "--out", run.string(), "--epochs", "1"});
  const nlohmann::json training = json_of(run / kConfigFile)["training"];
  CHECK(training["minutes"] == 0);
  CHECK(training["iterations"] == 1);
}

TEST_CASE("the trunk's rate and the trunk's factor are two settings", "[cli][cli_run]") {
  const CliFolder folder("trunk_rate");
  const fs::path file = folder.path() / "config.json";
  const auto read = [&](const std::string& model, const std::string& key,
                        const std::string& format = "") {
    write_file_atomically(file, concat("{", format, R"("model": ")", model, R"(", "training": {")",
                                       key, R"(": 0.5}})"));
    return read_user_config(file, "").recipe;
  };
  CHECK(std::get<SsdRecipe>(read("ssd-mobilenet", "trunk_rate").settings).trunk_rate == 0.5);
  CHECK(std::get<DenseRecipe>(read("retinanet", "trunk_factor").settings).trunk_factor == 0.5);
  // A rate under a name that would be a factor, a factor for what has one rate: no setting.
  for (const auto& [model, key] :
       {std::pair("retinanet", "trunk_rate"), std::pair("ssd-small", "trunk_rate"),
        std::pair("ssd-small", "trunk_factor"), std::pair("ssd-mobilenet", "trunk_factor")}) {
    INFO(model);
    CHECK_THROWS_WITH(read(model, key), Catch::Contains(concat("there is no setting \"training.",
                                                               key, "\"; there are ")));
  }
  // Runs of format 1 called the factor a rate.
  const std::string first = R"("format": "boxgrad run 1", )";
  CHECK(std::get<DenseRecipe>(read("retinanet", "trunk_rate", first).settings).trunk_factor == 0.5);
  CHECK_NOTHROW(read("ssd-small", "trunk_rate", first));
  CHECK_THROWS_WITH(read("ssd-small", "rate", R"("format": "boxgrad run 4", )"),
                    Catch::Contains("\"format\" must be \"boxgrad run 3\""));
  // Such a run's config, whole.
  PhotoRecipe recipe = PhotoRecipe::of("retinanet");
  RunConfig config{.recipe = recipe, .data = "photos", .detector = describe(recipe, kSquares)};
  save_run_config(file, config);
  std::string text = read_text_file(file, 1 << 20);
  for (const auto& [now, before] :
       {std::pair<std::string, std::string>("boxgrad run 3", "boxgrad run 1"),
        std::pair<std::string, std::string>("\"trunk_factor\": 5.0", "\"trunk_rate\": 3.0")}) {
    REQUIRE(text.find(now) != std::string::npos);
    text.replace(text.find(now), now.size(), before);
  }
  write_file_atomically(file, text);
  CHECK(std::get<DenseRecipe>(load_run_config(file).recipe.settings).trunk_factor == 3);
}

TEST_CASE("photos without objects teach SSD unless the config says otherwise", "[cli][cli_run]") {
  const CliFolder folder("nothing_on_them");
  const fs::path photos = folder.path() / "photos", config = folder.path() / "config.json";
  write_photos(photos, 8, true);
  nlohmann::json settings = json_of(write_small_config(folder.path(), "ssd-small"));
  const auto weights = [&](const std::string& name, const nlohmann::json& min_negatives) {
    settings["training"].erase("min_negatives");
    if (!min_negatives.is_null()) settings["training"]["min_negatives"] = min_negatives;
    std::ofstream(config) << settings;
    const fs::path run = folder.path() / name;
    succeeds(
        {"train", "--config", config.string(), "--data", photos.string(), "--out", run.string()});
    CHECK(json_of(run / kConfigFile)["training"]["min_negatives"] ==
          (min_negatives.is_null() ? nlohmann::json(3) : min_negatives));
    return sha256_file(run / kModelFile);
  };
  // Objects on all of them: the same bits either way.
  CHECK(weights("objects", nullptr) == weights("objects_published", 0));
  std::ofstream(photos / "Annotations/photo2.xml")
      << "<annotation><filename>photo2.png</filename>"
         "<size><width>96</width><height>72</height></size></annotation>\n";
  const std::string published = weights("published", 0);
  CHECK(weights("some", nullptr) != published);
  // What was written before there was a choice is a run of then.
  settings["training"].erase("min_negatives");
  const auto read = [&](const nlohmann::json& format) {
    settings.erase("format");
    if (!format.is_null()) settings["format"] = format;
    std::ofstream(config) << settings;
    return std::get<DenseRecipe>(read_user_config(config, "").recipe.settings).min_negatives;
  };
  CHECK(read(nullptr) == 3);
  CHECK(read("boxgrad run 3") == 3);
  CHECK(read("boxgrad run 2") == 0);
  CHECK(read("boxgrad run 1") == 0);
  nlohmann::json before = json_of(folder.path() / "some" / kConfigFile);
  before["format"] = "boxgrad run 2";
  before["training"].erase("min_negatives");
  std::ofstream(config) << before;
  CHECK(std::get<DenseRecipe>(load_run_config(config).recipe.settings).min_negatives == 0);
  // RetinaNet's loss sees every negative.
  std::ofstream(config) << R"({"model": "retinanet", "training": {"min_negatives": 3}})";
  CHECK_THROWS_WITH(read_user_config(config, ""),
                    Catch::Contains("there is no setting \"training.min_negatives\""));
}
