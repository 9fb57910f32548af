// detection/doctor/checkup.cpp, detection/doctor/checkup_text.cpp,
// detection/doctor/checkup_json.cpp,
// detection/doctor/checkup_page.cpp, detection/doctor/fault.cpp,
// detection/doctor/fault_picture.cpp, detection/doctor/photo_prints.cpp and
// detection/cli/doctor.cpp.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "detection/doctor/checkup.h"
#include "detection/doctor/checkup_page.h"
#include "detection/doctor/checkup_text.h"
#include "detection/doctor/fault_picture.h"
#include "detection/doctor/opened_folder.h"
#include "detection/doctor/photo_prints.h"
#include "tests/catch.h"
#include "tests/cli.h"
#include "tests/doctor_photos.h"
#include "tests/golden/images.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

TEST_CASE("examine: a VOC folder with a fault of every kind", "[doctor]") {
  const PhotoFolder folder("doctor_voc");
  voc_photo(folder, "good", {kDog, kCat}, 1);
  voc_photo(folder, "boxes",
            {{"dog", "30", "30", "30", "30"},
             {"dog", "60", "20", "40", "30"},
             {"dog", "200", "20", "240", "30"},
             {"dog", "0", "1", "20", "20"},
             {"dog", "90", "50", "130", "70"},
             {"dog", "nan", "1", "2", "3"},
             {"cat", "70", "70", "71", "71"}},
            2);
  voc_photo(folder, "twins",
            {kDog, {"dog", "11", "12", "50", "40"}, {"cat", "11", "11", "50", "40"}}, 3);
  voc_photo(folder, "names",
            {{"Dog", "1", "1", "50", "40"},
             {"horse", "1", "1", "30", "40"},
             {"horsse", "50", "1", "80", "40"}},
            4);
  voc_photo(folder, "copy", {kDog}, 1);
  voc_photo(folder, "test", {kCat, {"bird", "1", "1", "30", "30"}}, 5);
  voc_photo(folder, "leak", {kDog}, 5);
  voc_photo(folder, "both", {kDog}, 6);
  voc_photo(folder, "nowhere", {}, 7);
  folder.text("Annotations/size.xml", voc_text({kDog}, 80, 100));
  folder.picture("JPEGImages/size.png", 100, 80, 8);
  folder.text("Annotations/lost.xml", voc_text({kDog}, 100, 80));
  folder.text("Annotations/broken.xml", "<annotation>\n<object>\n</annotation>");
  folder.text("Annotations/damaged.xml", voc_text({kDog}, 100, 80));
  folder.text("JPEGImages/damaged.jpg", "no picture");
  folder.text("Annotations/wrong.xml", voc_text({kDog}, 100, 80));
  folder.bytes("JPEGImages/wrong.jpg", Image(100, 80, 9, 9, 9).encode_png());
  folder.picture("JPEGImages/orphan.png", 100, 80, 10);
  folder.text("ImageSets/Main/train.txt",
              "good\nboxes\ntwins\nnames\ncopy\nleak\nboth\nsize\nlost\nbroken\ndamaged\nwrong\n"
              "good\nmissing\n../good\n");
  folder.text("ImageSets/Main/test.txt", "test\nboth\n");

  const Checkup checkup = examine(folder.root);
  CHECK(checkup.format == "PASCAL VOC");
  CHECK(checkup.images == 11);
  CHECK(checkup.empty_images == 1);
  CHECK(checkup.classes == Lines{"Dog", "bird", "cat", "dog", "horse", "horsse"});
  REQUIRE(checkup.splits.size() == 2);
  CHECK(checkup.splits[0].name == "test");
  CHECK(checkup.splits[0].images == 2);
  CHECK(checkup.splits[1].images == 9);
  const Lines expected{
      "bad_annotation Annotations/broken.xml: 3: not XML: Start-end tags mismatch",
      "bad_image JPEGImages/damaged.jpg: expected a JPEG, PNG or BMP file",
      "missing_image Annotations/lost.xml",
      "missing_annotation ImageSets/Main/train.txt, line 14: \"missing\"",
      "orphan_image JPEGImages/orphan.png",
      "bad_name ImageSets/Main/train.txt, line 15: \"../good\"",
      "listed_twice ImageSets/Main/train.txt, line 13: \"good\"",
      "size_differs Annotations/size.xml: 80 x 100, picture 100 x 80 (annotated before it was "
      "turned?)",
      "bad_object Annotations/boxes.xml, line 8: dog has no number in <xmin>, got \"nan\"",
      "no_area Annotations/boxes.xml, line 3: dog (30, 30, 30, 30)",
      "reversed Annotations/boxes.xml, line 4: dog (60, 20, 40, 30)",
      "outside Annotations/boxes.xml, line 5: dog (200, 20, 240, 30) in a picture of 100 x 80",
      "partly_outside Annotations/boxes.xml, line 7: dog (90, 50, 130, 70) in a picture of 100 x "
      "80",
      "duplicate_box Annotations/twins.xml, line 4: dog (11, 12, 50, 40), IoU 0.97 with line 3: "
      "dog "
      "(11, 11, 50, 40)",
      "similar_case \"Dog\" (1 box) and \"dog\" (10 boxes)",
      "untrained_class \"bird\" (1 box)",
      "leak JPEGImages/test.png: it is JPEGImages/leak.png, in train and test",
      "leak JPEGImages/both.png: it is in train and test",
      "copy JPEGImages/good.png: it is JPEGImages/copy.png",
      "wrong_extension JPEGImages/wrong.jpg: it is a PNG",
      "in_no_split JPEGImages/nowhere.png",
      "slightly_outside Annotations/boxes.xml, line 6: dog (0, 1, 20, 20) in a picture of 100 x 80",
      "two_classes Annotations/twins.xml, line 5: cat (11, 11, 50, 40), IoU 1 with line 3: dog "
      "(11, 11, 50, 40)",
      "similar_spelling \"horse\" (1 box) and \"horsse\" (1 box)",
  };
  const Lines found = told(checkup);
  for (std::size_t k = 0; k < std::max(found.size(), expected.size()); ++k) {
    const std::string a = k < found.size() ? found[k] : "",
                      b = k < expected.size() ? expected[k] : "";
    CHECK_THAT(a, Catch::StartsWith(b));
  }
  CHECK(checkup.faults.faults() == 19);
  CHECK(checkup.faults.notes() == 5);
  // Of 2 px in a picture of 100: too small where that has 32.
  CHECK(examine(folder.root, {.longer_px = 32}).faults.count(FaultKind::tiny_box) == 1);
  // Boxes in pixels of the picture, for whoever draws them.
  CHECK(checkup.faults.of(FaultKind::reversed)[0].boxes[0] ==
        std::array<double, 4>{59, 19, 40, 30});
  CHECK(checkup.faults.of(FaultKind::size_differs)[0].boxes.size() == 1);
}

