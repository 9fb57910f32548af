// detection/data/{coco,coco_json,open_photos,photo_dataset}.h.
#include <filesystem>
#include <set>

#include "core/files.h"
#include "core/random.h"
#include "detection/data/coco.h"
#include "detection/data/coco_json.h"
#include "detection/data/open_photos.h"
#include "detection/data/photo_dataset.h"
#include "detection/data/voc.h"
#include "tests/catch.h"
#include "tests/coco_files.h"

using namespace boxgrad;
using namespace boxgrad::detection;
using namespace boxgrad::coco_files;
namespace fs = std::filesystem;

TEST_CASE("read_coco_json keeps what is about boxes", "[coco][data]") {
  const Folder folder;
  folder.text("a.json", file(kImage, kBox));
  const CocoFile read = read_coco_json(folder.root / "a.json");
  REQUIRE(read.images.size() == 1);
  CHECK(read.images[0].id == "7");
  CHECK(read.images[0].file_name == "a.png");
  CHECK(read.images[0].width == 20);
  REQUIRE(read.annotations.size() == 1);
  const CocoFile::Annotation& box = read.annotations[0];
  CHECK(box.id == "1");  // not that of "attributes", which lies deeper
  CHECK(box.category == "18");
  CHECK(box.y == 1.5);
  CHECK(box.height == 8);
  CHECK(box.area == 30.5);
  CHECK_FALSE(box.crowd);
  REQUIRE(read.categories.size() == 2);
  CHECK(read.categories[1].name == "cat");
  CHECK(read.issues.empty());
}

TEST_CASE("read_coco_json: files from strangers", "[coco][data]") {
  const Folder folder;
  const auto read = [&](const std::string& text) {
    folder.text("bad.json", text);
    return read_coco_json(folder.root / "bad.json");
  };
  for (const char* text :
       {"", "{", "[]", "[1, 2", "{\"images\": []}", "{\"annotations\": []}", "17", "null",
        "{\"images\": [{\"id\": 1e999}], \"annotations\": []}",
        "{\"images\": {}, \"annotations\": []}", "{\"images\": [}", "\xff\xfe{\"images\": []}",
        "{\"images\": [\"\xff\"], \"annotations\": []}"}) {
    INFO(text);
    CHECK_THROWS_WITH(read(text), Catch::Contains("bad.json"));
  }
  // Records that lack something are named; others stay.
  const CocoFile partly = read(file(kImage + R"(, {"id": 8}, {"file_name": "x"}, 5, [], null)",
                                    kBox + R"(, {"id": 2, "image_id": 7, "category_id": 18},
      {"id": 3, "image_id": 7, "category_id": 18, "bbox": [1, 2, 3]},
      {"id": 4, "image_id": 7, "category_id": 18, "bbox": [1, 2, 3, 4, 5]},
      {"id": 5, "image_id": 7, "category_id": 18, "bbox": "1 2 3 4"})",
                                    R"({"id": 18, "name": "dog"}, {"name": "no id"})"));
  CHECK(partly.images.size() == 1);
  CHECK(partly.annotations.size() == 1);
  CHECK(partly.issues.size() == 7);
  CHECK(partly.issues[0].where == "bad.json: images 8");
  // Nothing is nested deep enough to hurt.
  CHECK_THROWS_WITH(read(std::string(1000000, '[')), Catch::Contains("bad.json"));
  CHECK_THROWS_WITH(read_coco_json(folder.root / "none.json"), Catch::Contains("none.json"));
  CHECK_THROWS_WITH(read_coco_json(folder.root), Catch::Contains(folder.root.string()));
}

