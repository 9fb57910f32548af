// A run from its photos to its end: detection/cli/train.cpp, detection/cli/eval.cpp,
// detection/cli/detect.cpp, detection/cli/compress.cpp, detection/cli/photos_for.cpp,
// detection/cli/figures.cpp, detection/training/run_folder.cpp,
// detection/training/memory_estimate.cpp.
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/autograd.h"
#include "core/files.h"
#include "core/image.h"
#include "detection/coco_evaluation.h"
#include "detection/data/open_photos.h"
#include "detection/data/transforms.h"
#include "detection/models/detector_spec.h"
#include "detection/training/evaluate.h"
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

/// The same photos with the same lists, annotated like COCO.
void write_coco_copy(const fs::path& voc, const fs::path& coco, bool areas = false) {
  fs::create_directories(coco);
  fs::copy(voc / "JPEGImages", coco / "images");
  for (const std::string split : {"train", "val", "test"}) {
    const auto photos = open_photos(voc, {.split = split});
    nlohmann::json json = {
        {"images", nlohmann::json::array()},
        {"annotations", nlohmann::json::array()},
        {"categories", {{{"id", 7}, {"name", "green"}}, {{"id", 3}, {"name", "red"}}}}};
    for (const PhotoEntry& entry : photos->entries()) {
      const int id = 10 + 5 * static_cast<int>(json["images"].size());  // with gaps
      json["images"].push_back({{"id", id},
                                {"file_name", entry.image.filename().string()},
                                {"width", entry.width},
                                {"height", entry.height}});
      for (const PhotoEntry::Object& o : entry.objects) {
        json["annotations"].push_back({{"id", 1 + json["annotations"].size()},
                                       {"image_id", id},
                                       {"category_id", o.label == 1 ? 7 : 3},
                                       {"bbox", {o.x1, o.y1, o.x2 - o.x1, o.y2 - o.y1}}});
        if (areas) json["annotations"].back()["area"] = (o.x2 - o.x1) * (o.y2 - o.y1);
      }
    }
    std::ofstream(coco / concat("instances_", split, ".json")) << json;
  }
}

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
  // Pretrained: by a run's folder, and on photos with other classes.
  succeeds({"train", "--config", write_small_config(folder.path(), "ssd-small").string(), "--data",
            photos.string(), "--out", (folder.path() / "third").string(), "--pretrained",
            first.string(), "--epochs", "1"});
  CHECK(json_of(folder.path() / "third" / kConfigFile)["training"]["iterations"] == 3);

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
  CHECK_THROWS_WITH(read("ssd-small", "rate", R"("format": "boxgrad run 3", )"),
                    Catch::Contains("\"format\" must be \"boxgrad run 2\""));
  // Such a run's config, whole.
  PhotoRecipe recipe = PhotoRecipe::of("retinanet");
  RunConfig config{.recipe = recipe, .data = "photos", .detector = describe(recipe, kSquares)};
  save_run_config(file, config);
  std::string text = read_text_file(file, 1 << 20);
  for (const auto& [now, before] :
       {std::pair<std::string, std::string>("boxgrad run 2", "boxgrad run 1"),
        std::pair<std::string, std::string>("\"trunk_factor\": 5.0", "\"trunk_rate\": 3.0")}) {
    REQUIRE(text.find(now) != std::string::npos);
    text.replace(text.find(now), now.size(), before);
  }
  write_file_atomically(file, text);
  CHECK(std::get<DenseRecipe>(load_run_config(file).recipe.settings).trunk_factor == 3);
}