TEST_CASE("examine: the same faults in a COCO folder", "[doctor]") {
  const PhotoFolder folder("doctor_coco");
  const WrittenBox dog{"dog", "10", "10", "40", "30"}, cat{"cat", "50", "10", "40", "50"};
  for (const auto& [name, grey] : std::vector<std::pair<std::string, int>>{
           {"good", 1}, {"boxes", 2}, {"twins", 3}, {"orphan", 4}})
    folder.picture("train/" + name + ".png", 100, 80, static_cast<std::uint8_t>(grey));
  folder.picture("valid/leak.png", 100, 80, 1);
  folder.text("train/_annotations.coco.json", coco_text({{"good.png", 100, 80, {dog, cat}},
                                                         {"boxes.png",
                                                          100,
                                                          80,
                                                          {{"dog", "30", "30", "0", "0"},
                                                           {"dog", "60", "20", "-20", "10"},
                                                           {"dog", "200", "20", "40", "10"},
                                                           {"bird", "0", "0", "20", "20"}}},
                                                         {"twins.png", 100, 80, {dog, dog}},
                                                         {"lost.png", 100, 80, {dog}}},
                                                        {"dog", "cat", "Cat"}));
  folder.text("valid/_annotations.coco.json",
              coco_text({{"leak.png", 100, 80, {cat}}}, {"dog", "cat", "horse"}));
  const Checkup checkup = examine(folder.root);
  CHECK(checkup.format == "COCO");
  CHECK(checkup.classes == Lines{"dog", "cat", "Cat", "horse"});
  REQUIRE(checkup.splits.size() == 2);
  CHECK(checkup.splits[1].name == "val");
  CHECK(checkup.splits[1].class_boxes == std::vector<std::int64_t>{0, 1, 0, 0});
  const std::string json = "train/_annotations.coco.json";
  CHECK(told(checkup) ==
        Lines{
            concat("missing_image ", json, ": lost.png"),
            "orphan_image train/orphan.png",
            concat("no_area ", json, ", annotation 3: dog [30, 30, 0, 0] in boxes.png"),
            concat("reversed ", json, ", annotation 4: dog [60, 20, -20, 10] in boxes.png"),
            concat("outside ", json,
                   ", annotation 5: dog [200, 20, 40, 10] in boxes.png in a "
                   "picture of 100 x 80"),
            concat("duplicate_box ", json,
                   ", annotation 8: dog [10, 10, 40, 30], IoU 1 with "
                   "annotation 7: dog [10, 10, 40, 30]"),
            "similar_case \"cat\" (2 boxes) and \"Cat\" (0 boxes)",
            concat("unknown_class ", json,
                   ", annotation 6: category 990 [0, 0, 20, 20] in "
                   "boxes.png"),
            "leak valid/leak.png: it is train/good.png, in train and val",
            "empty_class Cat",
            "empty_class horse",
        });
  CHECK(examine(folder.root / "train" / "_annotations.coco.json").images == 3);
}

