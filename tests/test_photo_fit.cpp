#include "detection/models/ssd_small.h"
#include "detection/training/photo_fit.h"
#include "tests/bright_boxes.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

TEST_CASE("photo_preparation measures size and colours", "[photo_fit]") {
  const Preparation preparation = photo_preparation(BrightBoxes({{0, 0}, {0, 0}, {0, 0}}), 40, 16);
  const Sample sample = preparation.apply(kSquares.get(1));
  CHECK(sample.image.height() == 40);
  CHECK(sample.image.width() == 30);
  const Batch batch = preparation.make_batch({kSquares.get(1)});
  CHECK(batch.images.shape() == Shape{1, 48, 32, 3});
  // Grey without contrast: the deviation has a floor, nothing is divided by 0.
  for (const double mean : preparation.batch.mean) CHECK(mean == Approx(100. / 255));
  for (const double std : preparation.batch.std) CHECK(std == Approx(0.01));
  const Preparation bright = photo_preparation(kSquares, 80, 1);
  CHECK(bright.batch.mean[1] > bright.batch.mean[0]);
  CHECK(bright.batch.std[1] > 0.1);
  CHECK_THROWS_WITH(photo_preparation(BrightBoxes({}), 80, 1),
                    "photo_preparation: the dataset is empty");
  CHECK_THROWS_WITH(photo_preparation(kSquares, 8, 1),
                    "photo_preparation: longer_px must be >= 32, got 8");
}

TEST_CASE("fitting_anchors take one ratio, or three where boxes differ", "[photo_fit]") {
  const auto squares = fitting_anchors(kSquares, {}, 3);
  REQUIRE(squares.size() == 3);
  for (const BoxSize& size : squares) CHECK(size.width == Approx(size.height));
  CHECK(squares.front().width >= 20);
  CHECK(squares.back().width <= 30);

  const BrightBoxes poles({{10, 40}, {10, 40}, {20, 20}, {20, 20}, {20, 20}, {40, 10}, {40, 10}});
  const auto mixed = fitting_anchors(poles, {}, 2);
  REQUIRE(mixed.size() == 6);
  CHECK(mixed[0].height == Approx(mixed[0].width / 4));
  CHECK(mixed[2].height == Approx(mixed[2].width));
  CHECK(mixed[4].height == Approx(mixed[4].width * 4));
  CHECK_THROWS_AS(fitting_anchors(BrightBoxes({{0, 0}}), {}, 3), std::invalid_argument);
}

TEST_CASE("anchor_sides: a rare class counts like a frequent one, where asked", "[photo_fit]") {
  /// Ninety squares of 20 px and three of 50 px, of another class.
  class Mixed : public BrightBoxes {
   public:
    using BrightBoxes::BrightBoxes;
    Sample get(std::int64_t index) const override {
      Sample sample = BrightBoxes::get(index);
      sample.target.labels = {sample.target.boxes.at({0, 2}) - sample.target.boxes.at({0, 0}) > 30
                                  ? std::int64_t{2}
                                  : 1};
      return sample;
    }
  };
  std::vector<BoxSize> sizes(90, {20, 20});
  sizes.insert(sizes.end(), 3, {50, 50});
  const Mixed data(sizes);
  CHECK(anchor_sides(data, {}, 2).back() < 30);
  CHECK(anchor_sides(data, {}, 2, true).front() == Approx(20));
  CHECK(anchor_sides(data, {}, 2, true).back() == Approx(50));
}

TEST_CASE("random_flips turn a half over, either way", "[photo_fit]") {
  const Sample sample = kSquares.get(0);
  Random random(3);
  int sideways = 0, upside_down = 0;
  for (int i = 0; i < 400; ++i) {
    const Sample flipped = random_flips(true)(sample, random);
    sideways += flipped.target.boxes.at({0, 0}) != sample.target.boxes.at({0, 0});
    upside_down += flipped.target.boxes.at({0, 1}) != sample.target.boxes.at({0, 1});
    const Sample mirrored = random_flips(false)(sample, random);
    CHECK(mirrored.target.boxes.at({0, 1}) == sample.target.boxes.at({0, 1}));
  }
  CHECK(std::abs(sideways - 200) < 40);
  CHECK(std::abs(upside_down - 200) < 40);
}

TEST_CASE("anchors_by_size and set_maps: which map carries an anchor", "[photo_fit]") {
  // The areas of squares of 40, 97, 40, 41 and 96 px.
  const std::vector<BoxSize> sizes{{40, 40}, {97, 97}, {20, 80}, {41, 41}, {96, 96}};
  const MapAnchors anchors = anchors_by_size(sizes);
  const auto widths = [](const std::vector<BoxSize>& boxes) {
    std::vector<Scalar> result;
    for (const BoxSize& box : boxes) result.push_back(box.width);
    return result;
  };
  CHECK(widths(anchors[0]) == std::vector<Scalar>{40, 20});
  CHECK(widths(anchors[1]) == std::vector<Scalar>{41, 96});
  CHECK(widths(anchors[2]) == std::vector<Scalar>{97});
  DetectorSpec spec;
  set_maps(spec, {"a", "b", "c"}, {anchors[0], {}, anchors[2]});
  CHECK(spec.maps == std::vector<std::string>{"a", "c"});
  REQUIRE(spec.anchors.size() == 2);
  CHECK(spec.anchors[0].stride_px == 8);
  CHECK(spec.anchors[1].stride_px == 32);
  CHECK(widths(spec.anchors[0].sizes) == std::vector<Scalar>{40, 20});
  CHECK(widths(spec.anchors[1].sizes) == std::vector<Scalar>{97});
}

TEST_CASE("warm_cosine rises for a twentieth and falls to a hundredth", "[photo_fit]") {
  const nn::Schedule schedule = warm_cosine(200);
  CHECK(schedule(0) < 0.2);
  CHECK(schedule(10) == Approx(1));
  CHECK(schedule(105) == Approx(0.505).margin(0.01));
  CHECK(schedule(199) < 0.02);
  CHECK(warm_cosine(1)(0) <= 1);
}
