#include <cmath>
#include <limits>

#include "core/draw.h"
#include "core/font.h"
#include "tests/catch.h"

namespace boxgrad {
namespace {

Color at(const Image& image, int x, int y) {
  const std::uint8_t* p = image.pixel(x, y);
  return {p[0], p[1], p[2]};
}

// The image as text: '#' where it is not white.
std::string ink(const Image& image) {
  std::string text;
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) text += at(image, x, y) == kWhite ? '.' : '#';
    text += '\n';
  }
  return text;
}

int count_ink(const Image& image) {
  int count = 0;
  for (const char c : ink(image)) count += c == '#';
  return count;
}

}  // namespace

TEST_CASE("rectangles lie on whole pixels and are clipped", "[draw]") {
  Image image(7, 5, kWhite);
  draw_rectangle(image, 1.5, 1.5, 5.5, 3.5, kBlack, {.thickness = 1});
  CHECK(ink(image) ==
        ".......\n"
        ".#####.\n"
        ".#...#.\n"
        ".#####.\n"
        ".......\n");
  Image thick(8, 8, kWhite);
  draw_rectangle(thick, 1, 1, 7, 7, kBlack, {.thickness = 2});
  CHECK(count_ink(thick) == 64 - 16);
  CHECK(at(thick, 2, 2) == kWhite);
  CHECK(at(thick, 5, 5) == kWhite);

  Image outside(4, 4, kWhite);
  draw_rectangle(outside, -1e30, 2, 1e30, 1e9, kBlack, {.thickness = 2, .dash = 3});
  CHECK(count_ink(outside) > 0);
  draw_rectangle(outside, 50, 50, 60, 60, kBlack);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Image before = outside;
  draw_rectangle(outside, nan, 0, 1, 1, kBlack);
  fill_rectangle(outside, 0, 0, nan, 1, kBlack);
  draw_line(outside, 0, 0, INFINITY, 1, kBlack);
  draw_text(outside, nan, 0, "x", kBlack);
  CHECK(outside == before);
}

TEST_CASE("a translucent outline is even, corners included", "[draw]") {
  for (const auto& [width, height] : {std::pair{5.0, 5.0}, {1.0, 1.0}, {0.0, 0.0}, {2.0, 6.0}}) {
    Image image(14, 14, kWhite);
    draw_rectangle(image, 3, 3, 3 + width, 3 + height, kBlack, {.thickness = 3, .opacity = 0.5});
    for (int y = 0; y < 14; ++y)
      for (int x = 0; x < 14; ++x) {
        const int value = at(image, x, y).red;
        if (value != 255 && value != 127 && value != 128) FAIL("pixel " << x << " " << y << value);
      }
  }
}

TEST_CASE("fill_rectangle blends", "[draw]") {
  Image image(3, 1, Color{100, 100, 100});
  fill_rectangle(image, 0, 0, 1, 1, {200, 0, 100}, 0.25);
  fill_rectangle(image, 1, -5, 2, 9, {1, 2, 3});
  fill_rectangle(image, 2, 0, 3, 1, {1, 2, 3}, 0);
  CHECK(at(image, 0, 0) == Color{125, 75, 100});
  CHECK(at(image, 1, 0) == Color{1, 2, 3});
  CHECK(at(image, 2, 0) == Color{100, 100, 100});
}

TEST_CASE("lines, circles and arrows", "[draw]") {
  Image line(5, 3, kWhite);
  draw_line(line, 0.5, 1.5, 4.5, 1.5, kBlack, {.thickness = 1});
  CHECK(ink(line) == ".....\n#####\n.....\n");
  CHECK(at(line, 2, 1) == kBlack);

  Image disc(11, 11, kWhite);
  fill_circle(disc, 5.5, 5.5, 4, kBlack);
  CHECK(at(disc, 5, 5) == kBlack);
  CHECK(at(disc, 1, 1) == kWhite);
  double darkness = 0;
  for (int y = 0; y < 11; ++y)
    for (int x = 0; x < 11; ++x) darkness += (255 - at(disc, x, y).red) / 255.0;
  CHECK(darkness == Approx(3.14159 * 16).epsilon(0.02));  // the area, soft edges included

  Image ring(21, 21, kWhite);
  draw_circle(ring, 10.5, 10.5, 7, kBlack, {.thickness = 2});
  CHECK(at(ring, 10, 10) == kWhite);
  CHECK(at(ring, 17, 10) == kBlack);

  Image arrow(40, 21, kWhite);
  draw_arrow(arrow, 2, 10.5, 38, 10.5, kBlack, {.thickness = 2});
  CHECK(at(arrow, 10, 10) == kBlack);
  CHECK(at(arrow, 31, 8) == kBlack);  // the head is wider than the shaft
  CHECK(at(arrow, 20, 8) == kWhite);
  CHECK(at(arrow, 39, 4) == kWhite);
  draw_plus(arrow, 100, 100, 3, kBlack);
  draw_cross(arrow, -3, 4, 6, kBlack);
  CHECK_THROWS_WITH(draw_line(arrow, 0, 0, 1, 1, kBlack, {.thickness = 0}),
                    Catch::Contains("thickness must be 1 to 65536"));
}

