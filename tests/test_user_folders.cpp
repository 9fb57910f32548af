// What real folders of annotated photos look like, one thing after the other, read by
// detection/data/{open_photos,voc,coco}.h and looked at by detection/doctor/checkup.h.
#include "detection/data/batch.h"
#include "detection/data/open_photos.h"
#include "detection/data/transforms.h"
#include "detection/doctor/checkup.h"
#include "tests/catch.h"
#include "tests/golden/images.h"
#include "tests/photo_folder.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// The same photos annotated like VOC and like COCO, each box in its format's own numbers.
struct BothWays {
  explicit BothWays(const std::string& name) : voc(name + "_voc"), coco(name + "_coco") {}

  void photo(const std::string& file, std::span<const std::uint8_t> content, int width, int height,
             const std::array<double, 4>& box) {
    const std::string stem = file.substr(0, file.find('.'));
    const auto number = [](double v) { return concat(v); };
    const auto [x1, y1, x2, y2] = box;
    voc.bytes("JPEGImages/" + file, content);
    voc.text("Annotations/" + stem + ".xml",
             voc_text({{"thing", number(x1 + 1), number(y1 + 1), number(x2), number(y2)}}, width,
                      height, file));
    coco.bytes("images/" + file, content);
    photos.push_back({file,
                      width,
                      height,
                      {{"thing", number(x1), number(y1), number(x2 - x1), number(y2 - y1)}}});
    coco.text("annotations.json", coco_text(photos, {"thing"}));
  }

  PhotoFolder voc, coco;
  std::vector<WrittenPhoto> photos;
};

std::vector<std::uint8_t> grey_png(int width, int height, std::uint8_t grey) {
  return Image(width, height, grey, grey, grey).encode_png();
}

template <std::size_t N>
std::vector<std::uint8_t> bytes_of(const std::uint8_t (&array)[N]) {
  return {array, array + N};
}

/// kBlocks, 16 x 24, with an EXIF tag that says it lies on its side.
std::vector<std::uint8_t> lying_jpeg() {
  std::vector<std::uint8_t> jpeg = bytes_of(golden::kBlocks);
  const std::vector<std::uint8_t> exif{0xff, 0xe1, 0, 34, 'E', 'x', 'i', 'f', 0,    0,    'M', 'M',
                                       0,    42,   0, 0,  0,   8,   0,   1,   0x01, 0x12, 0,   3,
                                       0,    0,    0, 1,  0,   6,   0,   0,   0,    0,    0,   0};
  jpeg.insert(jpeg.begin() + 2, exif.begin(), exif.end());
  return jpeg;
}

}  // namespace

TEST_CASE("users' folders: boxes in whole and broken numbers", "[users]") {
  BothWays both("users_boxes");
  both.photo("a.png", grey_png(40, 30, 1), 40, 30, {2, 3, 12, 13});
  both.photo("b.png", grey_png(40, 30, 2), 40, 30, {2.25, 3.5, 12.75, 13.125});
  for (const PhotoFolder* folder : {&both.voc, &both.coco}) {
    const auto photos = open_photos(folder->root);
    REQUIRE(photos->size() == 2);
    CHECK(photos->report().total() == 0);
    CHECK(photos->get(0).target.boxes.to_vector() == std::vector<Scalar>{2, 3, 12, 13});
    CHECK(photos->get(1).target.boxes.to_vector() == std::vector<Scalar>{2.25, 3.5, 12.75, 13.125});
    CHECK(examine(folder->root).faults.kinds().empty());
  }
}

TEST_CASE("users' folders: boxes a pixel outside, or of zero size", "[users]") {
  BothWays both("users_edges");
  both.photo("a.png", grey_png(40, 30, 1), 40, 30, {-1, 0, 20, 31});
  both.photo("b.png", grey_png(40, 30, 2), 40, 30, {5, 5, 20, 20});
  both.photo("c.png", grey_png(40, 30, 3), 40, 30, {7, 5, 7, 20});
  for (const PhotoFolder* folder : {&both.voc, &both.coco}) {
    const auto photos = open_photos(folder->root);
    REQUIRE(photos->size() == 3);
    CHECK(photos->get(0).target.boxes.to_vector() == std::vector<Scalar>{0, 0, 20, 30});
    CHECK(photos->get(2).target.labels.empty());
    const Checkup checkup = examine(folder->root);
    CHECK(checkup.faults.count(FaultKind::slightly_outside) == 1);
    // VOC's corners of this box are (8, 6, 7, 20): exchanged.
    CHECK(checkup.faults.count(FaultKind::no_area) + checkup.faults.count(FaultKind::reversed) ==
          1);
    CHECK(checkup.empty_images == 1);
  }
}

