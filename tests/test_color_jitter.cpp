#include <algorithm>
#include <cmath>

#include "detection/data/color_jitter.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

Sample pixels(const std::vector<Color>& colors) {
  Sample sample{.image = Image(static_cast<int>(colors.size()), 1)};
  for (std::size_t i = 0; i < colors.size(); ++i) {
    std::uint8_t* p = sample.image.pixel(static_cast<int>(i), 0);
    p[0] = colors[i].red, p[1] = colors[i].green, p[2] = colors[i].blue;
  }
  sample.target.boxes = Tensor({1, 4}, {0, 0, 1, 1});
  sample.target.labels = {1};
  return sample;
}

const ColorJitterOptions kNone{
    .brightness = 0, .contrast = 0, .saturation = 0, .hue = 0, .chance = 1};

}  // namespace

TEST_CASE("rgb_to_hsv and back", "[color_jitter]") {
  using C = std::array<double, 3>;
  CHECK(rgb_to_hsv({255, 0, 0}) == C{0, 1, 255});
  CHECK(rgb_to_hsv({0, 255, 0}) == C{120, 1, 255});
  CHECK(rgb_to_hsv({0, 0, 255}) == C{240, 1, 255});
  CHECK(rgb_to_hsv({200, 100, 200}) == C{300, 0.5, 200});
  CHECK(rgb_to_hsv({80, 80, 80}) == C{0, 0, 80});
  CHECK(hsv_to_rgb({60, 1, 200}) == C{200, 200, 0});
  CHECK(hsv_to_rgb({180, 0.5, 100}) == C{50, 100, 100});
  Random random(1);
  for (int i = 0; i < 1000; ++i) {
    C rgb;
    for (double& v : rgb) v = double(random.below(256));
    const C back = hsv_to_rgb(rgb_to_hsv(rgb));
    for (std::size_t c = 0; c < 3; ++c) CHECK(back[c] == Approx(rgb[c]).margin(1e-9));
  }
}

TEST_CASE("jitter_colors: each change by itself", "[color_jitter]") {
  const Sample sample = pixels({{100, 50, 50}, {250, 10, 10}, {128, 128, 128}});
  Random random(3);
  SECTION("none") {
    const Sample same = jitter_colors(sample, random, kNone);
    CHECK(std::ranges::equal(same.image.data(), sample.image.data()));
    CHECK(same.target.boxes.to_vector() == sample.target.boxes.to_vector());
  }
  SECTION("brightness adds the same everywhere, and is cut") {
    ColorJitterOptions options = kNone;
    options.brightness = 32. / 255;
    int low = 0, high = 0;
    for (int i = 0; i < 300; ++i) {
      const Sample out = jitter_colors(sample, random, options);
      const int d = out.image.pixel(0, 0)[0] - 100;
      CHECK(out.image.pixel(0, 0)[1] - 50 == d);
      CHECK(int(out.image.pixel(1, 0)[0]) == std::min(255, 250 + d));
      low = std::min(low, d), high = std::max(high, d);
    }
    CHECK(low < -28);
    CHECK(low >= -32);
    CHECK(high > 28);
    CHECK(high <= 32);
  }
  SECTION("contrast is a factor, and its product is cut") {
    ColorJitterOptions options = kNone;
    options.contrast = 0.5;
    double low = 1, high = 1;
    for (int i = 0; i < 300; ++i) {
      const Sample out = jitter_colors(sample, random, options);
      const double factor = out.image.pixel(2, 0)[0] / 128.;
      CHECK(out.image.pixel(0, 0)[0] == Approx(100 * factor).margin(1));
      CHECK(out.image.pixel(0, 0)[1] == Approx(50 * factor).margin(1));
      CHECK(out.image.pixel(1, 0)[0] == Approx(std::min(255., 250 * factor)).margin(2));
      low = std::min(low, factor), high = std::max(high, factor);
    }
    CHECK(low < 0.55);
    CHECK(low >= 0.5);
    CHECK(high > 1.45);
    CHECK(high <= 1.5);
  }
  SECTION("saturation leaves grey and the value alone") {
    ColorJitterOptions options = kNone;
    options.saturation = 0.5;
    int low = 50, high = 50;
    for (int i = 0; i < 300; ++i) {
      const Sample out = jitter_colors(sample, random, options);
      CHECK(int(out.image.pixel(2, 0)[1]) == 128);
      CHECK(int(out.image.pixel(0, 0)[0]) == 100);
      const int green = out.image.pixel(0, 0)[1];  // 100 (1 - s / 2)
      low = std::min(low, green), high = std::max(high, green);
    }
    CHECK(low < 29);
    CHECK(low >= 25);
    CHECK(high > 71);
    CHECK(high <= 75);
  }
  SECTION("contrast before saturation or behind it: it is a cut that tells") {
    const Sample three = pixels({{128, 128, 128}, {100, 0, 0}, {250, 10, 10}});
    ColorJitterOptions options = kNone;
    options.contrast = options.saturation = 0.5;
    int before = 0, behind = 0;
    for (int i = 0; i < 1000; ++i) {
      const Sample out = jitter_colors(three, random, options);
      // Either order makes of grey 128 c, and of a full red (100 c, 100 c (1 - s), ...).
      const double c = out.image.pixel(0, 0)[0] / 128.;
      const double s = 1 - double(out.image.pixel(1, 0)[1]) / out.image.pixel(1, 0)[0];
      // The last pixel's 250 c is cut to 255 before its least channel is looked at, or is not.
      const double first = 255 - s * (255 - 10 * c), last = c * (250 - s * 240);
      if (c < 1.1 || last - first < 20) continue;
      const double green = out.image.pixel(2, 0)[1];
      before += std::abs(green - first) < 8, behind += std::abs(green - last) < 8;
      CHECK(std::min(std::abs(green - first), std::abs(green - last)) < 8);
    }
    CHECK(before > 10);
    CHECK(behind > 10);
  }
  SECTION("hue turns colours and keeps value and saturation") {
    ColorJitterOptions options = kNone;
    options.hue = 36;
    bool greener = false, bluer = false;
    for (int i = 0; i < 50; ++i) {
      const Sample out = jitter_colors(sample, random, options);
      const std::uint8_t* p = out.image.pixel(0, 0);
      CHECK(int(p[0]) == 100);  // red stays the strongest: 36 degrees are less than 60
      CHECK(std::min(p[1], p[2]) == 50);
      greener |= p[1] > 60, bluer |= p[2] > 60;
      CHECK(std::max(p[1], p[2]) <= 80);  // 50 + 50 * 36 / 60
    }
    CHECK(greener);
    CHECK(bluer);
  }
}

TEST_CASE("jitter_colors: about half of each, and refused options", "[color_jitter]") {
  const Sample sample = pixels({{100, 50, 50}});
  Random random(5);
  int same = 0;
  for (int i = 0; i < 640; ++i)
    same += std::ranges::equal(jitter_colors(sample, random).image.data(), sample.image.data());
  CHECK(std::abs(same - 40) < 25);  // 1 in 16, and a few whose change is rounded away
  CHECK_THROWS_WITH(jitter_colors(sample, random, {.hue = 200}), Catch::Contains("hue"));
  CHECK_THROWS_WITH(jitter_colors(sample, random, {.chance = -1}),
                    Catch::Contains("jitter_colors"));
}
