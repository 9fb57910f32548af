// detection/data/{voc,voc_folder,photo_dataset}.h: which photos of a folder are taken.
#include <filesystem>

#include "core/files.h"
#include "detection/data/voc.h"
#include "tests/catch.h"
#include "tests/golden/images.h"
#include "tests/voc_files.h"

using namespace boxgrad;
using namespace boxgrad::detection;
using namespace boxgrad::voc_files;
namespace fs = std::filesystem;

TEST_CASE("VocDataset: names in lists may hold blanks and any letters", "[data][voc]") {
  const Folder folder;
  const std::vector<std::string> stems{"my", "my cat", "my cat 1", "k\xC3\xA4tzchen \xE7\x8C\xAB",
                                       "a.b"};
  for (const std::string& stem : stems) folder.image(stem, annotation(kDog));
  const auto taken = [&](const std::string& list) {
    folder.text("ImageSets/Main/train.txt", list);
    const VocDataset data(folder.root, {.split = "train"});
    CHECK(data.report().total() == 0);
    std::vector<std::string> names;
    for (const VocEntry& entry : data.entries()) names.push_back(entry.id);
    return names;
  };
  using Names = std::vector<std::string>;
  CHECK(taken("my cat\n") == Names{"my cat"});
  CHECK(taken("\xEF\xBB\xBF  my cat.png \r\nmy\r\n") == Names{"my cat", "my"});
  // The whole line comes first, then what stands in front of a flag.
  CHECK(taken("my cat 1\n") == Names{"my cat 1"});
  CHECK(taken("my cat -1\nmy 0\n") == Names{"my cat", "my"});
  CHECK(taken("my cat 1  1\n") == Names{"my cat 1"});
  CHECK(taken(stems[3] + "\n" + stems[4] + "\t1\n") == Names{stems[3], stems[4]});
}

TEST_CASE("VocDataset: a picture has one annotation", "[data][voc]") {
  const Folder folder;
  folder.image("b", annotation(kDog));
  folder.picture("JPEGImages/c.png");
  // One before the picture's own, which has it all the same; two for a picture without its own.
  folder.text("Annotations/a.xml", annotation(object("cat", "1", "1", "5", "5"), "b.png"));
  folder.text("Annotations/d.xml", annotation(kDog, "c.png"));
  folder.text("Annotations/e.xml", annotation(kDog, "c.jpg"));
  const VocDataset data(folder.root);
  REQUIRE(data.size() == 2);
  CHECK(data.entries()[0].annotation.filename() == "b.xml");
  CHECK(data.get(0).target.boxes.to_vector() == Numbers{2, 1, 8, 9});
  CHECK(data.entries()[1].annotation.filename() == "d.xml");
  CHECK_THAT(one_line(data),
             Catch::Contains("2 second annotation(s) of a picture, skipped: a.xml: b.png, the "
                             "picture of b.xml; e.xml: c.png, the picture of d.xml\n"));
  // Whatever list it stands in.
  folder.text("ImageSets/Main/train.txt", "b\n");
  folder.text("ImageSets/Main/val.txt", "a\nd\n");
  const VocDataset val(folder.root, {.split = "val"});
  REQUIRE(val.size() == 1);
  CHECK(val.entries()[0].id == "d");
}

TEST_CASE("VocDataset::get names a picture that is damaged inside, and the remedy",
          "[data][voc][errors]") {
  const Folder folder;
  folder.image("a", annotation(kDog));
  folder.text("Annotations/b.xml", annotation(kDog, "", 48, 32));
  std::string jpeg(std::begin(golden::kJpeg), std::end(golden::kJpeg));
  // Behind the start of scan: codes that no table has.
  for (std::size_t i = jpeg.size() - 120; i < jpeg.size() - 40; ++i) jpeg[i] = '\xfe';
  folder.text("JPEGImages/b.jpg", jpeg);
  const VocDataset data(folder.root);
  REQUIRE(data.size() == 2);  // as far as its header says
  CHECK(data.report().total() == 0);
  CHECK_NOTHROW(data.get(0));
  CHECK_THROWS_WITH(data.get(1), Catch::StartsWith("VocDataset: Image::read: ") &&
                                     Catch::Contains("JPEGImages/b.jpg\": ") &&
                                     Catch::Contains("boxgrad doctor decodes all pictures"));
}