TEST_CASE("users' folders: sizes that are zero or another picture's", "[users]") {
  BothWays both("users_sizes");
  both.photo("a.png", grey_png(40, 30, 1), 0, 0, {2, 3, 12, 13});
  both.photo("b.png", grey_png(40, 30, 2), 30, 40, {2, 3, 12, 13});
  both.photo("c.png", grey_png(40, 30, 3), 640, 480, {2, 3, 12, 13});
  for (const PhotoFolder* folder : {&both.voc, &both.coco}) {
    const auto photos = open_photos(folder->root);
    REQUIRE(photos->size() == 3);
    for (int i = 0; i < 3; ++i) {
      CHECK(photos->get(i).image.width() == 40);
      CHECK(photos->get(i).target.boxes.to_vector() == std::vector<Scalar>{2, 3, 12, 13});
    }
    CHECK(examine(folder->root).faults.count(FaultKind::size_differs) == 3);
  }
}

TEST_CASE("users' folders: filenames without extension, or with another", "[users]") {
  const PhotoFolder folder("users_names");
  const WrittenBox box{"thing", "3", "4", "12", "13"};
  // The annotation's own name finds the first two; only <filename> finds the others.
  for (const auto& [stem, filename, picture] :
       std::vector<std::array<const char*, 3>>{{"a", "a", "a.png"},
                                               {"b", "b.jpg", "b.png"},
                                               {"c_labels", "c", "c.png"},
                                               {"d_labels", "D:\\photos\\d.JPG", "d.png"},
                                               {"e_labels", "e.v2.jpeg", "e.v2.png"}}) {
    folder.text(concat("Annotations/", stem, ".xml"), voc_text({box}, 40, 30, filename));
    folder.picture(concat("JPEGImages/", picture), 40, 30, static_cast<std::uint8_t>(stem[0]));
  }
  const auto photos = open_photos(folder.root);
  REQUIRE(photos->size() == 5);
  CHECK(photos->get(0).name == "a.png");
  CHECK(photos->get(1).name == "b.png");
  CHECK(photos->get(2).name == "c.png");
  CHECK(photos->get(3).name == "d.png");
  CHECK(photos->get(4).name == "e.v2.png");
  CHECK(examine(folder.root).faults.faults() == 0);  // none of these is an orphan
}

TEST_CASE("users' folders: every kind of JPEG", "[users]") {
  BothWays both("users_jpegs");
  both.photo("baseline.jpg", golden::kJpeg, 48, 32, {2, 3, 12, 13});
  both.photo("cmyk.jpg", golden::kCmyk, 16, 16, {2, 3, 12, 13});
  both.photo("grey.jpg", golden::kGreyJpeg, 9, 7, {1, 1, 8, 6});
  both.photo("lying.jpg", lying_jpeg(), 24, 16, {2, 3, 22, 13});
  both.photo("progressive.jpg", golden::kProgressive, 48, 32, {2, 3, 12, 13});
  for (const PhotoFolder* folder : {&both.voc, &both.coco}) {
    const auto photos = open_photos(folder->root);
    REQUIRE(photos->size() == 5);
    CHECK(photos->report().total() == 0);
    for (int i = 0; i < 5; ++i) CHECK_NOTHROW(photos->get(i));  // as large as its header said
    CHECK(photos->get(3).image.width() == 24);                  // upright
    CHECK(photos->get(3).target.boxes.to_vector() == std::vector<Scalar>{2, 3, 22, 13});
    CHECK(examine(folder->root).faults.kinds().empty());
  }
  // Annotated by a tool that did not look at the tag.
  BothWays turned("users_turned");
  turned.photo("a.jpg", lying_jpeg(), 16, 24, {2, 3, 12, 13});
  for (const PhotoFolder* folder : {&turned.voc, &turned.coco})
    CHECK_THAT(examine(folder->root).faults.of(FaultKind::size_differs).at(0).value,
               Catch::Contains("annotated before it was turned?"));
}

TEST_CASE("users' folders: a JPEG whose last 20 bytes are missing", "[users]") {
  BothWays both("users_short");
  std::vector<std::uint8_t> cut = bytes_of(golden::kJpeg);
  cut.erase(cut.end() - 20, cut.end());
  both.photo("a.jpg", golden::kJpeg, 48, 32, {2, 3, 12, 13});
  both.photo("b.jpg", cut, 48, 32, {2, 3, 12, 13});
  for (const PhotoFolder* folder : {&both.voc, &both.coco}) {
    CHECK(open_photos(folder->root)->size() == 1);
    const Checkup checkup = examine(folder->root);
    REQUIRE(checkup.faults.count(FaultKind::bad_image) == 1);
    CHECK(checkup.faults.of(FaultKind::bad_image)[0].file.filename() == "b.jpg");
    CHECK(checkup.faults.faults() == 1);  // it is not an orphan, too
  }
}