TEST_CASE("text", "[draw]") {
  Image image(11, 9, kWhite);
  draw_text(image, 0, 0, "Ag", kBlack);
  CHECK(ink(image) ==
        "..#........\n"
        ".#.#.......\n"
        "#...#..####\n"
        "#...#.#...#\n"
        "#####.#...#\n"
        "#...#.#...#\n"
        "#...#..####\n"
        "..........#\n"
        ".......###.\n");
  CHECK(text_width("Ag") == 11);
  CHECK(text_width("Ag", 3) == 33);
  CHECK(text_width("") == 0);
  Image large(22, 18, kWhite);
  draw_text(large, 0, 0, "Ag", kBlack, 2);
  CHECK(large == enlarge_pixels(image, 2));
  CHECK(enlarged(Image(32, 16)).second == 4);
  CHECK(enlarged(Image(640, 480)).second == 1);
  CHECK(enlarged(Image(150, 100)).first.height() == 200);

  // One box for each character that the font does not have, and no way to overrun it.
  CHECK(glyphs_of("a\xc3\xa9\xe4\xbd\xa0\n").size() == 4);
  for (int c = 0; c < 256; ++c)
    draw_text(image, -3, 2, std::string(3, static_cast<char>(c)), kBlack);
  for (int c = 33; c < 127; ++c) {  // every glyph has ink, and no two are the same
    Image one(5, 9, kWhite);
    draw_text(one, 0, 0, std::string(1, static_cast<char>(c)), kBlack);
    CHECK(count_ink(one) > 0);
    for (int other = 33; other < c; ++other) {
      Image two(5, 9, kWhite);
      draw_text(two, 0, 0, std::string(1, static_cast<char>(other)), kBlack);
      if (one == two) FAIL("glyphs " << c << " and " << other);
    }
  }
  CHECK(fit_text("abcdef", 35) == "abcdef");
  CHECK(fit_text("abcdef", 34) == "abc..");
  CHECK(fit_text("ab\xc3\xa9x", 22) == "a..");
  CHECK(fit_text("abcdef", 3) == "");
}

TEST_CASE("a label stays inside the image", "[draw]") {
  const auto box_of_ink = [](const Image& image) {
    int left = image.width(), top = image.height(), right = 0, bottom = 0;
    for (int y = 0; y < image.height(); ++y)
      for (int x = 0; x < image.width(); ++x)
        if (!(at(image, x, y) == kWhite)) {
          left = std::min(left, x), top = std::min(top, y);
          right = std::max(right, x + 1), bottom = std::max(bottom, y + 1);
        }
    return std::vector<int>{left, top, right, bottom};
  };
  for (const auto& [x, y] : {std::pair{20, 30}, {-9, -9}, {95, 30}, {20, 500}}) {
    Image image(100, 60, kWhite);
    draw_label(image, x, y, "cat .9", {0, 0, 90});
    const auto box = box_of_ink(image);
    CHECK(box[2] - box[0] == 39);
    CHECK(box[3] - box[1] == 12);
    if (x == 20 && y == 30) {
      CHECK(box[0] == 20);
      CHECK(box[3] == 30);
    }
  }
  CHECK(text_color_on({255, 255, 0}) == kBlack);
  CHECK(text_color_on({0, 0, 200}) == kWhite);
}

