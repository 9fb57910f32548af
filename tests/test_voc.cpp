#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <new>

#include "core/files.h"
#include "core/parallel.h"
#include "core/printable.h"
#include "detection/data/voc.h"
#include "detection/data/voc_folder.h"
#include "detection/data/voc_xml.h"
#include "detection/doctor/photo_prints.h"
#include "tests/catch.h"
#include "tests/golden/images.h"
#include "tests/voc_files.h"

using namespace boxgrad;
using namespace boxgrad::detection;
using namespace boxgrad::voc_files;
namespace fs = std::filesystem;

namespace {

// The report's line about a single object in a 20 x 10 picture, and what became of it.
struct Outcome {
  std::string summary;
  std::vector<Scalar> boxes;
};
Outcome outcome(const std::string& objects) {
  const Folder folder;
  folder.image("a", annotation(objects + kDog));
  const VocDataset data(folder.root);
  auto boxes = data.get(0).target.boxes.to_vector();
  boxes.resize(boxes.size() - 4);  // the dog is always there
  return {one_line(data), boxes};
}
using Numbers = std::vector<Scalar>;

}  // namespace

TEST_CASE("VocDataset converts 1-based inclusive boxes", "[data][voc]") {
  const Folder folder;
  folder.image("b", annotation(object("cat", "1", "1", "20", "10", "<difficult>1</difficult>") +
                               object("dog", "2.5", "3.5", "4", "5", "<truncated>1</truncated>")));
  folder.image("a", annotation(""));
  const VocDataset data(folder.root);
  REQUIRE(data.size() == 2);
  CHECK(data.class_names() == std::vector<std::string>{"cat", "dog"});
  CHECK(data.get(0).target.boxes.shape() == Shape({0, 4}));
  const Sample sample = data.get(1);
  CHECK(sample.name == "b.png");
  CHECK(sample.image.width() == 20);
  CHECK(sample.target.boxes.to_vector() == Numbers{0, 0, 20, 10, 1.5, 2.5, 4, 5});
  CHECK(sample.target.labels == std::vector<std::int64_t>{1, 2});
  CHECK(sample.target.difficult == std::vector<bool>{true, false});
  CHECK(data.entries()[1].objects[1].truncated);
  CHECK(data.report().total() == 0);
  CHECK(one_line(data) == "2 images, 2 boxes of 2 classes: cat 1, dog 1\n");
  CHECK_THROWS_WITH(data.get(2), "VocDataset: index must be in 0..1, got 2");
}

TEST_CASE("VocDataset judges boxes by the file's numbers", "[data][voc]") {
  // Converted first, this point would become a box of one pixel.
  Outcome o = outcome(object("cat", "5", "6", "5", "6"));
  CHECK(o.boxes.empty());
  CHECK_THAT(o.summary,
             Catch::Contains("1 box(es) without area, skipped: a.xml:3: cat (5, 6, 5, 6)"));
  CHECK_THAT(outcome(object("cat", "9", "2", "3", "6")).summary,
             Catch::Contains("1 box(es) without area, as corners are exchanged, skipped"));

  o = outcome(object("cat", "0", "1", "21", "10"));
  CHECK(o.boxes == Numbers{0, 0, 20, 10});
  CHECK_THAT(o.summary, Catch::Contains("1 box(es) up to one pixel outside, clipped: a.xml:3: "
                                        "cat (0, 1, 21, 10) in a picture of 20 x 10"));
  o = outcome(object("cat", "5", "5", "1e6", "8"));
  CHECK(o.boxes == Numbers{4, 4, 20, 8});
  CHECK_THAT(o.summary, Catch::Contains("1 box(es) partly outside, clipped"));
  o = outcome(object("cat", "30", "5", "40", "8"));
  CHECK(o.boxes.empty());
  CHECK_THAT(o.summary, Catch::Contains("1 box(es) wholly outside, skipped"));
}