TEST_CASE("users' folders: images of every size in one batch", "[users]") {
  BothWays both("users_every_size");
  both.photo("a.png", grey_png(178, 283, 1), 178, 283, {0, 0, 89, 283});
  both.photo("b.png", grey_png(2000, 1333, 2), 2000, 1333, {1000, 0, 2000, 1333});
  for (const PhotoFolder* folder : {&both.voc, &both.coco}) {
    const auto photos = open_photos(folder->root);
    REQUIRE(photos->size() == 2);
    std::vector<Sample> samples;
    for (int i = 0; i < 2; ++i) samples.push_back(resize_longer_side(photos->get(i), 96));
    const Batch batch = collate(samples, {.multiple_px = 32});
    CHECK(batch.images.shape() == Shape({2, 96, 96, 3}));
    // Scales lead back to the file's pixels.
    CHECK(samples[1].target.boxes.data()[0] / static_cast<Scalar>(samples[1].scale_x) ==
          Approx(1000));
    CHECK(examine(folder->root).faults.faults() == 0);
  }
}

TEST_CASE("users' folders: the same image under two names", "[users]") {
  BothWays both("users_copies");
  both.photo("a.png", grey_png(40, 30, 1), 40, 30, {2, 3, 12, 13});
  both.photo("b.png", grey_png(40, 30, 1), 40, 30, {2, 3, 12, 13});
  both.photo("c.png", grey_png(40, 30, 2), 40, 30, {2, 3, 12, 13});
  for (const PhotoFolder* folder : {&both.voc, &both.coco}) {
    CHECK(open_photos(folder->root)->size() == 3);
    CHECK(examine(folder->root).faults.count(FaultKind::copy) == 1);
    CHECK(examine(folder->root).faults.faults() == 1);
  }
}

TEST_CASE("users' folders: halves without the other half", "[users]") {
  BothWays both("users_halves");
  for (const char* name : {"a.png", "b.png", "c.png"})
    both.photo(name, grey_png(40, 30, static_cast<std::uint8_t>(name[0])), 40, 30, {2, 3, 12, 13});
  std::filesystem::remove(both.voc.root / "JPEGImages/b.png");
  std::filesystem::remove(both.coco.root / "images/b.png");
  both.voc.picture("JPEGImages/d.png", 40, 30, 200);
  both.coco.picture("images/d.png", 40, 30, 200);
  for (const PhotoFolder* folder : {&both.voc, &both.coco}) {
    CHECK(open_photos(folder->root)->size() == 2);
    const Checkup checkup = examine(folder->root);
    CHECK(checkup.faults.count(FaultKind::missing_image) == 1);
    REQUIRE(checkup.faults.count(FaultKind::orphan_image) == 1);
    CHECK(checkup.faults.of(FaultKind::orphan_image)[0].file.filename() == "d.png");
  }
}

TEST_CASE("users' folders: byte order marks, Windows line ends, no lists", "[users]") {
  const PhotoFolder folder("users_windows");
  const std::string text = voc_text({{"thing", "3", "4", "12", "13"}}, 40, 30, "a.png");
  std::string windows = "\xEF\xBB\xBF<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n";
  for (const char c : text) windows += c == '\n' ? std::string("\r\n") : std::string(1, c);
  for (int i = 0; i < 10; ++i) {
    folder.text(concat("Annotations/", i, ".xml"), windows);
    folder.picture(concat("JPEGImages/", i, ".png"), 40, 30, static_cast<std::uint8_t>(i));
  }
  CHECK(photo_splits(folder.root).empty());
  CHECK(open_photos(folder.root, {.split = "train"})->size() == 8);
  CHECK(open_photos(folder.root, {.split = "val"})->size() == 2);
  const Checkup checkup = examine(folder.root);
  CHECK(checkup.faults.kinds().empty());
  REQUIRE(checkup.splits.size() == 1);
  CHECK(checkup.splits[0].boxes == 10);
  // COCO's counterpart.
  const PhotoFolder coco("users_windows_coco");
  const std::string json =
      coco_text({{"a.png", 40, 30, {{"thing", "2", "3", "10", "10"}}}}, {"thing"});
  std::string marked = "\xEF\xBB\xBF";
  for (const char c : json) marked += c == '\n' ? std::string("\r\n") : std::string(1, c);
  coco.text("annotations.json", marked);
  coco.picture("a.png", 40, 30, 1);
  CHECK(open_photos(coco.root)->size() == 1);
}