TEST_CASE("examine: COCO's \"trainval\" beside other splits", "[doctor]") {
  const PhotoFolder folder("doctor_trainval");
  const auto write = [&](const std::string& split, const std::string& photo, std::uint8_t grey) {
    folder.picture("images/" + photo, 100, 80, grey);
    folder.text("annotations/instances_" + split + ".json",
                concat(R"({"images": [{"id": 1, "file_name": ")", photo,
                       R"(", "width": 100, "height": 80}], "annotations": [{"id": 5, "image_id": 1,
                       "category_id": 2, "bbox": [10, 10, 0, 30]}],
                       "categories": [{"id": 2, "name": "dog"}]})"));
  };
  write("trainval", "a.png", 1);
  write("test", "b.png", 2);
  FaultLog faults(10);
  const OpenedFolder both = open_all_splits(folder.root, 10, faults);
  CHECK(both.splits == std::vector<std::string>{"test", "trainval"});
  CHECK(both.photos.size() == 2);
  CHECK(faults.count(FaultKind::no_area) == 2);
  // Its photos and faults are not counted twice where its parts are there.
  write("train", "a.png", 1);
  write("val", "c.png", 3);
  FaultLog again(10);
  CHECK(open_all_splits(folder.root, 10, again).splits ==
        std::vector<std::string>{"train", "val", "test"});
  CHECK(again.count(FaultKind::no_area) == 3);
}

TEST_CASE("examine keeps going where one split is broken", "[doctor][errors]") {
  const PhotoFolder folder("doctor_broken");
  folder.picture("train/a.png", 100, 80, 1);
  folder.text("train/_annotations.coco.json",
              coco_text({{"a.png", 100, 80, {{"dog", "1", "1", "50", "50"}}}}, {"dog"}));
  folder.text("valid/_annotations.coco.json", "{");
  const Checkup checkup = examine(folder.root);
  CHECK(checkup.images == 1);
  REQUIRE(checkup.faults.count(FaultKind::unreadable_split) == 1);
  CHECK_THAT(checkup.faults.of(FaultKind::unreadable_split)[0].value,
             Catch::Contains("_annotations.coco.json: byte"));
  // A link that leads nowhere is one more kind of broken.
  fs::remove(folder.root / "valid/_annotations.coco.json");
  fs::create_symlink("nowhere", folder.root / "valid/_annotations.coco.json");
  const Checkup dangling = examine(folder.root);
  CHECK(dangling.images == 1);
  REQUIRE(dangling.faults.count(FaultKind::unreadable_split) == 1);
  CHECK(dangling.faults.of(FaultKind::unreadable_split)[0].object == "val");
  CHECK_THAT(dangling.faults.of(FaultKind::unreadable_split)[0].value,
             Catch::Contains("valid/_annotations.coco.json"));
  folder.text("train/_annotations.coco.json", "[");
  CHECK_THROWS_WITH(examine(folder.root), Catch::Contains("_annotations.coco.json: byte"));
  CHECK_THROWS_WITH(examine(folder.root / "nothing"), Catch::Contains("there is no"));
  CHECK_THROWS_WITH(examine(folder.root, {.anchors = 0}), Catch::Contains("anchors must be in"));
  CHECK_THROWS_WITH(examine(folder.root, {.longer_px = 3}), Catch::Contains("longer_px"));
}

