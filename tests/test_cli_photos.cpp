// Folders of photos and their splits, as the `boxgrad` command meets them: detection/cli/train.cpp,
// detection/cli/run_photos.cpp, detection/cli/eval.cpp, detection/cli/photos_for.cpp,
// detection/data/open_photos.cpp.
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/files.h"
#include "core/image.h"
#include "detection/coco_evaluation.h"
#include "detection/data/open_photos.h"
#include "detection/data/transforms.h"
#include "detection/training/evaluate.h"
#include "detection/training/run_folder.h"
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

}  // namespace

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

TEST_CASE("photos too few to cut, or a cut without objects, train all the same",
          "[cli][photo_splits]") {
  const CliFolder folder("few");
  const std::string config = write_small_config(folder.path(), "ssd-small").string();
  const auto train = [&](const std::string& photos) {
    return succeeds({"train", "--config", config, "--data", photos, "--out", photos + "_run"}).out;
  };
  const fs::path one = folder.path() / "one", bare = folder.path() / "bare";
  write_photos(one, 1, false);
  CHECK_THAT(train(one.string()), Catch::Contains("train: 1 images") &&
                                      Catch::Contains(": nothing is measured along the way") &&
                                      Catch::Contains("on train: AP "));
  write_photos(bare, 8, false);
  const auto val = open_photos(bare, {.split = "val"});
  for (const PhotoEntry& entry : val->entries())
    std::ofstream(entry.annotation) << "<annotation><filename>" << entry.image.filename().string()
                                    << "</filename></annotation>";
  CHECK_THAT(train(bare.string()),
             Catch::Contains("there is no object on any of its 2 photos: nothing is measured"));
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

TEST_CASE("a folder that no config.json can name is refused at once", "[cli][errors]") {
  const CliFolder folder("latin1");
  const fs::path photos = folder.path() / "caf\xe9", run = folder.path() / "run";
  write_photos(photos, 4, false);
  fails({"train", "--config", write_small_config(folder.path(), "ssd-small").string(), "--data",
         photos.string(), "--out", run.string()},
        "--data: the run's config.json has to name the folder, in UTF-8");
  CHECK_FALSE(fs::exists(run));
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
