#include <vector>

#include "core/exif.h"
#include "core/image.h"
#include "tests/catch.h"
#include "tests/golden/images.h"

namespace boxgrad {
namespace {

using Bytes = std::vector<std::uint8_t>;

// A TIFF block with one directory: an unrelated entry, then orientation.
Bytes tiff(int orientation, bool big_endian) {
  Bytes block;
  const auto put = [&](unsigned value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i)
      block.push_back(static_cast<std::uint8_t>(value >> 8 * (big_endian ? size - 1 - i : i)));
  };
  block = {big_endian ? std::uint8_t{'M'} : std::uint8_t{'I'},
           big_endian ? std::uint8_t{'M'} : std::uint8_t{'I'}};
  put(42, 2), put(8, 4), put(2, 2);
  put(0x0110, 2), put(2, 2), put(3, 4), put(0x41424300, 4);
  put(0x0112, 2), put(3, 2), put(1, 4), put(static_cast<unsigned>(orientation), 2), put(0, 2);
  put(0, 4);
  return block;
}

Bytes with_exif(const Bytes& block) {
  Bytes jpeg(golden::kBlocks, golden::kBlocks + sizeof golden::kBlocks);
  const std::size_t length = block.size() + 8;
  Bytes segment = {0xff,
                   0xe1,
                   static_cast<std::uint8_t>(length >> 8),
                   static_cast<std::uint8_t>(length),
                   'E',
                   'x',
                   'i',
                   'f',
                   0,
                   0};
  segment.insert(segment.end(), block.begin(), block.end());
  jpeg.insert(jpeg.begin() + 2, segment.begin(), segment.end());
  return jpeg;
}

}  // namespace

TEST_CASE("the eight orientations come out as Pillow's exif_transpose has them", "[exif][image]") {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const std::uint8_t* row = golden::kUprightBlocks + 7 * (orientation - 1);
    const int across = row[0], down = 6 / across;
    for (const bool big_endian : {false, true}) {
      const Image image = Image::decode(with_exif(tiff(orientation, big_endian)), "x.jpg");
      INFO("orientation " << orientation);
      REQUIRE(image.width() == 8 * across);
      REQUIRE(image.height() == 8 * down);
      for (int i = 0; i < 6; ++i) {
        const std::uint8_t* pixel = image.pixel(8 * (i % across) + 4, 8 * (i / across) + 4);
        for (int c = 0; c < 3; ++c)
          CHECK(std::abs(pixel[c] - golden::kBlockColors[3 * row[1 + i] + c]) <= 4);
      }
    }
  }
}

TEST_CASE("a PNG's eXIf chunk counts too", "[exif][image]") {
  const Image image = Image::decode(golden::kPngExif, "x.png");
  REQUIRE((image.width() == 1 && image.height() == 2));
  CHECK(image.pixel(0, 0)[0] == 255);
  CHECK(image.pixel(0, 1)[2] == 255);
}

TEST_CASE("malformed EXIF counts as upright", "[exif]") {
  for (const bool big_endian : {false, true}) {
    const Bytes good = tiff(6, big_endian);
    CHECK(exif_orientation(good) == 6);
    // Cut anywhere before the end of the orientation entry.
    for (std::size_t size = 0; size < good.size(); ++size) {
      const Bytes exact(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
      CHECK(exif_orientation(exact) == (size >= 34 ? 6 : 1));
    }
    // Every single byte changed to every value: some number from 1 to 8, and nothing worse.
    for (std::size_t i = 0; i < good.size(); ++i)
      for (int value = 0; value < 256; ++value) {
        Bytes damaged = good;
        damaged[i] = static_cast<std::uint8_t>(value);
        const int orientation = exif_orientation(damaged);
        if (orientation < 1 || orientation > 8) FAIL("orientation " << orientation);
      }
    CHECK(exif_orientation(tiff(0, big_endian)) == 1);
    CHECK(exif_orientation(tiff(9, big_endian)) == 1);
  }
  Bytes far = tiff(6, false);
  far[4] = far[5] = far[6] = far[7] = 0xff;  // the directory lies outside
  CHECK(exif_orientation(far) == 1);
  CHECK(Image::decode(with_exif(far), "x.jpg").width() == 16);
  CHECK(Image::decode(with_exif({}), "x.jpg").width() == 16);
}

}  // namespace boxgrad