TEST_CASE("examine: photos without a box", "[doctor]") {
  const PhotoFolder folder("doctor_empty");
  voc_photo(folder, "a", {}, 1);
  const Checkup checkup = examine(folder.root);
  CHECK(checkup.boxes == 0);
  CHECK(checkup.clusters.empty());
  CHECK_THAT(checkup_text(checkup),
             Catch::Contains("1 images without boxes") && Catch::Contains("No faults."));
  CHECK_NOTHROW(checkup_json(checkup));
  write_checkup_page(checkup, folder.root / "page");
  CHECK(fs::exists(folder.root / "page" / "index.html"));
}

TEST_CASE("examine: boxes that are hardly any, in the smallest of pictures", "[doctor][errors]") {
  const PhotoFolder folder("doctor_tiny");
  folder.picture("a.png", 1, 1, 1);
  folder.picture("b.png", 3000, 1, 2);
  const WrittenBox hardly{"dog", "0", "0", "1e-300", "1"}, thin{"dog", "0", "0", "1", "1e-40"};
  folder.text("x.json",
              coco_text({{"a.png", 1, 1, {hardly}}, {"b.png", 3000, 1, {thin}}}, {"dog"}));
  Checkup checkup = examine(folder.root);
  CHECK(checkup.boxes == 2);
  CHECK(checkup.clusters.empty());
  CHECK(checkup.faults.count(FaultKind::tiny_box) == 2);
  folder.text("x.json", coco_text({{"a.png", 1, 1, {hardly, {"dog", "0", "0", "1", "1"}}},
                                   {"b.png", 3000, 1, {thin, {"dog", "7", "0", "2993", "0.5"}}}},
                                  {"dog"}));
  checkup = examine(folder.root);
  CHECK(checkup.clusters.size() == 6);
  CHECK(checkup.suggested.boxes == 4);
  write_checkup_page(checkup, folder.root / "page");
  CHECK_NOTHROW(checkup_text(checkup));
}

TEST_CASE("every fault is counted, few are kept", "[doctor]") {
  const PhotoFolder folder("doctor_kept");
  voc_photo(folder, "a", std::vector<WrittenBox>(9, {"dog", "5", "5", "5", "5"}), 1);
  voc_photo(folder, "b", {kDog}, 2);
  const Checkup checkup = examine(folder.root, {.kept_faults = 2});
  CHECK(checkup.faults.count(FaultKind::no_area) == 9);
  CHECK(checkup.faults.of(FaultKind::no_area).size() == 2);
  CHECK_THAT(checkup_text(checkup), Catch::Contains("and 7 more"));
}

TEST_CASE("names of files cannot steer a terminal", "[doctor][errors]") {
  const PhotoFolder folder("doctor_terminal");
  voc_photo(folder, "a", {kDog}, 1);
  folder.text("Annotations/b\x1b[2J\n.xml", "<annotation>");
  folder.picture("JPEGImages/c\r\n.png", 10, 10, 2);
  const std::string text = checkup_text(examine(folder.root));
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find('\r') == std::string::npos);
  CHECK_THAT(text, Catch::Contains("b?[2J?.xml") && Catch::Contains("c??.png"));
}

TEST_CASE("a fault log counts all and keeps some", "[doctor]") {
  FaultLog log(3);
  for (int i = 0; i < 10; ++i)
    log.add({.kind = FaultKind::no_area, .file = "a.xml", .value = std::to_string(i)});
  log.add({.kind = FaultKind::tiny_box});
  CHECK(log.count(FaultKind::no_area) == 10);
  CHECK(log.of(FaultKind::no_area).size() == 3);
  CHECK(log.faults() == 10);
  CHECK(log.notes() == 1);
  CHECK(log.kinds() == std::vector<FaultKind>{FaultKind::no_area, FaultKind::tiny_box});
  for (int k = 0; k < static_cast<int>(FaultKind::count_); ++k) {
    const FaultText& text = fault_text(static_cast<FaultKind>(k));
    for (const char* part : {text.name, text.title, text.rule, text.done, text.fix}) {
      INFO(k);
      CHECK(std::string(part).size() > 3);
    }
  }
}