TEST_CASE("CocoDataset: boxes, crowds and ids with gaps", "[coco][data]") {
  const Folder folder;
  folder.picture("images/a.png");
  folder.picture("images/b.png", 30, 30);
  folder.text(
      "annotations.json",
      file(kImage + R"(, {"id": "b", "file_name": "b.png", "width": 30, "height": 30})",
           kBox + R"(, {"id": 2, "image_id": "b", "category_id": 3.0, "bbox": [0, 0, 10, 10],
                            "iscrowd": 1})"));
  const CocoDataset data(folder.root);
  CHECK(data.class_names() == std::vector<std::string>{"dog", "cat"});
  REQUIRE(data.size() == 2);
  const Sample a = data.get(0);
  CHECK(a.name == "a.png");
  CHECK(a.target.boxes.to_vector() == std::vector<Scalar>{2, 1.5, 8, 9.5});
  CHECK(a.target.labels == std::vector<std::int64_t>{1});
  CHECK(a.target.areas == std::vector<double>{30.5});
  const Sample b = data.get(1);
  CHECK(b.target.labels == std::vector<std::int64_t>{2});
  CHECK(b.target.crowd == std::vector<bool>{true});
  CHECK(b.target.difficult == std::vector<bool>{true});
  CHECK(b.target.areas == std::vector<double>{100});
  CHECK(data.report().total() == 0);
  CHECK(data.summary().front() == "2 images, 2 boxes of 2 classes: dog 1, cat 1");
  // Classes that are asked for have the labels of the question.
  const CocoDataset cats(folder.root, {.classes = {"cat"}});
  CHECK(cats.get(1).target.labels == std::vector<std::int64_t>{1});
  CHECK(cats.report().count(DataProblem::unknown_class) == 1);
  // A cut: all images, each on one side.
  CHECK(CocoDataset(folder.root, {.split = "train", .val_share = .5}).size() == 1);
  CHECK(CocoDataset(folder.root, {.split = "val", .val_share = .5}).size() == 1);
}

TEST_CASE("CocoDataset: what is wrong is skipped or mended, and said", "[coco][data]") {
  const Folder folder;
  folder.picture("a.png");
  folder.text("broken.png", "no picture");
  const auto box = [](const char* image, const char* category, const char* numbers) {
    return concat(R"(, {"id": 5, "image_id": )", image, R"(, "category_id": )", category,
                  R"(, "bbox": [)", numbers, "]}");
  };
  folder.text(
      "x.json",
      file(kImage + R"(, {"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "missing.png"},
                       {"id": 9, "file_name": "broken.png"},
                       {"id": 10, "file_name": "../../../../etc/passwd"})",
           kBox + box("7", "18", "2, 2, 0, 4") + box("7", "18", "2, 2, -3, 4") +
               box("7", "18", "-0.5, 0, 4, 4") + box("7", "18", "15, 0, 40, 4") +
               box("7", "18", "50, 50, 4, 4") + box("7", "99", "2, 2, 4, 4") +
               box("77", "18", "2, 2, 4, 4") + box("7", "18", "1e300, 0, 1e300, 4")));
  const CocoDataset data(folder.root);
  CHECK(data.size() == 1);
  CHECK(data.get(0).target.labels.size() == 3);
  const DataReport& report = data.report();
  CHECK(report.count(DataProblem::duplicate) == 1);
  CHECK(report.count(DataProblem::missing_image) == 3);
  CHECK(report.count(DataProblem::bad_image) == 1);
  CHECK(report.count(DataProblem::no_area) == 1);
  CHECK(report.count(DataProblem::reversed) == 1);
  CHECK(report.count(DataProblem::slightly_outside) == 1);
  CHECK(report.count(DataProblem::partly_outside) == 1);
  CHECK(report.count(DataProblem::outside) == 2);
  CHECK(report.count(DataProblem::unknown_class) == 1);
  CHECK_THROWS_AS(CocoDataset(folder.root, {.strict = true}), std::invalid_argument);
  CHECK_THROWS_WITH(CocoDataset(folder.root, {.classes = {"dog", "dog"}}),
                    Catch::Contains("twice"));
  folder.text("x.json", file(R"({"id": 9, "file_name": "broken.png"})", ""));
  CHECK_THROWS_WITH(CocoDataset(folder.root), Catch::Contains("no image is left"));
}