TEST_CASE("photos annotated like COCO give the same run as like VOC", "[cli][cli_run]") {
  const CliFolder folder("coco");
  write_photos(folder.path() / "voc", 12, true);
  write_coco_copy(folder.path() / "voc", folder.path() / "coco");
  const fs::path config = write_small_config(folder.path(), "ssd-mobilenet");
  for (const char* kind : {"voc", "coco"}) {
    const std::string data = (folder.path() / kind).string(), run = data + "_run";
    succeeds({"train", "--config", config.string(), "--data", data, "--out", run});
    succeeds({"eval", run, "--data", data});
  }
  CHECK(sha256_file(folder.path() / "voc_run" / kModelFile) ==
        sha256_file(folder.path() / "coco_run" / kModelFile));
  const auto figures = [&](const char* run) {
    nlohmann::json json = json_of(folder.path() / run / "eval_test/metrics.json");
    for (const char* key : {"run", "data", "ms_per_photo"}) json.erase(key);
    return json;
  };
  CHECK(figures("voc_run") == figures("coco_run"));
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

TEST_CASE("the splits that a folder has of its own", "[cli][photo_splits]") {
  const CliFolder folder("splits");
  write_photos(folder.path() / "lists", 8, true);
  write_photos(folder.path() / "none", 4, false);
  CHECK(photo_splits(folder.path() / "lists") == std::vector<std::string>{"test", "train", "val"});
  CHECK(photo_splits(folder.path() / "none").empty());
  write_photos(folder.path() / "folders/train", 4, false);
  write_photos(folder.path() / "folders/valid", 4, false);
  CHECK(photo_splits(folder.path() / "folders") == std::vector<std::string>{"train", "val"});
  fs::create_directories(folder.path() / "coco/annotations");
  std::ofstream(folder.path() / "coco/annotations/instances_train2017.json") << "{}";
  std::ofstream(folder.path() / "coco/annotations/instances_val2017.json") << "{}";
  CHECK(photo_splits(folder.path() / "coco") == std::vector<std::string>{"train", "val"});
  CHECK_THROWS_WITH(photo_splits(folder.path() / "absent"), Catch::Contains("there is no"));
}

TEST_CASE("lists of any name are found, and photos that are in both said", "[cli][photo_splits]") {
  const CliFolder folder("lists");
  const fs::path photos = folder.path() / "photos", lists = photos / "ImageSets/Main";
  write_photos(photos, 12, true);
  fs::copy(lists / "val.txt", lists / "my_val.txt");
  CHECK(photo_splits(photos) == std::vector<std::string>{"test", "train", "val"});
  CHECK(has_photo_split(photos, "my_val"));
  CHECK_FALSE(has_photo_split(photos, "other_val"));
  std::ofstream(lists / "all.txt")
      << read_text_file(lists / "train.txt", 1 << 16) << read_text_file(lists / "val.txt", 1 << 16);
  const auto train = [&](const std::string& learned, const std::string& asked) {
    const fs::path run = folder.path() / (learned + asked);
    return succeeds({"train", "--config", write_small_config(folder.path(), "ssd-small").string(),
                     "--data", photos.string(), "--out", run.string(), "--train", learned, "--val",
                     asked})
        .out;
  };
  const std::string both = " are among those of ";
  CHECK_THAT(train("train", "my_val"), Catch::Contains("my_val: 3 images") &&
                                           Catch::Contains("on my_val: AP ") &&
                                           !Catch::Contains(both));
  CHECK_THAT(train("all", "val"),
             Catch::Contains("3 of the 3 photos of \"val\"" + both + "\"all\": AP on them"));
  // Lists with "_" alone are the folder's splits, and nothing is cut.
  for (const char* name : {"val", "test", "train", "all"}) {
    const fs::path list = lists / concat(name, ".txt");
    if (name == std::string("train")) fs::copy(list, lists / "my_train.txt");
    fs::remove(list);
  }
  CHECK(photo_splits(photos) == std::vector<std::string>{"my_train", "my_val"});
  CHECK_FALSE(has_photo_split(photos, "train"));
}

TEST_CASE("a list that was named must be there", "[cli][photo_splits][errors]") {
  const CliFolder folder("named");
  const fs::path photos = folder.path() / "photos", run = folder.path() / "run";
  write_photos(photos, 8, true);
  const fs::path config = write_small_config(folder.path(), "ssd-small");
  const auto train = [&](const fs::path& settings, const std::vector<std::string>& more) {
    std::vector<std::string> all{"train",         "--config", settings.string(), "--data",
                                 photos.string(), "--out",    run.string()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  fails(train(config, {"--val", "vla"}), "has no \"vla\"; there are test, train, val");
  nlohmann::json named = json_of(config);
  named["data"]["val"] = "vla";
  std::ofstream(folder.path() / "named.json") << named;
  fails(train(folder.path() / "named.json", {}), "has no \"vla\"");
  fs::remove(photos / "ImageSets/Main/val.txt");
  fails(train(config, {"--val", "val"}), "has no \"val\"; there are test, train");
  CHECK_FALSE(fs::exists(run));
  // The default alone may be absent.
  CHECK_THAT(succeeds(train(config, {})).out, Catch::Contains("there is no \"val\": nothing is"));
  fs::remove_all(run);
  // A folder for lists that holds none.
  for (const char* list : {"train.txt", "test.txt"}) fs::remove(photos / "ImageSets/Main" / list);
  fails(train(config, {"--val", "vla"}), "has no \"vla\"; there are train, val");
  CHECK_THAT(succeeds(train(config, {})).out,
             Catch::Contains("train: 6 images") && Catch::Contains("val: 2 images"));
}

TEST_CASE("eval says which photos a run learned from", "[cli][cli_run]") {
  const CliFolder folder("learned");
  const fs::path photos = folder.path() / "photos", run = folder.path() / "run";
  write_photos(photos, 10, false);
  succeeds({"train", "--config", write_small_config(folder.path(), "ssd-small").string(), "--data",
            photos.string(), "--out", run.string()});
  const auto eval = [&](const std::string& split) {
    return succeeds({"eval", run.string(), "--data", photos.string(), "--split", split}).out;
  };
  const auto learned = Catch::Contains(" were learned from"),
             changed = Catch::Contains("is not what the run learned from");
  CHECK_THAT(eval("val"), !learned && !changed);
  CHECK_THAT(eval("train"),
             Catch::Contains("8 of the 8 photos of \"train\" were learned from") && !changed);
  CHECK_THAT(eval("trainval"), Catch::Contains("8 of the 10 photos of \"trainval\" were learned"));
  // More photos: what was cut by their places would be cut anew.
  write_photos(photos, 14, false);
  CHECK_THAT(eval("val"), !learned && changed);
  // Not what a user has to put right.
  nlohmann::json config = json_of(run / kConfigFile);
  config["data"]["folder"] = (folder.path() / "gone").string();
  std::ofstream(run / kConfigFile) << config;
  CHECK_THAT(eval("train"), !learned && !changed);
}

TEST_CASE("areas are those of the file, whatever the network's size", "[cli][coco_evaluation]") {
  // 500 x 375 is seen as 320 x 240: boxes of exactly 32^2 come back as hardly less or more.
  const CliFolder folder("areas");
  const fs::path voc = folder.path() / "voc", coco = folder.path() / "coco";
  for (const char* part : {"Annotations", "JPEGImages", "ImageSets/Main"})
    fs::create_directories(voc / part);
  for (int i = 0; i < 3; ++i) {
    const std::string name = concat("photo", i);
    Image(500, 375, Color{100, 100, 100}).write_png(voc / "JPEGImages" / (name + ".png"));
    std::string xml = "<annotation><size><width>500</width><height>375</height></size>";
    for (int k = 0; k < 9; ++k) {
      const int lefts[] = {3, 15, 60, 108, 121, 213, 215, 300, 420};
      const int x = lefts[k], y = 7 + 37 * k + 2 * i;
      xml += concat("<object><name>", k % 2 == 0 ? "red" : "green", "</name><bndbox><xmin>", x + 1,
                    "</xmin><ymin>", y + 1, "</ymin><xmax>", x + 32, "</xmax><ymax>", y + 32,
                    "</ymax></bndbox></object>");
    }
    std::ofstream(voc / "Annotations" / (name + ".xml")) << xml << "</annotation>\n";
    const char* lists[] = {"train", "val", "test"};
    std::ofstream(voc / "ImageSets/Main" / concat(lists[i], ".txt")) << name << "\n";
  }
  write_coco_copy(voc, coco, true);
  const auto figures = [](const fs::path& data) {
    std::vector<Detections> found;
    std::vector<Target> truths;
    for (const char* split : {"train", "val", "test"}) {
      const auto photos = open_photos(data, {.split = split});
      const Sample seen = resize_longer_side(photos->get(0), 320);
      Target truth = seen.target;
      truth.boxes = to_original(truth.boxes, {.scale_x = seen.scale_x, .scale_y = seen.scale_y});
      // Every third is found, so that recall is another where one counts elsewhere.
      Detections third;
      std::vector<Scalar> corners;
      for (std::size_t g = 0; g < truth.labels.size(); g += 3) {
        third.labels.push_back(truth.labels[g]);
        third.scores.push_back(Scalar(0.5));
        for (std::size_t c = 0; c < 4; ++c) corners.push_back(truth.boxes.data()[4 * g + c]);
      }
      third.boxes = Tensor({static_cast<std::int64_t>(third.labels.size()), 4}, corners);
      found.push_back(third);
      truths.push_back(truth);
    }
    return evaluate_coco(found, truths, 2).all.named();
  };
  CHECK(figures(voc) == figures(coco));
  for (const auto& [name, figure] : figures(voc))
    if (name == "ARs" || name == "ARm") CHECK(figure.value_or(-1) > 0.2);  // they count twice
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
