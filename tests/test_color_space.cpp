#include "detection/proposals/color_space.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// The channels of a picture of one colour.
std::vector<double> channels_of(Color color, ColorSpace space) {
  const Tensor planes = to_color_space(Image(2, 1, color), space);
  CHECK(planes.shape() == Shape{1, 2, num_channels(space)});
  std::vector<double> values;
  for (int c = 0; c < num_channels(space); ++c)
    values.push_back(static_cast<double>(planes.at({0, 1, c})));
  return values;
}

void check_channels(Color color, ColorSpace space, const std::vector<double>& expected) {
  const std::vector<double> values = channels_of(color, space);
  INFO(to_string(space) << " of " << int{color.red} << ' ' << int{color.green} << ' '
                        << int{color.blue});
  REQUIRE(values.size() == expected.size());
  for (std::size_t c = 0; c < values.size(); ++c)
    CHECK(values[c] == Approx(expected[c]).margin(.02));
}

}  // namespace

TEST_CASE("to_color_space: values worked out by hand", "[color_space]") {
  check_channels({200, 100, 50}, ColorSpace::rgb, {200, 100, 50});
  check_channels({200, 100, 50}, ColorSpace::intensity, {.299 * 200 + .587 * 100 + .114 * 50});
  check_channels({200, 100, 50}, ColorSpace::rgi, {255 * 200. / 350, 255 * 100. / 350, 124.2});
  // Red is the largest: hue (100 - 50) / 150 of a sextant; saturation 150 / 200.
  check_channels({200, 100, 50}, ColorSpace::hsv, {255. / 18, 255 * .75, 200});
  check_channels({200, 100, 50}, ColorSpace::hue, {255. / 18});
}

TEST_CASE("to_color_space: hue goes around the hexagon", "[color_space]") {
  const Color around[] = {{255, 0, 0},   {255, 255, 0}, {0, 255, 0},
                          {0, 255, 255}, {0, 0, 255},   {255, 0, 255}};
  for (int i = 0; i < 6; ++i) check_channels(around[i], ColorSpace::hsv, {i * 42.5, 255, 255});
  CHECK(channels_of({255, 0, 1}, ColorSpace::hue)[0] > 254);  // a red from the other side
}

TEST_CASE("to_color_space: Lab of known colours", "[color_space]") {
  // CIE L*a*b* under D65 of sRGB's corners, from tables: red 53.24, 80.09, 67.20;
  // green 87.73, -86.18, 83.18; blue 32.30, 79.19, -107.86; white 100, 0, 0.
  check_channels({255, 0, 0}, ColorSpace::lab, {53.24 * 2.55, 208.09, 195.20});
  check_channels({0, 255, 0}, ColorSpace::lab, {87.735 * 2.55, 41.82, 211.18});
  check_channels({0, 0, 255}, ColorSpace::lab, {32.30 * 2.55, 207.19, 20.14});
  check_channels({255, 255, 255}, ColorSpace::lab, {255, 128, 128});
  check_channels({0, 0, 0}, ColorSpace::lab, {0, 128, 128});
}

TEST_CASE("to_color_space: grey and black have no hue", "[color_space]") {
  for (const int v : {0, 1, 128, 255}) {
    const std::uint8_t b = static_cast<std::uint8_t>(v);
    check_channels({b, b, b}, ColorSpace::hsv, {0, 0, double(v)});
    check_channels({b, b, b}, ColorSpace::rgi, {85, 85, double(v)});
  }
}

TEST_CASE("to_color_space: every colour stays on the scale", "[color_space]") {
  Image all(16 * 16, 16);  // 16 steps of each channel
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < 256; ++x) {
      std::uint8_t* p = all.pixel(x, y);
      p[0] = static_cast<std::uint8_t>(x % 16 * 17), p[1] = static_cast<std::uint8_t>(x / 16 * 17);
      p[2] = static_cast<std::uint8_t>(y * 17);
    }
  for (const ColorSpace space : {ColorSpace::rgb, ColorSpace::intensity, ColorSpace::lab,
                                 ColorSpace::rgi, ColorSpace::hsv, ColorSpace::hue}) {
    bool on_scale = true;
    for (const Scalar v : to_color_space(all, space).to_vector())
      on_scale = on_scale && v >= 0 && v <= 255;
    INFO(to_string(space));
    CHECK(on_scale);
  }
  CHECK_THROWS_WITH(to_color_space(Image(), ColorSpace::rgb),
                    "to_color_space: the image has no pixels");
}
