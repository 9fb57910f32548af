// Files that were cut, damaged or built to break the decoder: each gives a picture or an error.
#include <algorithm>
#include <string>
#include <vector>

#include "core/image.h"
#include "tests/catch.h"
#include "tests/golden/images.h"

namespace boxgrad {
namespace {

using Catch::Contains;
using Bytes = std::vector<std::uint8_t>;

Bytes bytes_of(std::span<const std::uint8_t> data) { return {data.begin(), data.end()}; }

bool decodes(const Bytes& data) {
  try {
    Image::decode(Bytes(data), "x.img");  // a copy of exactly this size, for AddressSanitizer
    return true;
  } catch (const std::invalid_argument& error) {
    const std::string text = error.what();
    if (text.rfind("Image::read: \"x.img\": ", 0) != 0 || text.find('\n') != std::string::npos)
      FAIL("message: " << text);
    return false;
  }
}

std::string message(const Bytes& data) {
  try {
    Image::decode(data, "x.img");
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

Bytes cut(std::span<const std::uint8_t> file, std::size_t size) {
  return bytes_of(file.first(size));
}

// Where the segment with this marker starts (its 0xff).
std::size_t find_marker(const Bytes& jpeg, int marker) {
  for (std::size_t i = 0; i + 1 < jpeg.size(); ++i)
    if (jpeg[i] == 0xff && jpeg[i + 1] == marker) return i;
  FAIL("no marker " << marker);
  return 0;
}

Bytes insert(Bytes jpeg, std::size_t at, const Bytes& segment) {
  jpeg.insert(jpeg.begin() + static_cast<std::ptrdiff_t>(at), segment.begin(), segment.end());
  return jpeg;
}

Bytes huffman_segment(int count_of_each_length, std::size_t values, bool true_length) {
  Bytes segment(21 + values, 1);  // marker, length, table number, 16 counts, values
  std::fill_n(segment.begin() + 5, 16, static_cast<std::uint8_t>(count_of_each_length));
  segment[0] = 0xff;
  segment[1] = 0xc4;
  segment[4] = 0x00;  // a DC table, number 0
  const std::size_t length = true_length ? segment.size() - 2 : 19;
  segment[2] = static_cast<std::uint8_t>(length >> 8);
  segment[3] = static_cast<std::uint8_t>(length);
  return segment;
}

}  // namespace

TEST_CASE("a PNG cut at any byte is refused", "[image][armour]") {
  for (const auto file : {std::span<const std::uint8_t>(golden::kPngNoise),
                          std::span<const std::uint8_t>(golden::kPngPaletteAlpha),
                          std::span<const std::uint8_t>(golden::kPngInterlaced)}) {
    REQUIRE(decodes(bytes_of(file)));
    for (std::size_t size = 0; size < file.size(); ++size) CHECK_FALSE(decodes(cut(file, size)));
  }
  CHECK_THAT(message(cut(golden::kPngNoise, 700)), Contains("the PNG file ends early"));
  CHECK_THAT(message(cut(golden::kPngNoise, 4)), Contains("the file ends after 4 bytes"));
}

TEST_CASE("a JPEG cut inside its picture is refused, one without end marker is not",
          "[image][armour]") {
  const std::span<const std::uint8_t> file = golden::kJpeg;
  const Image whole = Image::decode(file, "x.jpg");
  for (std::size_t size = 0; size + 4 <= file.size(); ++size) {
    INFO("size " << size);
    CHECK_FALSE(decodes(cut(file, size)));
  }
  CHECK_THAT(message(cut(file, file.size() - 200)), Contains("in the middle of the picture"));
  CHECK_THAT(message(cut(file, 100)), Contains("the JPEG file ends early"));

  CHECK(Image::decode(file.first(file.size() - 1), "x.jpg") == whole);  // ends with half a marker
  CHECK(Image::decode(file.first(file.size() - 2), "x.jpg") == whole);
  Bytes zeros = cut(file, file.size() - 2);
  zeros.resize(zeros.size() + 1000, 0);  // an interrupted copy: right length, zeros at the end
  CHECK(Image::decode(zeros, "x.jpg") == whole);
  zeros = cut(file, file.size() - 300);
  zeros.resize(file.size(), 0);
  CHECK_THAT(message(zeros), Contains("in the middle of the picture"));

  // A progressive file may always miss a refinement, so it needs its end.
  const std::span<const std::uint8_t> progressive = golden::kProgressive;
  for (std::size_t size = 0; size < progressive.size(); ++size)
    CHECK_FALSE(decodes(cut(progressive, size)));
}

TEST_CASE("Huffman tables that overrun the decoder's are refused", "[image][armour]") {
  const Bytes jpeg = bytes_of(golden::kJpeg);
  const std::size_t at = find_marker(jpeg, 0xc4);
  CHECK_THAT(message(insert(jpeg, at, huffman_segment(17, 272, true))),
             Contains("a Huffman table holds at most 256 codes, got 272"));
  CHECK_THAT(message(insert(jpeg, at, huffman_segment(255, 4080, true))), Contains("got 4080"));
  CHECK_THAT(message(insert(jpeg, at, huffman_segment(16, 0, false))),
             Contains("a Huffman table has 256 codes, but only 0 bytes follow"));
  // A header that stops after a few counts: the decoder would take the rest from behind it.
  CHECK_THAT(message(insert(jpeg, at, {0xff, 0xc4, 0, 5, 0, 255, 255})),
             Contains("needs a header of 17 bytes, got 3"));
  CHECK_THAT(message(insert(jpeg, at, {0xff, 0xc4, 0, 1})), Contains("at least 2 bytes"));
  Bytes unknown = jpeg;
  unknown[at + 4] = 0x25;
  CHECK_THAT(message(unknown), Contains("no such Huffman table: class 2, number 5"));
}

TEST_CASE("a JPEG whose parts do not fit together is refused in words", "[image][armour]") {
  const Bytes jpeg = bytes_of(golden::kJpeg);
  const std::size_t frame = find_marker(jpeg, 0xc0), scan = find_marker(jpeg, 0xda);
  const auto changed = [&](std::size_t at, int value) {
    Bytes copy = jpeg;
    copy[at] = static_cast<std::uint8_t>(value);
    return message(copy);
  };
  CHECK_THAT(changed(frame + 1, 0xc9), Contains("arithmetic-coded"));
  CHECK_THAT(changed(frame + 1, 0xc3), Contains("a lossless one"));
  CHECK_THAT(changed(frame + 4, 12), Contains("8 bits a channel, got 12"));
  CHECK_THAT(changed(frame + 9, 2), Contains("length does not match"));
  CHECK_THAT(changed(frame + 11, 0x05), Contains("sampled 0 x 5"));
  CHECK_THAT(changed(frame + 13, 1), Contains("two colour components have the number 1"));
  CHECK_THAT(changed(scan + 5, 9), Contains("colour component 9, which does not exist"));
  CHECK_THAT(changed(scan + 6, 0x33), Contains("a Huffman table that was not defined"));
  CHECK_THAT(changed(frame + 12, 3), Contains("a quantisation table that was not defined"));

  Bytes cmyk = bytes_of(golden::kCmyk);
  cmyk[find_marker(cmyk, 0xee) + 4] = 'B';  // no longer "Adobe"
  CHECK_THAT(message(cmyk), Contains("no Adobe marker"));

  // Thousands of scans over one picture would take the decoder hours.
  Bytes progressive = bytes_of(golden::kProgressive);
  const std::size_t first = find_marker(progressive, 0xda);
  const Bytes header(progressive.begin() + static_cast<std::ptrdiff_t>(first),
                     progressive.begin() + static_cast<std::ptrdiff_t>(first) + 14);
  for (int i = 0; i < 200; ++i) progressive = insert(progressive, first, header);
  CHECK_THAT(message(progressive), Contains("more than 128 scans"));
}

TEST_CASE("a damaged PNG is refused in words", "[image][armour]") {
  Bytes png = bytes_of(golden::kPngNoise);
  png[200] ^= 1;
  CHECK_THAT(message(png), Contains("the checksum of chunk IDAT"));
  png = bytes_of(golden::kPngNoise);
  png[24] = 7;
  CHECK_THAT(message(png), Contains("the checksum of chunk IHDR"));
  png = bytes_of(golden::kPngNoise);
  png[12] = 'J';
  CHECK_THAT(message(png), Contains("IHDR must be the first chunk"));
}

TEST_CASE("damage anywhere gives a picture or an error", "[image][armour]") {
  std::uint32_t state = 7;
  const auto next = [&](std::size_t n) {
    return static_cast<std::size_t>((state = state * 1664525 + 1013904223) >> 8) % n;
  };
  int decoded = 0;
  for (const Bytes& file : {bytes_of(golden::kJpeg), bytes_of(golden::kProgressive),
                            bytes_of(golden::kCmyk), bytes_of(golden::kBmp24)})
    for (int i = 0; i < 300; ++i) {
      Bytes damaged = file;
      for (std::size_t k = 0; k <= next(4); ++k)
        damaged[next(file.size())] = static_cast<std::uint8_t>(next(256));
      decoded += decodes(damaged);
    }
  CHECK(decoded > 0);  // damage among the coefficients is not visible to any decoder
}

}  // namespace boxgrad