TEST_CASE("photo_prints tells pictures, not files", "[doctor][prints]") {
  const PhotoFolder folder("doctor_prints");
  const auto pattern = [](int width, int height, std::uint8_t last) {
    Image image(width, height);
    for (std::size_t i = 0; i < image.data().size(); ++i)
      image.data()[i] = static_cast<std::uint8_t>(7 * i);
    image.data().back() = last;
    return image;
  };
  const std::vector<std::uint8_t> png = pattern(31, 17, 0).encode_png();
  folder.bytes("a.png", png);
  std::vector<std::uint8_t> longer = png;  // the same picture, a byte of it elsewhere
  longer.push_back(0);
  folder.bytes("b.PNG", longer);
  folder.bytes("c.jpg", png);
  folder.bytes("last_pixel.png", pattern(31, 17, 1).encode_png());
  folder.bytes("other_shape.png", pattern(17, 31, 0).encode_png());
  folder.bytes("photo.jpeg", golden::kJpeg);
  folder.text("broken.png", "no picture");
  std::vector<fs::path> files;
  for (const char* name : {"a.png", "b.PNG", "c.jpg", "last_pixel.png", "other_shape.png",
                           "photo.jpeg", "broken.png", "missing.png"})
    files.push_back(folder.root / name);
  const auto prints = photo_prints(files, true);
  using Groups = std::vector<std::vector<std::int64_t>>;
  CHECK(same_prints(prints) == Groups{{0, 1, 2}});
  CHECK(prints[2].misnamed);
  CHECK(prints[2].format == std::string("PNG"));
  for (const std::size_t i : {0u, 1u, 3u, 5u}) CHECK_FALSE(prints[i].misnamed);
  CHECK_THAT(prints[6].error, Catch::Contains("broken.png"));
  CHECK_THAT(prints[7].error, Catch::Contains("missing.png"));
  // By bytes: a copy of the file only.
  CHECK(same_prints(photo_prints(files, false)) == Groups{{0, 2}});
}

TEST_CASE("damage inside of a picture is found by decoding", "[doctor][errors]") {
  const PhotoFolder folder("doctor_damage");
  voc_photo(folder, "a", {kDog}, 1);
  voc_photo(folder, "b", {kCat}, 2);
  std::vector<std::uint8_t> jpeg(std::begin(golden::kJpeg), std::end(golden::kJpeg));
  // Behind the start of scan: codes that no table has.
  for (std::size_t i = jpeg.size() - 120; i < jpeg.size() - 40; ++i) jpeg[i] = 0xfe;
  fs::remove(folder.root / "JPEGImages" / "b.png");
  folder.bytes("JPEGImages/b.jpg", jpeg);
  const Checkup thorough = examine(folder.root), fast = examine(folder.root, {.decode = false});
  CHECK(fast.faults.count(FaultKind::bad_image) == 0);
  REQUIRE(thorough.faults.count(FaultKind::bad_image) == 1);
  CHECK(thorough.faults.of(FaultKind::bad_image)[0].file.filename() == "b.jpg");
}

