// detection/data/{coco,coco_json,open_photos}.h: which files of a folder are annotations, and which
// pictures they mean.
#include <filesystem>
#include <set>

#include "core/files.h"
#include "detection/data/coco.h"
#include "detection/data/coco_json.h"
#include "detection/data/open_photos.h"
#include "tests/catch.h"
#include "tests/coco_files.h"

using namespace boxgrad;
using namespace boxgrad::detection;
using namespace boxgrad::coco_files;
namespace fs = std::filesystem;

namespace {

/// Pictures p0.png to p9.png in images/; their records.
std::string ten_pictures(const Folder& folder) {
  std::string images;
  for (int i = 0; i < 10; ++i) {
    folder.picture(concat("images/p", i, ".png"));
    images += concat(i == 0 ? "" : ", ", R"({"id": )", i, R"(, "file_name": "p)", i,
                     R"(.png", "width": 20, "height": 10})");
  }
  return images;
}

}  // namespace

TEST_CASE("CocoDataset: a folder in a name is part of it", "[coco][data]") {
  const Folder folder;
  const auto record = [](int id, const std::string& name) {
    return concat(id == 1 ? "" : ", ", R"({"id": )", id, R"(, "file_name": ")", name,
                  R"(", "width": 20, "height": 10})");
  };
  folder.picture("images/0.png");
  folder.text("x.json",
              file(record(1, "vidA/0.png") + record(2, "vidB/0.png") + record(3, "0.png"),
                   R"({"id": 1, "image_id": 1, "category_id": 18, "bbox": [0, 0, 5, 5]})"));
  const CocoDataset one(folder.root);
  REQUIRE(one.size() == 1);
  CHECK(one.entries()[0].id == "3");
  CHECK(one.entries()[0].objects.empty());
  CHECK(one.report().count(DataProblem::missing_image) == 2);
  // Photos that have moved to another folder are found where there is one of the name.
  for (const char* name : {"old/0.png", "/home/me/0.png"}) {
    folder.text("x.json", file(record(1, name), ""));
    CHECK(CocoDataset(folder.root).entries().at(0).image == one.entries()[0].image);
  }
  folder.text("x.json", file(record(1, "/x/vidA/0.png") + record(2, "/x/vidB/0.png"), ""));
  CHECK_THROWS_WITH(CocoDataset(folder.root), Catch::Contains("no image is left"));
  // Listed twice, it is still one name.
  folder.text("x.json", file(record(1, "old/0.png") + record(2, "old/0.png"), ""));
  CHECK(CocoDataset(folder.root).size() == 1);
  // Found as they are written, by Windows, too.
  folder.picture("images/vidA/0.png");
  folder.picture("images/vidB/0.png");
  folder.text("x.json",
              file(record(1, "vidA/0.png") + record(2, R"(vidB\\0.png)") + record(3, "0.png"), ""));
  const CocoDataset all(folder.root);
  REQUIRE(all.size() == 3);
  const fs::path images = fs::canonical(folder.root) / "images";
  CHECK(all.entries()[0].image == images / "vidA/0.png");
  CHECK(all.entries()[1].image == images / "vidB/0.png");
  CHECK(all.entries()[2].image == images / "0.png");
  CHECK(all.report().total() == 0);
}

TEST_CASE("CocoDataset: a picture has one record", "[coco][data]") {
  const Folder folder;
  std::string images, annotations;
  for (int i = 0; i < 20; ++i) {
    if (i < 10) folder.picture(concat("p", i, ".png"));
    images += concat(i == 0 ? "" : ", ", R"({"id": )", i, R"(, "file_name": ")",
                     i < 10   ? ""
                     : i < 15 ? "./"
                              : "old/../",
                     "p", i % 10, R"(.png", "width": 20, "height": 10})");
    annotations += concat(i == 0 ? "" : ", ", R"({"id": )", i, R"(, "image_id": )", i,
                          R"(, "category_id": 18, "bbox": [0, 0, 5, 5]})");
  }
  folder.text("x.json", file(images, annotations));
  const CocoDataset all(folder.root);
  CHECK(all.size() == 10);
  CHECK(all.report().count(DataProblem::second_annotation) == 10);
  CHECK_THAT(all.summary().back(),
             Catch::StartsWith("10 second annotation(s) of a picture, skipped: x.json: image 10: "
                               "./p0.png, the picture of image 0; "));
  for (const PhotoEntry& entry : all.entries()) {
    CHECK(entry.image == fs::canonical(folder.root) / entry.image.filename());
    CHECK(entry.objects.size() == 1);
  }
  // On one side of a cut.
  std::set<fs::path> sides;
  std::int64_t photos = 0;
  for (const char* split : {"train", "val"}) {
    const CocoDataset side(folder.root, {.split = split, .val_share = .5});
    photos += side.size();
    for (const PhotoEntry& entry : side.entries()) sides.insert(entry.image);
  }
  CHECK(photos == 10);
  CHECK(sides.size() == 10);
}