TEST_CASE("VocDataset skips objects that are incomplete", "[data][voc]") {
  for (const char* bad : {"nan", "inf", "1e999", "", "twelve", "3 4", "0x10"}) {
    const Outcome o = outcome(object("cat", bad, "1", "5", "5"));
    INFO(bad << "\n" << o.summary);
    CHECK(o.boxes.empty());
    CHECK_THAT(o.summary, Catch::Contains("a.xml:3: cat has no number in <xmin>, got"));
  }
  CHECK_THAT(outcome("<object><name>cat</name></object>").summary,
             Catch::Contains("cat has no <bndbox>"));
  CHECK_THAT(outcome(object(" ", "1", "1", "5", "5")).summary, Catch::Contains("has no <name>"));
  CHECK_THAT(outcome(object(std::string(300, 'x'), "1", "1", "5", "5")).summary,
             Catch::Contains("<name> has 300 bytes"));
  CHECK_THAT(outcome("<object><name>cat</name><bndbox><xmin>1</xmin></bndbox></object>").summary,
             Catch::Contains("no number in <ymin>, got \"\""));
}

TEST_CASE("VocDataset takes names as people write them", "[data][voc]") {
  const Folder folder;
  folder.image("a", annotation(object(" dog\n", "1", "1", "5", "5") +
                               object("hot \t dog", "1", "1", "5", "5") +
                               object("Dog", "1", "1", "5", "5") + kDog));
  const VocDataset data(folder.root);
  CHECK(data.class_names() == std::vector<std::string>{"Dog", "dog", "hot dog"});
  CHECK_THAT(one_line(data),
             Catch::Contains("1 class name(s) that differ in case only, kept apart: Dog: dog"));

  const VocDataset given(folder.root, {.classes = {"dog"}});
  CHECK(given.get(0).target.labels == std::vector<std::int64_t>{1, 1});
  CHECK(given.report().count(DataProblem::unknown_class) == 2);
  CHECK_THROWS_WITH(VocDataset(folder.root, {.classes = {"a", "a"}}), Catch::Contains("twice"));
}

TEST_CASE("VocDataset believes the picture's size", "[data][voc]") {
  const Folder folder;
  folder.image("zero", annotation(kDog, "", 0, 0));
  folder.image("turned", annotation(object("dog", "1", "1", "10", "20"), "", 10, 20));
  const VocDataset data(folder.root);
  CHECK(data.report().count(DataProblem::size_differs) == 2);
  CHECK_THAT(one_line(data), Catch::Contains("zero.xml: 0 x 0, picture 20 x 10") &&
                                 Catch::Contains("10 x 20, picture 20 x 10 (annotated before"));
  CHECK(data.get(0).target.boxes.to_vector() == Numbers{0, 0, 10, 10});
}

TEST_CASE("VocDataset finds the picture by the annotation's name first", "[data][voc]") {
  const Folder folder;
  folder.picture("JPEGImages/a.PNG");
  folder.picture("JPEGImages/other.png");
  folder.picture("JPEGImages/photo.png");
  folder.text("Annotations/a.xml", annotation(kDog, "other.png"));
  folder.text("Annotations/b.xml", annotation(kDog, "C:\\pictures\\photo.jpg"));
  folder.text("Annotations/c.xml", annotation(kDog, "../../../etc/passwd"));
  const VocDataset data(folder.root);
  REQUIRE(data.size() == 2);
  CHECK(data.get(0).name == "a.PNG");
  CHECK(data.get(1).name == "photo.png");
  CHECK_THAT(one_line(data), Catch::Contains("1 annotation(s) without image, skipped: c.xml") &&
                                 Catch::Contains("2 image(s) without annotation, skipped"));
}

TEST_CASE("VocDataset reads lists", "[data][voc]") {
  const Folder folder;
  for (const char* stem : {"a", "b", "c"}) folder.image(stem, annotation(kDog));
  folder.text("ImageSets/Main/train.txt",
              "\xEF\xBB\xBF"
              "a\r\n\r\nb.png  1\r\na\r\nmissing\r\n../../a\r\n/etc/passwd");
  folder.text("ImageSets/Main/dog_train.txt", "a 1\nc -1\n");
  const VocDataset data(folder.root, {.split = "train"});
  REQUIRE(data.size() == 2);
  CHECK(data.get(1).name == "b.png");
  CHECK_THAT(one_line(data),
             Catch::Contains("2 name(s) that are no plain file name, skipped: train.txt:6: "
                             "\"../../a\"; train.txt:7: \"/etc/passwd\"") &&
                 Catch::Contains("train.txt:4: \"a\"") &&
                 Catch::Contains("train.txt:5: \"missing\""));
  CHECK(VocDataset(folder.root).size() == 3);
  CHECK(VocDataset(folder.root, {.split = "dog_train"}).size() == 2);
  CHECK_THROWS_WITH(VocDataset(folder.root, {.split = "val"}),
                    Catch::Contains("(train), got \"val\""));
}

