#include "detection/boxes.h"
#include "detection/data/voc.h"
#include "tests/catch.h"
#include "tests/photo_folder.h"
#include "tests/tools/pasted_photos.h"

using namespace boxgrad;
using namespace boxgrad::detection;

TEST_CASE("PastedPhotos: a VOC folder whose boxes are where shoes were pasted", "[data][pasted]") {
  const PhotoFolder folder("pasted");
  for (const int grey : {40, 200})  // without a texture every other pixel is of an item
    folder.picture(concat("backgrounds/", grey, ".png"), 1000, 900,
                   static_cast<std::uint8_t>(grey));
  const PastedPhotos photos(
      {.backgrounds = folder.root / "backgrounds", .train = 12, .val = 3, .test = 5});
  const auto boxes = photos.write(folder.root / "voc");

  std::size_t split = 0;
  for (const auto& [name, size] : {std::pair("train", 12), {"val", 3}, {"test", 5}}) {
    const VocDataset read(folder.root / "voc", {.split = name, .strict = true});
    CHECK(read.class_names() == std::vector<std::string>{"shoe"});
    REQUIRE(read.size() == size);
    std::int64_t shoes = 0;
    for (std::int64_t i = 0; i < size; ++i) {
      const Sample sample = read.get(i);
      const PastedPhoto pasted = photos.photo(name, i);  // the same again
      CHECK(sample.image == pasted.image);
      CHECK(sample.image.width() * sample.image.height() * 4 ==
            3 * std::max(sample.image.width(), sample.image.height()) *
                std::max(sample.image.width(), sample.image.height()));
      std::vector<Scalar> corners;
      for (const PixelBox& box : pasted.shoes)
        for (const int corner : {box.x1, box.y1, box.x2, box.y2})
          corners.push_back(static_cast<Scalar>(corner));
      CHECK(sample.target.boxes.to_vector() == corners);
      CHECK(sample.target.boxes.size(0) >= 1);
      shoes += sample.target.boxes.size(0);

      // Nothing but items differs from the background, whose grey says which photo it was.
      const std::uint8_t grey = name == std::string("train") ? 200 : 40;
      std::int64_t outside = 0;
      for (int y = 0; y < pasted.image.height(); ++y)
        for (int x = 0; x < pasted.image.width(); ++x) {
          const std::uint8_t* pixel = pasted.image.pixel(x, y);
          const auto inside = [&](const PixelBox& b) {
            return x >= b.x1 && x < b.x2 && y >= b.y1 && y < b.y2;
          };
          if (std::ranges::any_of(pasted.items, inside)) continue;
          // Below kVisible an item is faint, but may be there.
          for (int c = 0; c < 3; ++c) outside += std::abs(pixel[c] - grey) > 110;
        }
      CHECK(outside == 0);
    }
    CHECK(shoes == boxes[split++]);
  }
}

TEST_CASE("PastedPhotos: another seed, other photos; too few are refused", "[data][pasted]") {
  const PhotoFolder folder("pasted_few");
  folder.picture("backgrounds/a.png", 700, 700, 100);
  const std::filesystem::path backgrounds = folder.root / "backgrounds";
  CHECK_THROWS_WITH(PastedPhotos({.backgrounds = backgrounds}),
                    ContainsSubstring("must hold two photos at least (.jpg, .png), got 1"));
  CHECK_THROWS_WITH(PastedPhotos({.backgrounds = folder.root / "none"}),
                    ContainsSubstring("there is no folder"));
  folder.picture("backgrounds/b.png", 700, 700, 50);
  const PastedPhotos zero({.backgrounds = backgrounds, .seed = 0}),
      one({.backgrounds = backgrounds, .seed = 1});
  CHECK_FALSE(zero.photo("val", 0).image == one.photo("val", 0).image);
  CHECK_FALSE(zero.photo("val", 0).image == zero.photo("test", 0).image);
}
