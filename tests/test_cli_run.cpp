// A run from its photos to its end: detection/cli/train.cpp, detection/cli/eval.cpp,
// detection/cli/detect.cpp, detection/cli/compress.cpp, detection/cli/photos_for.cpp,
// detection/cli/figures.cpp, detection/training/run_folder.cpp,
// detection/training/memory_estimate.cpp.
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/autograd.h"
#include "core/files.h"
#include "core/image.h"
#include "detection/models/detector_spec.h"
#include "detection/training/memory_estimate.h"
#include "detection/training/run_folder.h"
#include "tests/bright_boxes.h"
#include "tests/catch.h"
#include "tests/cli.h"
#include "tests/cli_run.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

/// Batch norms that run as ops of their own on this thread.
struct BatchNormsSeen : OpObserver {
  int count = 0;
  void after_forward(const Op& op) override {
    count += std::string(op.name).find("batch_norm") != std::string::npos;
  }
};

}  // namespace

TEST_CASE("train, eval, detect, compress, info: every model on a small folder", "[cli][cli_run]") {
  const CliFolder folder("run");
  const fs::path photos = folder.path() / "photos";
  write_photos(photos, 12, true);
  for (const std::string& model : detector_models()) {
    INFO(model);
    const fs::path run = folder.path() / model;
    const CliOutcome trained =
        succeeds({"train", "--config", write_small_config(folder.path(), model).string(), "--data",
                  photos.string(), "--out", run.string(), "--seed", "3"});
    CHECK_THAT(trained.out,
               Catch::Contains("train: 6 images, 12 boxes of 2 classes: green 6, red 6") &&
                   Catch::Contains("memory: about ") && Catch::Contains("4 steps of 2 photos") &&
                   Catch::Contains("on val: AP "));
    for (const char* file :
         {"config.json", "model.safetensors", "best.safetensors", "log.csv", "log.jsonl",
          "metrics.json", "index.html", "images/photos.png", "images/augmented.png",
          "checkpoint-4.json", "checkpoint-4.safetensors"})
      CHECK(fs::exists(run / file));
    CHECK(json_of(run / "config.json")["training"]["seed"] == 3);

    const CliOutcome measured = succeeds({"eval", run.string(), "--data", photos.string()});
    CHECK_THAT(measured.out, Catch::Contains("test: 3 images") && Catch::Contains("class") &&
                                 Catch::Contains("\nAP50 ") && Catch::Contains("\nARl n/a"));
    const nlohmann::json metrics = json_of(run / "eval_test/metrics.json");
    CHECK(metrics["AP50"] == metrics["AP50"].get<double>());
    CHECK(metrics["classes"]["red"].contains("AP"));
    CHECK(metrics["split"] == "test");
    CHECK(metrics["photos"] == 3);
    CHECK(metrics.at("ARl").is_null());  // printed as n/a
    // A run's own figures by the same names, on the photos that it was followed on.
    const nlohmann::json own = json_of(run / "metrics.json");
    for (const auto& [key, value] : metrics.items()) CHECK(own.contains(key));
    CHECK(own["split"] == "val");
    CHECK(own["iterations"] == 4);
    CHECK(own["images"] == 8);
    // What a photo takes includes what comes before the network.
    const bool outside = model == "fast-rcnn";
    CHECK(metrics.contains("ms_proposals") == outside);
    CHECK((measured.out.find(" of them for its proposals") != std::string::npos) == outside);
    if (outside) {
      CHECK(metrics["ms_proposals"] > 0);
      CHECK(metrics["ms_per_photo"] > metrics["ms_proposals"]);
      // From a file that was made before, too.
      succeeds({"eval", run.string(), "--data", photos.string()});
      const nlohmann::json again = json_of(run / "eval_test/metrics.json");
      CHECK(again.at("ms_proposals").get<double>() ==
            Approx(metrics.at("ms_proposals").get<double>()).epsilon(1e-3));
    }

    const std::string photo = (photos / "JPEGImages/photo1.png").string();
    CliOutcome found;
    {
      const BatchNormsSeen seen;
      found = succeeds({"detect", run.string(), photo, "--json", "--min-score", "0", "--draw",
                        (folder.path() / "drawn").string()});
      succeeds({"eval", run.string(), "--data", photos.string(), "--explain", "--out",
                (folder.path() / "explained").string()});
      CHECK(seen.count == 0);  // folded into the filters
    }
    TrainedDetector plain = load_run(run);
    const Detections expected = detect_in_photo(plain, Image::read(photo), photo);
    const nlohmann::json line = nlohmann::json::parse(found.out);
    REQUIRE(line["detections"].empty() == expected.scores.empty());
    if (!expected.scores.empty())
      CHECK(line["detections"][0]["score"].get<double>() ==
            Approx(static_cast<double>(expected.scores[0])).epsilon(1e-3));
    CHECK_THAT(read_text_file(run / "eval_test/index.html", 1 << 24),
               Catch::Contains(std::to_string(plain.detector->parameter_count())));
    CHECK(line["image"] == photo);
    CHECK(line["width"] == 96);
    for (const nlohmann::json& object : line["detections"])
      CHECK((object["label"] == "red" || object["label"] == "green"));
    CHECK(Image::read(folder.path() / "drawn/photo1.png").width() == 96);

    CHECK_THAT(succeeds({"info", run.string()}).out,
               Catch::Contains("  " + model + " for 2 classes: green red") &&
                   Catch::Contains("checkpoint after 4 of 4 steps"));
    if (model.find("rcnn") == std::string::npos) {
      fails({"compress", run.string()}, "no fully connected layers");
      continue;
    }
    succeeds({"compress", run.string(), "--energy", "0.5"});
    const fs::path thin = run.string() + "_compressed";
    CHECK(fs::file_size(thin / kModelFile) < fs::file_size(run / kModelFile));
    CHECK_FALSE(json_of(thin / "config.json")["detector"]["compressed"].empty());
    succeeds({"eval", thin.string(), "--data", photos.string(), "--style", "voc"});
    CHECK_THAT(succeeds({"info", (thin / kModelFile).string()}).out, Catch::Contains("of rank "));
    fails({"compress", run.string()}, "holds a run already");
    fails({"train", "--resume", thin.string()}, "a trained detector and no checkpoint");
  }
}