TEST_CASE("VocDataset cuts a folder without lists by a seed", "[data][voc]") {
  const Folder folder;
  for (int i = 0; i < 10; ++i) folder.image(concat("image", i), annotation(kDog));
  const VocDataset train(folder.root, {.split = "train"}), val(folder.root, {.split = "val"});
  CHECK(train.size() == 8);
  CHECK(val.size() == 2);
  for (const VocEntry& a : train.entries())
    for (const VocEntry& b : val.entries()) CHECK(a.image != b.image);
  CHECK(VocDataset(folder.root, {.split = "trainval"}).size() == 10);
  CHECK_THROWS_WITH(VocDataset(folder.root, {.split = "test"}),
                    Catch::Contains("must be train, val or trainval"));
}

TEST_CASE("VocDataset: a folder for lists that holds none is as good as none", "[data][voc]") {
  const Folder folder;
  for (int i = 0; i < 10; ++i) folder.image(concat("image", i), annotation(kDog));
  fs::create_directories(folder.root / "ImageSets/Main");
  CHECK(voc_splits(folder.root).empty());
  CHECK(VocDataset(folder.root, {.split = "train"}).size() == 8);
  CHECK(VocDataset(folder.root, {.split = "val"}).size() == 2);
  CHECK_THROWS_WITH(VocDataset(folder.root, {.split = "test"}),
                    Catch::Contains("has no lists in ImageSets/Main, got \"test\""));
}