TEST_CASE("CocoDataset: classes that differ in case are reported, as VOC's are", "[coco][data]") {
  const Folder folder;
  folder.picture("a.png");
  folder.text("a.json", file(kImage, kBox, R"({"id": 18, "name": "Dog"}, {"id": 3, "name": "cat"},
                                              {"id": 4, "name": "dog"})"));
  const CocoDataset data(folder.root);
  CHECK(data.class_names() == std::vector<std::string>{"Dog", "cat", "dog"});
  CHECK(data.report().count(DataProblem::similar_names) == 1);
  CHECK(data.summary().back() == "1 class name(s) that differ in case only, kept apart: Dog: dog");
  // Not of classes that were asked for: these are the question's.
  const CocoDataset asked(folder.root, {.classes = {"dog", "Dog"}});
  CHECK(asked.report().count(DataProblem::similar_names) == 0);
}

TEST_CASE("CocoDataset finds the published layout, and a folder for each split", "[coco][data]") {
  const Folder folder;
  for (const char* split : {"train2017", "val2017"}) {
    folder.picture(concat(split, "/a.png"));
    folder.text(concat("annotations/instances_", split, ".json"), file(kImage, kBox));
    folder.text(concat("annotations/captions_", split, ".json"), "{}");
  }
  const CocoDataset val(folder.root, {.split = "val"});
  CHECK(val.entries()[0].image == fs::canonical(folder.root) / "val2017/a.png");
  CHECK(CocoDataset(folder.root / "annotations/instances_train2017.json").size() == 1);
  CHECK_THROWS_WITH(CocoDataset(folder.root), Catch::Contains("pass one of them"));
  CHECK_THROWS_WITH(CocoDataset(folder.root, {.split = "test"}), Catch::Contains("\"test\""));

  const Folder other;  // the same place: made again
  for (const char* split : {"train", "valid"}) {
    other.picture(concat(split, "/a.png"));
    other.text(concat(split, "/_annotations.coco.json"), file(kImage, kBox));
  }
  CHECK(CocoDataset(other.root, {.split = "val"}).entries()[0].image ==
        fs::canonical(other.root) / "valid/a.png");
}

TEST_CASE("CocoDataset: \"trainval\" is a split of its own", "[coco][data]") {
  const Folder folder;
  folder.picture("images/a.png");
  const std::string text = file(kImage, kBox);
  folder.text("instances_trainval.json", text);
  // Alone it is one file for all.
  CHECK(photo_splits(folder.root).empty());
  CHECK(CocoDataset(folder.root, {.split = "trainval"}).size() == 1);
  CHECK(CocoDataset(folder.root, {.split = "train", .val_share = 0}).size() == 1);
  folder.text("instances_test.json", text);
  CHECK(photo_splits(folder.root) == std::vector<std::string>{"test", "trainval"});
  CHECK(has_photo_split(folder.root, "trainval"));
  CHECK_FALSE(has_photo_split(folder.root, "train"));
  fs::remove(folder.root / "instances_test.json");
  folder.text("instances_train.json", text);
  folder.text("instances_val.json", text);
  CHECK(photo_splits(folder.root) == std::vector<std::string>{"train", "val", "trainval"});
  for (const char* split : {"train", "val", "trainval"})
    CHECK(CocoDataset(folder.root, {.split = split}).size() == 1);
  // Its pictures may lie where those of its parts do.
  const Folder apart;  // the same place: made again
  apart.picture("val/a.png");
  apart.text("annotations/instances_trainval.json", text);
  CHECK(CocoDataset(apart.root).size() == 1);
}

TEST_CASE("CocoDataset: a split's name is a whole word", "[coco][data]") {
  const std::string text = file(kImage, kBox);
  const auto splits = [&](const std::string& name) {
    const Folder folder;
    folder.text(name, text);
    return photo_splits(folder.root / fs::path(name).parent_path());
  };
  for (const char* name : {"latest/annotations.json", "contest/greatest.json", "interval/a.json",
                           "medieval/festival.json", "constraint/a.json", "untrained/a.json"}) {
    INFO(name);
    CHECK(splits(name).empty());
  }
  const std::vector<std::string> train{"train"}, val{"val"}, test{"test"};
  for (const char* name : {"a/instances_train2017.json", "train/a.json", "a/train.json",
                           "a/training.json", "a/cells-train.v2.json", "a/TrainSet.json"}) {
    INFO(name);
    CHECK(splits(name) == train);
  }
  CHECK(splits("valid/_annotations.coco.json") == val);
  CHECK(splits("a/validation.json") == val);
  CHECK(splits("latest/cellsTest.json") == test);
  // What is no split's name is cut.
  const Folder folder;
  for (const char* name : {"latest/a.png", "latest/b.png"}) folder.picture(name);
  folder.text(
      "latest/annotations.json",
      file(kImage + R"(, {"id": 8, "file_name": "b.png", "width": 20, "height": 10})", kBox));
  for (const char* split : {"train", "val"})
    CHECK(CocoDataset(folder.root / "latest", {.split = split, .val_share = .5}).size() == 1);
}

TEST_CASE("CocoDataset: a file is found from wherever one stands", "[coco][data]") {
  struct Stand {  // the process's folder, put back
    fs::path before = fs::current_path();
    explicit Stand(const fs::path& folder) { fs::current_path(folder); }
    ~Stand() { fs::current_path(before); }
  };
  const Folder folder;
  folder.picture("train/a.png");
  folder.picture("cells/photos/b.png");
  folder.text("train/annotations.json", file(kImage, kBox));
  folder.text("cells/annotations/x.json",
              file(R"({"id": 7, "file_name": "photos/b.png", "width": 20, "height": 10})", kBox));
  const fs::path real = fs::canonical(folder.root);
  {
    const Stand here(folder.root / "train");
    for (const char* name :
         {"annotations.json", "./annotations.json", "../train/annotations.json"}) {
      INFO(name);
      const CocoDataset data(name);
      CHECK(data.entries()[0].image == real / "train/a.png");
      CHECK(photo_splits(name) == std::vector<std::string>{"train"});
    }
  }
  const Stand here(folder.root / "cells");
  CHECK(CocoDataset("annotations/x.json").entries()[0].image == real / "cells/photos/b.png");
}

TEST_CASE("open_photos looks which way a folder is annotated", "[coco][data]") {
  const Folder folder;
  CHECK_THROWS_WITH(open_photos(folder.root), Catch::Contains(".json"));
  CHECK_THROWS_WITH(open_photos(folder.root / "none"), Catch::Contains("none"));
  folder.picture("a.png");
  folder.text("x.json", file(kImage, kBox));
  CHECK(dynamic_cast<CocoDataset*>(open_photos(folder.root).get()) != nullptr);
  CHECK(open_photos(folder.root / "x.json")->size() == 1);
  folder.text("a.xml",
              "<annotation><size><width>20</width><height>10</height></size><object><name>dog"
              "</name><bndbox><xmin>3</xmin><ymin>2</ymin><xmax>8</xmax><ymax>9</ymax></bndbox>"
              "</object></annotation>");
  CHECK(dynamic_cast<VocDataset*>(open_photos(folder.root).get()) != nullptr);
}

namespace {

std::vector<std::string> numbered(int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back(concat("photo", i));
  return names;
}

std::vector<std::int64_t> cut_of(const std::vector<std::string>& names, PhotoOptions options,
                                 const std::string& split) {
  options.split = split;
  return seeded_split(names, options);
}

}  // namespace

TEST_CASE("seeded_split gives every image to one side", "[coco][data]") {
  for (const PhotoCut cut : {PhotoCut::by_name, PhotoCut::by_place}) {
    PhotoOptions options{.val_share = 0.3, .split_seed = 5, .cut = cut};
    std::vector<std::int64_t> all = cut_of(numbered(11), options, "train");
    CHECK(all.size() == 8);
    const std::vector<std::int64_t> val = cut_of(numbered(11), options, "val");
    all.insert(all.end(), val.begin(), val.end());
    std::ranges::sort(all);
    for (std::size_t i = 0; i < 11; ++i) CHECK(all[i] == std::int64_t(i));
    options.split_seed = 6;
    CHECK(cut_of(numbered(11), options, "val") != val);
  }
  // Two photos are enough for both sides, unless one is not wanted.
  for (const double share : {0.01, 0.2, 0.99})
    CHECK(cut_of(numbered(2), {.val_share = share}, "val").size() == 1);
  CHECK(cut_of(numbered(2), {.val_share = 0}, "val").empty());
  CHECK(cut_of(numbered(2), {.val_share = 1}, "train").empty());
  CHECK(cut_of(numbered(1), {}, "train").size() == 1);
}

TEST_CASE("seeded_split: runs of before find their photos again", "[coco][data]") {
  const std::vector<std::int64_t> order = Random(0).permutation(10);
  std::vector<std::int64_t> val{order[0], order[1]};
  std::ranges::sort(val);
  CHECK(cut_of(numbered(10), {.cut = PhotoCut::by_place}, "val") == val);
}

TEST_CASE("a new photo leaves the others on their sides", "[coco][data]") {
  // One more or one less in front, in the middle and behind: at the most the one at the border moves.
  const std::vector<std::string> names = numbered(100);
  const auto val_names = [](const std::vector<std::string>& of) {
    std::set<std::string> val;
    for (const std::int64_t i : cut_of(of, {}, "val")) val.insert(of[static_cast<std::size_t>(i)]);
    return val;
  };
  const std::set<std::string> before = val_names(names);
  CHECK(before.size() == 20);
  for (const int place : {0, 37, 100})
    for (int k = 0; k < 10; ++k) {
      const std::string added = concat("new", k);
      std::vector<std::string> more = names;
      more.insert(more.begin() + place, added);
      const std::set<std::string> after = val_names(more);
      CHECK(std::ranges::count_if(names, [&](const std::string& name) {
              return before.contains(name) != after.contains(name);
            }) <= 1);
    }
  // Renumbered images of a COCO file, and the same photos annotated like VOC, are cut alike.
  const Folder folder;
  std::string first, second;
  for (int i = 0; i < 10; ++i) {
    const std::string name = concat("p", i, ".png");
    folder.picture("coco/" + name);
    folder.picture("voc/" + name);
    folder.text(concat("voc/p", i, ".xml"),
                "<annotation><size><width>20</width><height>10</height></size><object><name>dog"
                "</name><bndbox><xmin>3</xmin><ymin>2</ymin><xmax>8</xmax><ymax>9</ymax></bndbox>"
                "</object></annotation>");
    const auto image = [&](int id) {
      return concat(R"({"id": )", id, R"(, "file_name": ")", name,
                    R"(", "width": 20, "height": 10})");
    };
    first += (i == 0 ? "" : ", ") + image(i);
    second = image(70 - i) + (i == 0 ? "" : ", ") + second;
  }
  const auto val_of = [&](const char* part) {
    std::set<std::string> val;
    const auto photos = open_photos(folder.root / part, {.split = "val"});
    for (const PhotoEntry& entry : photos->entries()) val.insert(entry.image.filename().string());
    return val;
  };
  folder.text("coco/x.json", file(first, ""));
  const std::set<std::string> coco = val_of("coco");
  CHECK(coco.size() == 2);
  folder.text("coco/x.json", file(second, ""));
  CHECK(val_of("coco") == coco);
  CHECK(val_of("voc") == coco);
}

TEST_CASE("CocoDataset does not look for pictures outside of its folder", "[coco][data]") {
  const Folder folder;
  folder.picture("a.png");
  folder.picture("set/b.png");
  folder.text("set/x.json", file(kImage + R"(, {"id": 8, "file_name": "b.png"})", kBox));
  CHECK(CocoDataset(folder.root / "set").size() == 1);
  CHECK(CocoDataset(folder.root).size() == 2);  // here the folder above is part of it
}
