// detection/doctor/opened_folder.h, as detection/doctor/checkup.h uses it.
#include "detection/doctor/checkup.h"
#include "detection/doctor/checkup_text.h"
#include "tests/catch.h"
#include "tests/doctor_photos.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

TEST_CASE("examine keeps going where a list cannot be read", "[doctor][errors]") {
  const PhotoFolder folder("doctor_list");
  voc_photo(folder, "a", {kDog}, 1);
  voc_photo(folder, "b", {kCat}, 2);
  folder.text("ImageSets/Main/train.txt", "a\n");
  fs::create_symlink("nowhere", folder.root / "ImageSets/Main/val.txt");
  const Checkup checkup = examine(folder.root);
  CHECK(checkup.images == 2);
  REQUIRE(checkup.splits.size() == 1);
  CHECK(checkup.splits[0].name == "train");
  CHECK(checkup.splits[0].images == 1);
  REQUIRE(checkup.faults.count(FaultKind::unreadable_split) == 1);
  CHECK(checkup.faults.of(FaultKind::unreadable_split)[0].object == "val");
  CHECK_THAT(checkup.faults.of(FaultKind::unreadable_split)[0].value, Catch::Contains("val.txt"));
  CHECK_THAT(checkup_text(checkup), Catch::Contains("split that cannot be read"));
  // No list at all that could be read: the photos are looked at all the same.
  fs::remove(folder.root / "ImageSets/Main/train.txt");
  const Checkup none = examine(folder.root);
  CHECK(none.images == 2);
  CHECK(none.splits.empty());
  CHECK_NOTHROW(checkup_text(none));
}

TEST_CASE("examine: a second annotation of a picture", "[doctor]") {
  const PhotoFolder voc("doctor_second_voc"), coco("doctor_second_coco");
  voc_photo(voc, "a", {kDog}, 1);
  voc.text("Annotations/labels.xml", voc_text({kCat}, 100, 80, "a.png"));
  const Checkup of_voc = examine(voc.root);
  CHECK(told(of_voc) == Lines{"second_annotation Annotations/labels.xml: a.png, the picture of "
                              "a.xml",
                              "empty_class cat"});
  CHECK(of_voc.faults.faults() == 1);
  CHECK(of_voc.images == 1);
  coco.picture("a.png", 100, 80, 1);
  const WrittenBox dog{"dog", "10", "10", "40", "30"};
  coco.text("x.json", coco_text({{"a.png", 100, 80, {dog}}, {"./a.png", 100, 80, {dog}}}, {"dog"}));
  const Checkup of_coco = examine(coco.root);
  CHECK(told(of_coco) ==
        Lines{"second_annotation x.json, image 2: ./a.png, the picture of image 1"});
  CHECK(of_coco.faults.faults() == 1);
  CHECK(of_coco.images == 1);
}