TEST_CASE("channel_maps draws each channel on its own scale", "[draw]") {
  const Tensor map({1, 2, 2}, {0, 50, 1, -50});
  const auto channels = channel_maps(map, 3);
  REQUIRE(channels.size() == 2);
  CHECK(channels[0] == enlarge_pixels(heat_map(Tensor({1, 2}, {0, 1})), 3));
  CHECK(channels[1] == enlarge_pixels(heat_map(Tensor({1, 2}, {50, -50})), 3));
  CHECK(channel_maps(map, 1, ColorMap::diverging)[1] ==
        heat_map(Tensor({1, 2}, {50, -50}), ColorMap::diverging));
  CHECK_THROWS_WITH(channel_maps(Tensor({1, 2})),
                    "channel_maps: map must have shape [H, W, C], got [1, 2]");
}

TEST_CASE("heat maps", "[draw]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Image map = heat_map(Tensor({1, 4}, {0, 1, 2, static_cast<Scalar>(nan)}));
  CHECK(at(map, 0, 0) == Color{68, 1, 84});
  CHECK(at(map, 1, 0) == Color{33, 145, 140});
  CHECK(at(map, 2, 0) == Color{253, 231, 37});
  CHECK(at(map, 3, 0) == Color{128, 128, 128});
  const Image diverging = heat_map(Tensor({1, 3}, {-1, 0, 4}), ColorMap::diverging);
  CHECK(at(diverging, 1, 0) == Color{247, 247, 247});
  CHECK(at(diverging, 0, 0).blue > at(diverging, 0, 0).red);
  CHECK(at(heat_map(Tensor({2, 2}, 7)), 0, 0) == Color{68, 1, 84});  // one value everywhere
  CHECK_THROWS_WITH(heat_map(Tensor({2, 2, 1})),
                    "heat_map: values must have shape [H, W], got [2, 2, 1]");
  CHECK_THROWS_WITH(heat_map(Tensor({2, 2}), 1, 1),
                    "heat_map: low must be less than high, got 1 and 1");
  // Brightness rises along viridis, so that it also reads in grey.
  double before = -1;
  for (int i = 0; i <= 100; ++i) {
    const Color c = color_at(ColorMap::viridis, i / 100.0);
    const double luma = 0.299 * c.red + 0.587 * c.green + 0.114 * c.blue;
    CHECK(luma > before);
    before = luma;
  }
}

TEST_CASE("class colours differ", "[draw]") {
  for (int a = 0; a <= 21; ++a)
    for (int b = 0; b < a; ++b) {
      const Color x = class_color(a), y = class_color(b);
      CHECK(std::abs(x.red - y.red) + std::abs(x.green - y.green) + std::abs(x.blue - y.blue) > 40);
    }
  CHECK(class_color(22) == class_color(1));
  CHECK(class_color(-1) == class_color(0));
}

TEST_CASE("contact sheets", "[draw]") {
  const std::vector<Image> images = {Image(10, 6, kBlack), Image(40, 12, kBlack), Image(),
                                     Image(10, 6, kBlack)};
  const Image plain = image_grid(images, {}, {.columns = 2, .cell_width = 20, .padding = 3});
  CHECK(plain.width() == 3 + 2 * 23);
  CHECK(plain.height() == 3 + 2 * 15);
  CHECK(count_ink(plain) == 10 * 6 + 20 * 6 + 10 * 6);  // the second shrunk to its cell

  const std::vector<std::string> captions = {"a", "a caption too long", "", "d"};
  const Image sheet = image_grid(images, captions, {.title = "four"});
  CHECK(sheet.height() > plain.height());
  CHECK(image_grid(images, captions, {.columns = 99}).width() == 8 + 4 * 48);
  CHECK_THROWS_WITH(image_grid({}), "image_grid: there is no image");
  CHECK_THROWS_WITH(image_grid(images, std::vector<std::string>{"a"}),
                    "image_grid: expected 4 captions, one per image, got 1");

  Image target(4, 4, kWhite);
  paste(target, Image(3, 3, kBlack), 2, 2, 0.5);
  paste(target, Image(3, 3, kBlack), -2, -2);
  paste(target, Image(3, 3, kBlack), std::numeric_limits<int>::max(), 0);
  CHECK(ink(target) == "#...\n....\n..##\n..##\n");
}

}  // namespace boxgrad
