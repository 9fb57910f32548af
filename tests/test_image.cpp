#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>

#include "core/image.h"
#include "core/image_check.h"
#include "tests/catch.h"
#include "tests/golden/images.h"

namespace boxgrad {
namespace {

using Catch::Contains;
using Bytes = std::vector<std::uint8_t>;

Bytes bytes_of(std::span<const std::uint8_t> data) { return {data.begin(), data.end()}; }
Image decode(std::span<const std::uint8_t> data) { return Image::decode(data, "x.img"); }

Image from_rgb(int width, int height, std::span<const std::uint8_t> rgb) {
  Image image(width, height);
  REQUIRE(rgb.size() == image.data().size());
  std::copy(rgb.begin(), rgb.end(), image.data().begin());
  return image;
}

// Decodes what may be anything: either a picture or an error of one line that names the file.
bool decodes(std::span<const std::uint8_t> data) {
  // A copy of exactly this size, so that AddressSanitizer sees a read past the end.
  const Bytes exact(data.begin(), data.end());
  try {
    Image::decode(exact, "x.img");
    return true;
  } catch (const std::invalid_argument& error) {
    const std::string text = error.what();
    if (text.rfind("Image::read: \"x.img\": ", 0) != 0 || text.find('\n') != std::string::npos)
      FAIL("message: " << text);
    return false;
  }
}

void check_near(const std::uint8_t* pixel, std::span<const std::uint8_t> rgb, int tolerance) {
  for (std::size_t c = 0; c < 3; ++c) {
    INFO("channel " << c << ": " << +pixel[c] << ", expected " << +rgb[c]);
    CHECK(std::abs(pixel[c] - rgb[c]) <= tolerance);
  }
}

// The six places that tests/golden/images.py asked Pillow about.
void check_points(const Image& image, std::span<const std::uint8_t> rgb, int tolerance) {
  constexpr int kPoints[6][2] = {{3, 2}, {14, 12}, {40, 5}, {25, 20}, {10, 29}, {46, 30}};
  for (std::size_t i = 0; i < 6; ++i)
    check_near(image.pixel(kPoints[i][0], kPoints[i][1]), rgb.subspan(3 * i, 3), tolerance);
}

Image noise(int width, int height) {
  Image image(width, height);
  std::uint32_t state = 1;
  for (auto& value : image.data())
    value = static_cast<std::uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  return image;
}

struct TemporaryFolder {
  std::filesystem::path path;
  explicit TemporaryFolder(const std::string& name)
      : path(std::filesystem::temp_directory_path() /
             ("boxgrad_" + name + std::to_string(::getpid()))) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE("JPEG files decode as Pillow decodes them", "[image]") {
  const Image baseline = decode(golden::kJpeg);
  REQUIRE(baseline.width() == 48);
  REQUIRE(baseline.height() == 32);
  check_points(baseline, golden::kJpegPoints, 12);  // smoothing of 4:2:0 chroma differs a little
  check_points(decode(golden::kProgressive), golden::kProgressivePoints, 3);

  const Image grey = decode(golden::kGreyJpeg);
  REQUIRE(grey.width() == 9);
  CHECK(grey.pixel(8, 6)[0] == 77);
  CHECK(grey.pixel(8, 6)[2] == 77);

  const Image tiny = decode(golden::kTinyJpeg);
  REQUIRE((tiny.width() == 1 && tiny.height() == 1));
  check_near(tiny.pixel(0, 0), Bytes{200, 100, 50}, 3);

  check_near(decode(golden::kCmyk).pixel(8, 8), golden::kCmykMiddle, 4);
}

TEST_CASE("every kind of PNG becomes upright RGB on white", "[image]") {
  CHECK(decode(golden::kPngGrey) == from_rgb(3, 2, golden::kPngGreyRgb));
  CHECK(decode(golden::kPngRgb) == from_rgb(3, 2, golden::kPngRgbRgb));
  CHECK(decode(golden::kPngRgba) == from_rgb(3, 2, golden::kPngRgbaRgb));
  CHECK(decode(golden::kPngGreyAlpha) == from_rgb(3, 2, golden::kPngGreyAlphaRgb));
  CHECK(decode(golden::kPng16) == from_rgb(3, 2, golden::kPng16Rgb));
  CHECK(decode(golden::kPng16Alpha) == from_rgb(3, 2, golden::kPng16AlphaRgb));
  CHECK(decode(golden::kPngPalette) == from_rgb(3, 2, golden::kPngPaletteRgb));
  CHECK(decode(golden::kPngPaletteAlpha) == from_rgb(3, 2, golden::kPngRgbaRgb));
  const Bytes one_bit = {255, 255, 255, 0, 0, 0, 255, 255, 255, 0, 0, 0, 255, 255, 255, 0, 0, 0};
  CHECK(decode(golden::kPngOneBit) == from_rgb(3, 2, one_bit));

  Bytes transparent = bytes_of(golden::kPngGreyRgb);
  for (auto& value : transparent)
    if (value == 100) value = 255;
  CHECK(decode(golden::kPngTransparent) == from_rgb(3, 2, transparent));

  const Image interlaced = decode(golden::kPngInterlaced);
  REQUIRE((interlaced.width() == 16 && interlaced.height() == 24));
  for (int i = 0; i < 6; ++i)
    check_near(interlaced.pixel(8 * (i % 2) + 4, 8 * (i / 2) + 4),
               std::span(golden::kBlockColors).subspan(static_cast<std::size_t>(3 * i), 3), 0);
}

TEST_CASE("BMP files decode, short ones do not", "[image]") {
  CHECK(decode(golden::kBmp24) == from_rgb(3, 2, golden::kPngRgbRgb));
  CHECK(decode(golden::kBmp32) == from_rgb(3, 2, golden::kPngRgbRgb));

  Bytes grey(golden::kBmp24, golden::kBmp24 + 54);  // its headers, made to say 8 bits a pixel
  for (int i = 0; i < 256; ++i)
    for (int c = 0; c < 4; ++c) grey.push_back(static_cast<std::uint8_t>(c < 3 ? i : 0));
  grey[10] = 54, grey[11] = 4, grey[28] = 8;
  for (const auto value : golden::kBmpGreyPixels) grey.push_back(value);
  CHECK(decode(grey) == from_rgb(3, 2, golden::kPngGreyRgb));

  for (const Bytes& file : {bytes_of(golden::kBmp24), bytes_of(golden::kBmp32), grey})
    for (std::size_t size = 0; size < file.size(); ++size)
      CHECK_FALSE(decodes(std::span(file).first(size)));
  grey[30] = 1;
  CHECK_THROWS_WITH(decode(grey), Contains("expected an uncompressed BMP"));
}

TEST_CASE("a PNG comes back as it was written", "[image]") {
  for (const auto& [width, height] :
       {std::pair{1, 1}, {2, 3}, {5, 1}, {33, 17}, {4097, 2}, {3, 4097}}) {
    const Image image = noise(width, height);
    CHECK(decode(image.encode_png()) == image);
  }
  const Image flat(300, 200, 10, 20, 30);
  CHECK(flat.encode_png().size() < 1500);
  CHECK(decode(flat.encode_png()) == flat);
  CHECK_THROWS_WITH(Image().encode_png(), Contains("no pixels"));
}

TEST_CASE("write_png leaves a whole picture or nothing", "[image]") {
  const TemporaryFolder folder("image");
  const Image image = noise(20, 10);
  image.write_png(folder.path / "a.png");
  CHECK(Image::read(folder.path / "a.png") == image);
  CHECK_THROWS_WITH(image.write_png(folder.path / "missing" / "a.png"), Contains("missing"));
  CHECK_THROWS_AS(Image().write_png(folder.path / "a.png"), std::invalid_argument);
  CHECK(Image::read(folder.path / "a.png") == image);
  const auto files = std::filesystem::directory_iterator(folder.path);
  CHECK(std::distance(begin(files), end(files)) == 1);
}

TEST_CASE("Image::read names what is wrong with a file", "[image][errors]") {
  const TemporaryFolder folder("image_errors");
  const auto file = [&](const std::string& name, std::string_view content) {
    std::ofstream(folder.path / name, std::ios::binary) << content;
    return folder.path / name;
  };
  CHECK_THROWS_WITH(Image::read("no/dog.jpg"), Contains("Image::read: cannot open \"no/dog.jpg\""));
  CHECK_THROWS_AS(Image::read("no/dog.jpg"), std::invalid_argument);
  CHECK_THROWS_AS(Image::read(folder.path), std::invalid_argument);
  CHECK_THROWS_WITH(Image::read(file("empty.png", "")), Contains("empty.png\": the file is empty"));
  CHECK_THROWS_WITH(Image::read(file("a.jpg", "GIF89a......")), Contains("got a GIF file"));
  CHECK_THROWS_WITH(Image::read(file("b.jpg", "<html>404")), Contains("a web page saved"));
  CHECK_THROWS_WITH(Image::read(file("c.jpg", "RIFF....WEBPVP8 ")), Contains("a WebP file"));
  CHECK_THROWS_WITH(Image::read(file("d.jpg", "version https://git-lfs.github.com/spec/v1")),
                    Contains("git lfs pull"));
  CHECK_THROWS_WITH(Image::decode(Bytes{'h', 'e', 'l', 'l', 'o'}, "two\nlines"),
                    Contains("\"two?lines\": expected a JPEG, PNG or BMP file"));
}

TEST_CASE("limits hold before anything is decoded", "[image][errors]") {
  CHECK_THROWS_WITH(decode(golden::kPngHuge), Contains("cannot hold a picture of 32768 x 32768"));
  const Bytes png = noise(40, 30).encode_png();
  CHECK_THROWS_WITH(Image::decode(png, "x.png", {.max_side_px = 39}), Contains("40 x 30 pixels"));
  CHECK_THROWS_WITH(Image::decode(png, "x.png", {.max_pixels = 1199}), Contains("at most 1199"));
  CHECK_THROWS_WITH(Image::decode(png, "x.png", {.max_file_bytes = 100}), Contains("at most 100"));
  CHECK_THROWS_WITH(Image::decode(png, "x.png", {.max_decoder_bytes = 1000}),
                    Contains("needs 1 MB"));
  CHECK(Image::decode(png, "x.png", {.max_side_px = 40, .max_pixels = 1200}).width() == 40);

  // A JPEG of a few hundred bytes whose header says 65500 x 65500.
  Bytes jpeg = bytes_of(golden::kTinyJpeg);
  for (std::size_t i = 0; i + 9 < jpeg.size(); ++i)
    if (jpeg[i] == 0xff && jpeg[i + 1] == 0xc0)
      jpeg[i + 5] = jpeg[i + 7] = 0xff, jpeg[i + 6] = jpeg[i + 8] = 0xdc;
  CHECK_THROWS_WITH(decode(jpeg), Contains("cannot hold a picture of 65500 x 65500"));
}

TEST_CASE("decoding runs in several threads", "[image]") {
  const Image expected = decode(golden::kJpeg);
  std::vector<Image> images(4);
  std::vector<std::thread> threads;
  for (auto& image : images)
    threads.emplace_back([&image] {
      for (int i = 0; i < 5; ++i) {
        image = decode(golden::kJpeg);
        decodes(std::span(golden::kJpeg).first(500));
      }
    });
  for (auto& thread : threads) thread.join();
  for (const auto& image : images) CHECK(image == expected);
}

TEST_CASE("images and tensors convert both ways", "[image]") {
  const Image image = noise(7, 5);
  const Tensor tensor = image.to_tensor();
  CHECK(tensor.shape() == Shape{5, 7, 3});
  CHECK(tensor.at({4, 6, 2}) == Approx(image.pixel(6, 4)[2] / 255.0));
  CHECK(Image::from_tensor(tensor) == image);

  const Scalar nan = std::numeric_limits<Scalar>::quiet_NaN();
  const Image odd =
      Image::from_tensor(Tensor({1, 2, 3}, {-1, 2, nan, 0.5, Scalar(0.4999 / 255), 1}));
  CHECK(bytes_of(odd.data()) == Bytes{0, 255, 0, 128, 0, 255});
  CHECK_THROWS_WITH(Image::from_tensor(Tensor({2, 2, 4})),
                    "Image::from_tensor: rgb must have shape [H, W, 3], got [2, 2, 4]");
  CHECK_THROWS_WITH(Image(-1, 5), "Image: sides must be >= 0, got -1 x 5");
}

}  // namespace boxgrad