TEST_CASE("fault_picture draws every kind of box", "[doctor]") {
  const PhotoFolder folder("doctor_pictures");
  folder.picture("a.png", 400, 300, 128);
  folder.picture("b.png", 30, 60, 200);
  Fault fault{.kind = FaultKind::no_area, .image = folder.root / "a.png"};
  const auto coloured = [](const Image& image) {
    int count = 0;
    for (int y = 0; y < image.height(); ++y)
      for (int x = 0; x < image.width(); ++x) count += image.pixel(x, y)[0] != image.pixel(x, y)[1];
    return count;
  };
  CHECK(coloured(fault_picture(fault)) == 0);
  for (const std::array<double, 4> box : {std::array<double, 4>{199, 99, 199, 99},
                                          {250, 200, 200, 150},
                                          {-1e9, -1e9, -5e8, -5e8},
                                          {1e300, 0, -1e300, 10},
                                          {390, 290, 500, 400},
                                          {0, 0, 400, 300}}) {
    fault.boxes = {box};
    const Image image = fault_picture(fault);
    INFO(box[0] << " " << box[2]);
    CHECK(image.width() <= 360);
    CHECK(image.height() <= 360);
    CHECK(coloured(image) > 20);
  }
  fault.boxes = {{100, 100, 140, 140}, {102, 101, 141, 140}};
  CHECK(fault_picture(fault).width() == 360);  // cut to the surroundings, a square
  CHECK(fault_picture(fault).height() == 360);
  fault.other_image = folder.root / "b.png";
  CHECK(fault_picture(fault).height() <= 360);
  fault.other_image = folder.root / "missing.png";
  CHECK_THROWS_AS(fault_picture(fault), std::exception);
}

TEST_CASE("boxgrad doctor: status, text, JSON and page", "[doctor][cli]") {
  const PhotoFolder folder("doctor_cli");
  voc_photo(folder, "a", {kDog, {"<script>alert(1)</script>", "20", "20", "20", "20"}}, 1);
  folder.text("Annotations/a.xml",
              voc_text({kDog, {"&lt;script&gt;", "20", "20", "20", "20"}}, 100, 80));
  voc_photo(folder, "b&<b>", {kDog, kDog}, 2);
  const std::string data = folder.root.string(), out = (folder.root / "page").string();
  const CliOutcome told = boxgrad_command({"doctor", data, "--out", out});
  INFO(told.err);
  CHECK(told.status == 0);
  CHECK_THAT(told.out, Catch::Contains("2 images, 3 boxes of 2 classes") &&
                           Catch::Contains("1 x box without area\n    Annotations/a.xml, line 4: "
                                           "<script> (20, 20, 20, 20)\n  rule: ") &&
                           Catch::Contains("  fix:  delete one of the two") &&
                           Catch::Contains("Suggested sizes"));
  CHECK_THAT(told.err, Catch::Contains("wrote ") && Catch::Contains("index.html"));
  const std::string page = read_text_file(folder.root / "page" / "index.html", 10 << 20);
  CHECK_THAT(page, Catch::Contains("&lt;script&gt; (20, 20, 20, 20)") &&
                       !Catch::Contains("<script> (") && Catch::Contains("b&amp;&lt;b&gt;.xml") &&
                       Catch::Contains("images/no_area_1.png"));
  CHECK(fs::exists(folder.root / "page" / "images" / "duplicate_box_1.png"));

  const CliOutcome json = boxgrad_command({"doctor", data, "--json", "--out", out, "--fast"});
  CHECK(json.status == 0);
  const auto document = nlohmann::json::parse(json.out);
  CHECK(document["counts"]["no_area"] == 1);
  CHECK(document["boxes"] == 3);
  CHECK(document["classes"]["dog"] == 3);
  REQUIRE(document["faults"].size() >= 2);
  const auto& fault = document["faults"][0];
  CHECK(fault["kind"] == "no_area");
  CHECK(fault["file"] == "Annotations/a.xml");
  CHECK(fault["object"] == "line 4");
  CHECK(fault["value"] == "<script> (20, 20, 20, 20)");
  CHECK(fault["image"] == "JPEGImages/a.png");
  CHECK(fault["boxes"][0] == nlohmann::json{19, 19, 20, 20});
  CHECK_FALSE(fault["fix"].get<std::string>().empty());

  const CliOutcome strict = boxgrad_command({"doctor", data, "--strict", "--out", out});
  CHECK(strict.status == 1);
  CHECK_THAT(strict.out, Catch::Contains("box without area"));
  CHECK_THAT(strict.err, Catch::Contains("2 faults (--strict)"));
  fs::remove_all(folder.root / "page");
  CHECK(boxgrad_command({"doctor", data + "/nowhere", "--out", out}).status == 1);
  CHECK_FALSE(fs::exists(folder.root / "page"));  // nothing is written about nothing
  CHECK(boxgrad_command({"doctor"}).status == 1);
}