TEST_CASE("CocoDataset: a file that is named has its own split and no other", "[coco][data]") {
  const Folder folder;
  const std::string images = ten_pictures(folder);
  const auto size = [&](const char* name, const char* split) {
    folder.text(name, file(images, kBox));
    return open_photos(folder.root / name, {.split = split})->size();
  };
  const char* const train = "annotations/instances_train2017.json";
  for (const char* split : {"", "train"}) CHECK(size(train, split) == 10);
  for (const char* split : {"test", "val", "trainval"})
    CHECK_THROWS_WITH(
        size(train, split),
        Catch::Contains("has annotations for \"train\" only, got \"") && Catch::Contains(split));
  CHECK(photo_splits(folder.root / train) == std::vector<std::string>{"train"});
  // One file for all is cut, with "trainval" in its name as well.
  for (const char* name : {"annotations.json", "annotations/instances_trainval.json"}) {
    INFO(name);
    CHECK(size(name, "") == 10);
    CHECK(size(name, "train") == 8);
    CHECK(size(name, "val") == 2);
    CHECK(photo_splits(folder.root / name).empty());
    CHECK_THROWS_WITH(size(name, "test"), Catch::Contains("one file for all, got \"test\""));
  }
  CHECK(size("annotations/instances_trainval.json", "trainval") == 10);
}

TEST_CASE("open_photos: a stray .xml does not make a folder of COCO's one of VOC's",
          "[coco][data]") {
  const Folder folder;
  folder.picture("images/a.png");
  folder.text("annotations.json", file(kImage, kBox));
  folder.text("project.xml", "<?xml version=\"1.0\"?>\n<project><annotations/></project>\n");
  folder.text("empty.xml", "");
  fs::create_symlink("nowhere", folder.root / "dangling.xml");
  CHECK_FALSE(is_like_voc(folder.root));
  CHECK(open_photos(folder.root)->size() == 1);
  CHECK(photo_splits(folder.root).empty());
  // A VOC folder with a .json of some program's is still one, in UTF-16 as well.
  for (const std::string& text :
       {std::string("\xEF\xBB\xBF<annotation></annotation>"),
        std::string("<?xml version=\"1.0\"?>\n<annotation\nid=\"1\"/>"),
        std::string("\xFF\xFE<\0a\0n\0n\0o\0t\0a\0t\0i\0o\0n\0>\0", 26)}) {
    folder.text("images/a.xml", text);
    CHECK(is_like_voc(folder.root));
  }
  // Without a .json nothing else is meant.
  fs::remove(folder.root / "images/a.xml");
  fs::remove(folder.root / "annotations.json");
  CHECK(is_like_voc(folder.root));
}

TEST_CASE("may_be_coco denies sound JSON without the two lists", "[coco][data]") {
  const Folder folder;
  const auto may_be = [&](const std::string& text) {
    folder.text("x.json", text);
    return may_be_coco(folder.root / "x.json");
  };
  for (const char* text :
       {"{\"a\": 1, \"images\": [", "{\"annotations\": []}", "{\"a\": {}, \"images\": [], \"b\": 1",
        "{\"a\": [[]], \"annotations\": [1]}", "", "{", "{\"a\": 1", "no JSON"}) {
    INFO(text);
    CHECK(may_be(text));
  }
  for (const char* text :
       {"{}", "[]", "7", "null", "{\"images\": 40, \"annotations\": {}}",
        "{\"a\": {\"images\": []}}", "[{\"images\": []}]", "{\"images\": {}, \"a\": []}"}) {
    INFO(text);
    CHECK_FALSE(may_be(text));
  }
  CHECK(may_be_coco(folder.root / "none.json"));
  CHECK(may_be_coco(folder.root));
}

TEST_CASE("CocoDataset: a run inside of the folder of photos changes nothing", "[coco][data]") {
  const Folder folder;
  const std::string images = ten_pictures(folder);
  folder.text("annotations.json", file(images, kBox));
  const auto names = [&](const char* split) {
    const auto photos = open_photos(folder.root, {.split = split});
    std::vector<std::string> result;
    for (const PhotoEntry& entry : photos->entries())
      result.push_back(entry.image.filename().string());
    return result;
  };
  const auto train = names("train"), val = names("val");
  CHECK(val.size() == 2);
  for (const char* name : {"run/config.json", "run/checkpoint-4.json", "out/ssd/config.json"})
    folder.text(name, "{\"model\": \"ssd-small\", \"data\": {\"folder\": \".\", \"images\": [1]}}");
  folder.text("run/metrics.json", "{\"AP\": 0.5, \"images\": 40}");
  folder.text("run/eval_test/metrics.json", "{\"AP\": 0.5}");
  CHECK(photo_splits(folder.root).empty());
  CHECK(names("train") == train);
  CHECK(names("val") == val);
  // A file of annotations that is broken is none of those.
  folder.text("train/broken.json", "{\"model\": ");
  CHECK(photo_splits(folder.root) == std::vector<std::string>{"train"});
  CHECK_THROWS_WITH(open_photos(folder.root, {.split = "train"}), Catch::Contains("broken.json"));
}

TEST_CASE("CocoDataset knows which ids are strings", "[coco][data]") {
  const Folder folder;
  for (const char* name : {"a.png", "b.png"}) folder.picture(name);
  folder.text("x.json", file(R"({"id": "7", "file_name": "a.png", "width": 20, "height": 10},
                      {"id": 8, "file_name": "b.png", "width": 20, "height": 10})",
                             R"({"id": 1, "image_id": 7, "category_id": 18, "bbox": [0, 0, 5, 5]})",
                             R"({"id": "18", "name": "dog"}, {"id": 3, "name": "cat"})"));
  const CocoDataset data(folder.root);
  REQUIRE(data.size() == 2);
  CHECK(data.entries()[0].objects.size() == 1);  // 7 finds "7"
  CHECK(data.class_ids() == std::vector<std::string>{"18", "3"});
  CHECK(data.string_ids().photos == std::set<std::string>{"7"});
  CHECK(data.string_ids().classes == std::set<std::string>{"18"});
}