TEST_CASE("the same config and seed give the same run; its config is usable again",
          "[cli][cli_run]") {
  const CliFolder folder("again");
  const fs::path photos = folder.path() / "photos";
  write_photos(photos, 8, false);
  const fs::path first = folder.path() / "first", second = folder.path() / "second";
  const CliOutcome trained =
      succeeds({"train", "--config", write_small_config(folder.path(), "ssd-small").string(),
                "--data", photos.string(), "--out", first.string()});
  CHECK_THAT(trained.out, Catch::Contains("has no lists of its own: a share of 0.2") &&
                              Catch::Contains("train: 6 images") &&
                              Catch::Contains("val: 2 images"));
  succeeds({"train", "--config", (first / kConfigFile).string(), "--out", second.string()});
  CHECK(sha256_file(first / kModelFile) == sha256_file(second / kModelFile));
  CHECK(read_text_file(first / kConfigFile, 1 << 20) ==
        read_text_file(second / kConfigFile, 1 << 20));
  CHECK_THAT(succeeds({"eval", first.string(), "--data", photos.string(), "--best"}).out,
             Catch::Contains("val: 2 images"));
  // Three steps teach nothing: the errors and result files of an AP near 0.
  const CliOutcome explained =
      succeeds({"eval", first.string(), "--data", photos.string(), "--explain", "--results"});
  CHECK_THAT(explained.out, Catch::Contains("localisation, mended") &&
                                Catch::Contains("no missed object") &&
                                Catch::Contains("background        missed        unseen"));
  const nlohmann::json why = json_of(first / "eval_val/explain.json");
  CHECK(why["causes"].size() == 5);
  CHECK(why["misses"].get<int>() >= why["unseen"].get<int>());
  CHECK(fs::exists(first / "eval_val/results/comp4_det_val_red.txt"));
  for (const nlohmann::json& found : json_of(first / "eval_val/results/coco_results.json")) {
    CHECK((found["category_id"] == "red" || found["category_id"] == "green"));
    CHECK(found["bbox"].size() == 4);
  }
  // Which weights a figure is of, and neither in the place of the other.
  CHECK(json_of(first / "eval_val_best/metrics.json")["weights"] == kBestFile);
  CHECK(json_of(first / "eval_val/metrics.json")["weights"] == kModelFile);
  CHECK(json_of(first / "metrics.json")["weights"] == kModelFile);
  succeeds({"eval", (first / kBestFile).string(), "--data", photos.string(), "--best"});
  CHECK(json_of(first / "eval_val/metrics.json")["weights"] == kBestFile);
  // And nothing of the figures before stands beside them.
  CHECK_FALSE(fs::exists(first / "eval_val/explain.json"));
  CHECK_FALSE(fs::exists(first / "eval_val/results"));
  CHECK(fs::exists(first / "eval_val/index.html"));
  // Pretrained: by a run's folder, and on photos with other classes.
  succeeds({"train", "--config", write_small_config(folder.path(), "ssd-small").string(), "--data",
            photos.string(), "--out", (folder.path() / "third").string(), "--pretrained",
            first.string(), "--epochs", "1"});
  CHECK(json_of(folder.path() / "third" / kConfigFile)["training"]["iterations"] == 3);
  // A config may bring a detector for photos of other colours.
  nlohmann::json other = json_of(first / kConfigFile);
  other["detector"]["preparation"]["mean"][0] =
      other["detector"]["preparation"]["mean"][0].get<double>() / 2;
  std::ofstream(folder.path() / "other.json") << other;
  fails({"train", "--config", (folder.path() / "other.json").string(), "--out",
         (folder.path() / "fourth").string(), "--pretrained", first.string()},
        "was trained with another mean or std of colours than the config's \"detector\" has");
  CHECK_FALSE(fs::exists(folder.path() / "fourth"));

  // SSD's augmentation instead of the recipe's.
  const fs::path wild = folder.path() / "wild";
  succeeds({"train", "--config", write_small_config(folder.path(), "ssd-small").string(), "--data",
            photos.string(), "--out", wild.string(), "--augmentation", "ssd"});
  nlohmann::json config = json_of(wild / kConfigFile);
  CHECK(config["training"]["augmentation"] == "ssd");
  CHECK(json_of(first / kConfigFile)["training"]["augmentation"] == "photos");
  CHECK(sha256_file(wild / kModelFile) != sha256_file(first / kModelFile));
  CHECK(sha256_file(wild / "images/augmented.png") != sha256_file(first / "images/augmented.png"));
  // A run from before there was a choice.
  config["training"].erase("augmentation");
  std::ofstream(wild / kConfigFile) << config;
  succeeds({"eval", wild.string(), "--data", photos.string()});
  fails({"train", "--resume", wild.string(), "--augmentation", "photos"},
        "--augmentation cannot be changed");
}

