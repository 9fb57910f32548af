#include <cmath>

#include "detection/boxes.h"
#include "detection/data/transforms.h"
#include "detection/data/zoom.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// A picture of 40 x 30 whose pixels say where they are, with three boxes and a proposal.
Sample scene() {
  Sample sample{.image = Image(40, 30), .name = "scene"};
  for (int y = 0; y < 30; ++y)
    for (int x = 0; x < 40; ++x) {
      sample.image.pixel(x, y)[0] = static_cast<std::uint8_t>(5 * x);
      sample.image.pixel(x, y)[1] = static_cast<std::uint8_t>(5 * y);
    }
  sample.target.boxes = Tensor({3, 4}, {2, 3, 10, 12, 20, 10, 38, 28, 30, 2, 34, 6});
  sample.target.labels = {1, 2, 3};
  sample.target.difficult = {false, true, false};
  sample.proposals = Tensor({1, 4}, {3, 4, 11, 13});
  return sample;
}

/// Where the top left corner of the scene's picture is in another, by what its pixels say.
std::pair<int, int> corner(const Sample& sample) {
  const std::uint8_t* p = sample.image.pixel(0, 0);
  return {p[0] / 5, p[1] / 5};
}

}  // namespace

TEST_CASE("zoom_out: boxes move with their pixels", "[zoom]") {
  const Sample sample = scene();
  int whole = 0;
  double widest = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    const Sample out = zoom_out(sample, random);
    const int w = out.image.width(), h = out.image.height();
    if (w == 40 && h == 30) {
      ++whole;
      continue;
    }
    widest = std::max(widest, w / 40.);
    CHECK(w / 40. == Approx(h / 30.).margin(0.05));
    REQUIRE(out.target.boxes.size(0) == 3);
    CHECK(out.target.labels == sample.target.labels);
    const int x = int(out.target.boxes.at({0, 0})) - 2, y = int(out.target.boxes.at({0, 1})) - 3;
    REQUIRE((x >= 0 && y >= 0 && x + 40 <= w && y + 30 <= h));
    for (std::int64_t i = 0; i < 4; ++i) {
      CHECK(out.target.boxes.at({2, i}) == sample.target.boxes.at({2, i}) + Scalar(i % 2 ? y : x));
      CHECK(out.proposals.at({0, i}) == sample.proposals.at({0, i}) + Scalar(i % 2 ? y : x));
    }
    CHECK(out.image.pixel(x + 7, y + 9)[0] == 35);
    CHECK(out.image.pixel(x + 7, y + 9)[1] == 45);
    if (x > 0) CHECK(out.image.pixel(x - 1, y)[0] == 123);
    if (y > 0) CHECK(out.image.pixel(x, y - 1)[1] == 117);
  }
  CHECK(std::abs(whole - 150) < 40);
  CHECK(widest > 3.8);
  CHECK(widest <= 4);
}

TEST_CASE("zoom_out: without boxes, and refused options", "[zoom]") {
  Random random(1);
  Sample empty{.image = Image(4, 3), .name = "empty"};
  CHECK(zoom_out(empty, random, {.chance = 1, .max_ratio = 2}).target.boxes.shape() == Shape{0, 4});
  CHECK_THROWS_WITH(zoom_out(scene(), random, {.max_ratio = 0.5}), Catch::Contains("max_ratio"));
  CHECK_THROWS_WITH(zoom_out(scene(), random, {.chance = 2}), Catch::Contains("chance"));
  CHECK_THROWS_WITH(zoom_out(Sample{.name = "none"}, random), Catch::Contains("none"));
}

TEST_CASE("zoom_in: the smallest IoU is enforced", "[zoom]") {
  Sample sample = scene();
  sample.target = {.boxes = Tensor({2, 4}, {8, 4, 36, 28, 1, 1, 4, 4}), .labels = {1, 2}};
  // Forty constrained patches beside the whole image (IoU .56) and any patch: nearly all that is
  // chosen must overlap the large box, not the small one, with .7.
  int below = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Random random(seed);
    const Sample out = zoom_in(sample, random, {.min_ious = std::vector<double>(40, 0.7)});
    const auto [x, y] = corner(out);
    const Tensor patch({1, 4}, {Scalar(x), Scalar(y), Scalar(x + out.image.width()),
                                Scalar(y + out.image.height())});
    const auto ious = box_iou(sample.target.boxes, patch).to_vector();
    below += *std::ranges::max_element(ious) < Scalar(0.7);
  }
  CHECK(below < 60);
  CHECK(below > 0);
  // Without a constraint most patches are below.
  below = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Random random(seed);
    const Sample out = zoom_in(sample, random, {.min_ious = {}});
    below += out.image.width() * out.image.height() < 0.7 * 28 * 24 ||
             out.image.width() * out.image.height() > 28 * 24 / 0.7;
  }
  CHECK(below > 200);
}

TEST_CASE("zoom_in: truths stay by their centres, one at least", "[zoom]") {
  const Sample sample = scene();
  int smaller = 0;
  double smallest = 1;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    Random random(seed);
    const Sample out = zoom_in(sample, random);
    const int w = out.image.width(), h = out.image.height();
    smaller += w < 40 || h < 30;
    smallest = std::min(smallest, std::sqrt(double(w * h) / (40 * 30)));
    CHECK(double(w) / h * 30 / 40 < 2.3);
    CHECK(double(w) / h * 30 / 40 > 1 / 2.3);
    const auto [x, y] = corner(out);
    REQUIRE(out.target.labels.size() > 0);
    std::size_t kept = 0;
    for (std::int64_t g = 0; g < 3; ++g) {
      const auto at = [&](std::int64_t i) { return double(sample.target.boxes.at({g, i})); };
      const double cx = (at(0) + at(2)) / 2 - x, cy = (at(1) + at(3)) / 2 - y;
      if (!(cx > 0 && cy > 0 && cx < w && cy < h)) continue;
      REQUIRE(kept < out.target.labels.size());
      CHECK(out.target.labels[kept] == g + 1);
      CHECK(out.target.difficult[kept] == sample.target.difficult[std::size_t(g)]);
      const double expected[] = {std::max(0., at(0) - x), std::max(0., at(1) - y),
                                 std::min(double(w), at(2) - x), std::min(double(h), at(3) - y)};
      for (std::int64_t i = 0; i < 4; ++i)
        CHECK(double(out.target.boxes.at({std::int64_t(kept), i})) == Approx(expected[i]));
      ++kept;
    }
    CHECK(kept == out.target.labels.size());
  }
  CHECK(smaller > 250);
  CHECK(smallest < 0.45);
  CHECK(smallest > 0.27);
}

TEST_CASE("zoom_in: without truths nothing happens; refused options", "[zoom]") {
  Random random(1);
  const Sample empty{.image = Image(4, 3), .name = "empty"};
  CHECK(zoom_in(empty, random).image.width() == 4);
  CHECK_THROWS_WITH(zoom_in(scene(), random, {.min_scale = 0}), Catch::Contains("min_scale"));
  CHECK_THROWS_WITH(zoom_in(scene(), random, {.max_aspect = 0.5}), Catch::Contains("max_aspect"));
  CHECK_THROWS_WITH(zoom_in(Sample{.name = "none"}, random), Catch::Contains("none"));
}