TEST_CASE("lack of memory is no fault of a photo", "[data][voc][fork]") {
  const Folder folder;
  folder.image("a", annotation(kDog));
  folder.image("b", annotation(kDog));
  // 200 MB of nothing: without memory for it nobody knows what is in it.
  fs::resize_file(folder.root / "JPEGImages/b.png", 200 << 20);
  const auto status_of = [](const auto& work) {
    const pid_t child = fork();
    if (child == 0) {
      set_num_threads(1);  // the pool's threads did not come along
      rlimit limit{};
      std::ifstream pages("/proc/self/statm");
      pages >> limit.rlim_cur;
      limit.rlim_cur = limit.rlim_cur * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (64 << 20);
      limit.rlim_max = limit.rlim_cur;
      setrlimit(RLIMIT_AS, &limit);
      int status = 0;
      try {
        work();
      } catch (const std::bad_alloc&) {
        status = 1;
      } catch (...) {
        status = 2;
      }
      _exit(status);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  CHECK(status_of([] {}) == 0);
  CHECK(status_of([&] { VocDataset(folder.root, {}); }) == 1);
  CHECK(status_of([&] { photo_prints({folder.root / "JPEGImages/b.png"}, true); }) == 1);
  // What the file is to blame for leaves it out.
  fs::resize_file(folder.root / "JPEGImages/b.png", 20);
  CHECK(VocDataset(folder.root, {}).size() == 1);
  CHECK_FALSE(photo_prints({folder.root / "JPEGImages/b.png"}, true)[0].error.empty());
}

TEST_CASE("VocDataset finds its parts in the usual layouts", "[data][voc]") {
  SECTION("pictures and annotations side by side") {
    const Folder folder;
    folder.text("a.xml", annotation(kDog));
    folder.picture("a.png");
    CHECK(VocDataset(folder.root).size() == 1);
  }
  SECTION("below, and a stray .xml above") {
    const Folder folder;
    folder.text("info.xml", "<info/>");
    folder.text("VOCdevkit/VOC2007/Annotations/a.xml", annotation(kDog));
    folder.picture("VOCdevkit/VOC2007/JPEGImages/a.png");
    CHECK(VocDataset(folder.root).size() == 1);
    folder.text("VOCdevkit/VOC2012/Annotations/a.xml", annotation(kDog));
    CHECK_THROWS_WITH(VocDataset(folder.root), Catch::Contains("must hold one set") &&
                                                   Catch::Contains("VOC2007") &&
                                                   Catch::Contains("VOC2012"));
  }
  SECTION("a folder for each split") {
    const Folder folder;
    for (const char* name : {"train/a", "train/b", "valid/c"}) {
      folder.text(concat(name, ".xml"), annotation(kDog));
      folder.picture(concat(name, ".png"));
    }
    CHECK(VocDataset(folder.root, {.split = "train"}).size() == 2);
    CHECK(VocDataset(folder.root, {.split = "val"}).get(0).name == "c.png");
  }
  SECTION("annotations/xmls beside images") {
    const Folder folder;
    folder.text("annotations/xmls/a.xml", annotation(kDog));
    folder.picture("images/a.png");
    CHECK(VocDataset(folder.root).size() == 1);
  }
}

TEST_CASE("VocDataset stops where nothing is left", "[data][voc][errors]") {
  const Folder folder;
  CHECK_THROWS_WITH(VocDataset(folder.root / "nowhere"), Catch::Contains("must be a folder"));
  CHECK_THROWS_WITH(VocDataset(folder.root), Catch::Contains("no .xml annotations in"));
  folder.text("Annotations/a.xml", "<annotation>\n<object>\n</annotation>");
  CHECK_THROWS_WITH(VocDataset(folder.root), Catch::Contains("no pictures (JPEGImages) beside"));
  folder.picture("JPEGImages/a.png");
  CHECK_THROWS_WITH(VocDataset(folder.root),
                    Catch::Contains("no image is left") && Catch::Contains("a.xml:3: not XML"));
  folder.image("b", annotation(kDog));
  folder.image("c", annotation(kDog));
  folder.text("JPEGImages/c.png", "not a picture");
  CHECK(VocDataset(folder.root).size() == 1);
  CHECK(VocDataset(folder.root).report().count(DataProblem::bad_image) == 1);
  CHECK_THROWS_WITH(VocDataset(folder.root, {.strict = true}), Catch::Contains("a.xml:3: not XML"));
}

TEST_CASE("VocDataset leaves out a JPEG that ends inside its picture", "[data][voc][errors]") {
  const Folder folder;
  const std::string whole(std::begin(golden::kJpeg), std::end(golden::kJpeg));
  for (const std::string stem : {"a", "b", "c"}) {
    folder.text("Annotations/" + stem + ".xml", annotation(kDog));
    folder.text("JPEGImages/" + stem + ".jpg", whole);
  }
  folder.text("JPEGImages/b.jpg", whole.substr(0, whole.size() - 2));  // only the end marker
  folder.text("JPEGImages/c.jpg", whole.substr(0, whole.size() * 3 / 4));
  const VocDataset data(folder.root);
  CHECK(data.size() == 2);
  CHECK(data.report().count(DataProblem::bad_image) == 1);
  CHECK_THAT(one_line(data), Catch::Contains("1 unreadable image(s), skipped: ") &&
                                 Catch::Contains("\"c.jpg\": the JPEG file ends early"));
}

TEST_CASE("VocDataset::get notices a picture that changed", "[data][voc][errors]") {
  const Folder folder;
  folder.image("a", annotation(kDog));
  const VocDataset data(folder.root);
  folder.picture("JPEGImages/a.png", 5, 5);
  CHECK_THROWS_WITH(data.get(0),
                    Catch::Contains("was 20 x 10") && Catch::Contains("now it is 5 x 5"));
}

TEST_CASE("parse_voc_annotation reads what editors write", "[data][voc_xml]") {
  const std::string text = annotation(kDog, "a.jpg");
  std::string windows = "\xEF\xBB\xBF<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n";
  for (const char c : text) windows += c == '\n' ? "\r\n" : std::string(1, c);
  std::string wide = "\xFF\xFE";  // UTF-16, little-endian
  for (const char c : text) wide += c, wide += '\0';
  for (const std::string& xml : {text, windows, wide}) {
    const VocAnnotation a = parse_voc_annotation(xml, "a.xml");
    CHECK(a.filename == "a.jpg");
    CHECK(a.width == 20);
    REQUIRE(a.objects.size() == 1);
    CHECK(a.objects[0].name == "dog");
    CHECK(a.objects[0].xmax == 8);
  }
  const std::string latin = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>" +
                            annotation(object("k\xE4se", "1", "1", "2", "2"));
  CHECK(parse_voc_annotation(latin, "a.xml").objects.at(0).name == "k\xC3\xA4se");
  // The same without saying so; and UTF-8 of two, three and four bytes as it is.
  const auto name_of = [](const std::string& name) {
    return parse_voc_annotation(annotation(object(name, "1", "1", "5", "5")), "a.xml")
        .objects.at(0)
        .name;
  };
  CHECK(name_of("k\xE4se") == "k\xC3\xA4se");
  for (const std::string name : {"k\xC3\xA4se", "\xE7\x8A\xAC", "\xF0\x9F\x90\x95"})
    CHECK(name_of(name) == name);
  // Cut short, longer than need be, half of a pair, beyond the last character: not UTF-8.
  CHECK(name_of("\xE7\x8A") == "\xC3\xA7\xC2\x8A");
  CHECK(name_of("\xC0\xAF") == "\xC3\x80\xC2\xAF");
  CHECK(name_of("\xE0\x80\xAF") == "\xC3\xA0\xC2\x80\xC2\xAF");
  CHECK(name_of("\xED\xA0\x80") == "\xC3\xAD\xC2\xA0\xC2\x80");
  CHECK(name_of("\xF4\x90\x80\x80") == "\xC3\xB4\xC2\x90\xC2\x80\xC2\x80");
  // A part of an object has a name of its own, which is not the object's.
  const std::string parts =
      annotation(object("person", "1", "1", "9", "9", "<part><name>head</name></part>"));
  CHECK(parse_voc_annotation(parts, "a.xml").objects.at(0).name == "person");
}

TEST_CASE("parse_voc_annotation survives hostile files", "[data][voc_xml][errors]") {
  CHECK_THROWS_WITH(parse_voc_annotation("", "a.xml"), Catch::Contains("a.xml:1: not XML"));
  CHECK_THROWS_WITH(parse_voc_annotation("<html/>", "a.xml"),
                    "a.xml:1: the document must be an <annotation>");
  // Deep nesting.
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "<a>";
  CHECK_THROWS_AS(parse_voc_annotation(deep, "a.xml"), std::invalid_argument);
  std::string closed = "<annotation>" + deep;
  for (int i = 0; i < 100'000; ++i) closed += "</a>";
  CHECK(parse_voc_annotation(closed + "</annotation>", "a.xml").objects.empty());
  // Entities stay what they are: the document type is skipped.
  const std::string bomb = "<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;\">]>" +
                           annotation(object("&b;", "1", "1", "2", "2"));
  CHECK(parse_voc_annotation(bomb, "a.xml").objects.at(0).name == "&b;");
  // Every truncation either reads or fails in words.
  const std::string text = annotation(kDog);
  for (std::size_t n = 0; n < text.size() - 1; ++n)
    CHECK_THROWS_AS(parse_voc_annotation(text.substr(0, n), "a.xml"), std::invalid_argument);
}

TEST_CASE("DataReport counts everything and prints a little", "[data][voc]") {
  DataReport report;
  for (int i = 0; i < 250; ++i)
    report.add({DataProblem::no_area, concat("a.xml:", i), printable("x\ny\x1b[2J")});
  CHECK(report.count(DataProblem::no_area) == 250);
  CHECK(report.issues().size() == 100);
  REQUIRE(report.summary().size() == 1);
  CHECK(report.summary()[0] ==
        "250 box(es) without area, skipped: a.xml:0: x?y?[2J; "
        "a.xml:1: x?y?[2J; a.xml:2: x?y?[2J; and 247 more");
}