TEST_CASE("what a user may get wrong is said in words, with status 1", "[cli][cli_run][errors]") {
  const CliFolder folder("errors");
  const fs::path photos = folder.path() / "photos", run = folder.path() / "run";
  write_photos(photos, 8, true);
  const std::string config = write_small_config(folder.path(), "faster-rcnn").string();
  fails({"train"}, "--model: name one of ssd-mobilenet, ");
  fails({"train", "--model", "yolo"}, "yolo");
  fails({"train", "--model", "ssd-small"}, "--data: name the folder");
  fails({"train", "--model", "ssd-small", "--data", "/nowhere"}, "there is no \"/nowhere\"");
  fails({"train", "--model", "retinanet", "--config", config},
        "is for a faster-rcnn, not for a retinanet");
  fails({"train", "--config", config, "--data", photos.string(), "--minutes", "1", "--epochs", "1"},
        "exclude each other");
  fails({"train", "--config", config, "--data", photos.string(), "--augmentation", "ssd"},
        "--augmentation: faster-rcnn has one way to change photos");
  fails({"train", "--model", "ssd-small", "--augmentation", "wild"}, "photos or ssd");
  std::ofstream(folder.path() / "wild.json")
      << R"({"model": "ssd-small", "training": {"augmentation": "wild"}})";
  fails({"train", "--config", (folder.path() / "wild.json").string()},
        "wild.json: \"augmentation\" must be photos or ssd, got \"wild\"");
  std::ofstream(folder.path() / "typo.json")
      << R"({"model": "ssd-small", "training": {"learning_rate": 1}})";
  fails({"train", "--config", (folder.path() / "typo.json").string()},
        "typo.json: there is no setting \"training.learning_rate\"; there are ");
  std::ofstream(folder.path() / "frozen.json")
      << R"({"model": "ssd-mobilenet", "training": {"longer_px": 64, "frozen_trunk": true}})";
  fails({"train", "--config", (folder.path() / "frozen.json").string(), "--data", photos.string(),
         "--out", run.string()},
        "a frozen trunk must be a pretrained one");
  // Time that proposals would use up, said before anything is written.
  std::ofstream(folder.path() / "hasty.json")
      << R"({"model": "fast-rcnn", "training": {"minutes": 1e-5, "longer_px": 64}})";
  fails({"train", "--config", (folder.path() / "hasty.json").string(), "--data", photos.string(),
         "--out", run.string()},
        "which is more than half of --minutes 1e-05; with --minutes ");
  std::ofstream(folder.path() / "empty.json") << "{}";
  fails({"train", "--config", (folder.path() / "empty.json").string()}, "\"model\" is missing");
  CHECK_FALSE(fs::exists(run));

  succeeds({"train", "--config", config, "--data", photos.string(), "--out", run.string()});
  fails({"eval"}, "name the run's folder");
  fails({"eval", photos.string(), "--data", photos.string()}, "is no run's folder");
  fails({"eval", run.string(), "--data", photos.string(), "--split", "nosuch"}, "nosuch");
  const fs::path others = folder.path() / "others";
  fs::copy(photos, others, fs::copy_options::recursive);
  for (const auto& entry : fs::directory_iterator(others / "Annotations")) {
    std::string text = read_text_file(entry.path(), 1 << 16);
    for (const char* name : {"red", "green"})
      if (const auto place = text.find(name); place != std::string::npos) text[place] -= 32;
    std::ofstream(entry.path()) << text;
  }
  fails({"eval", run.string(), "--data", others.string()},
        "no object is of a class that the network knows (green, red)");
  const std::string photo = (photos / "JPEGImages/photo1.png").string();
  fails({"detect", run.string()}, "name the photos");
  // The others are looked at all the same.
  const CliOutcome partly = boxgrad_command({"detect", run.string(), "/nowhere.jpg", photo});
  CHECK(partly.status == 1);
  CHECK_THAT(partly.err, Catch::Contains("nowhere.jpg") && Catch::Contains("1 of 2 photos failed"));
  CHECK_THAT(partly.out, Catch::Contains("photo1.png: "));
  // Drawn copies do not take the place of photos, however the folder and the photo are named.
  const std::string before = sha256_file(photo);
  const fs::path links = folder.path() / "links";
  fs::create_directories(links);
  fs::create_symlink(photo, links / "other.png");
  for (const auto& [given, draw] :
       {std::pair<std::string, fs::path>(photo, photos / "JPEGImages"),
        std::pair<std::string, fs::path>(photo, photos / "Annotations/../JPEGImages/"),
        std::pair<std::string, fs::path>((links / "other.png").string(), photos / "JPEGImages")})
    fails({"detect", run.string(), given, "--draw", draw.string()}, "is the folder of");
  CHECK(sha256_file(photo) == before);
  fails({"compress", run.string(), "--energy", "0"}, "--energy");
  fails({"compress", run.string(), "--energy", "1"}, "no layer becomes smaller");
  fails({"compress", run.string(), "--layers", "nothing"}, "no Linear's path matches");

  // Weights and config must speak of the same detector.
  nlohmann::json changed = json_of(run / kConfigFile);
  changed["detector"]["classes"] = {"green", "blue"};
  std::ofstream(run / kConfigFile) << changed;
  fails({"detect", run.string(), photo}, "is of another detector than");
  changed["detector"].erase("classes");
  std::ofstream(run / kConfigFile) << changed;
  fails({"detect", run.string(), photo}, "config.json: \"detector.classes\" is missing");
  fs::remove(run / kModelFile);
  fails({"detect", run.string(), photo}, "has no model.safetensors; its training has not ended");
}

TEST_CASE("the memory of a training is measured before it", "[cli][memory_estimate]") {
  PhotoRecipe recipe = PhotoRecipe::of("ssd-small");
  std::get<DenseRecipe>(recipe.settings).longer_px = 64;
  const DetectorSpec spec = describe(recipe, kSquares);
  const Random before = default_random();
  const MemoryEstimate small = estimate_memory(spec, kSquares, 2, 0);
  CHECK(default_random().counter() == before.counter());
  const MemoryEstimate large = estimate_memory(spec, kSquares, 16, 32);
  CHECK(small.step > 0);
  CHECK(small.look == 0);
  CHECK(large.step > 2 * small.step);
  CHECK(large.look > 0);
  CHECK(small.weights == large.weights);
  CHECK_THAT(large.text(), Catch::StartsWith("about ") && Catch::Contains(" for a look at "));
}
