#include "detection/data/transforms.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

// 8 x 4 with a red pixel at (6, 1); its box, one over the left half and a difficult one.
Sample drawn() {
  Sample sample;
  sample.image = Image(8, 4, 10, 20, 30);
  sample.image.pixel(6, 1)[0] = 255;
  sample.target.boxes = Tensor({3, 4}, {6, 1, 7, 2, 0, 0, 4, 4, 1.5, 2, 8, 4});
  sample.target.labels = {1, 2, 3};
  sample.target.difficult = {false, false, true};
  sample.name = "drawn";
  return sample;
}

std::vector<Scalar> boxes_of(const Sample& sample) { return sample.target.boxes.to_vector(); }
using Numbers = std::vector<Scalar>;

}  // namespace

TEST_CASE("flip_horizontal moves boxes with their pixels", "[data][transforms]") {
  const Sample sample = drawn(), flipped = flip_horizontal(sample);
  CHECK(boxes_of(flipped) == Numbers{1, 1, 2, 2, 4, 0, 8, 4, 0, 2, 6.5, 4});
  CHECK(flipped.image.pixel(1, 1)[0] == 255);
  CHECK(flipped.target.labels == sample.target.labels);
  CHECK(flip_horizontal(flipped).image == sample.image);
  CHECK(boxes_of(flip_horizontal(flipped)) == boxes_of(sample));
  CHECK(boxes_of(sample)[0] == 6);  // the original is untouched
}

TEST_CASE("random_horizontal_flip turns its share of the images", "[data][transforms]") {
  Sample sample;
  sample.image = Image(2, 1);
  sample.image.pixel(0, 0)[0] = 200;
  const auto share = [&](const Transform& flip) {
    Random random(3);
    int flipped = 0;
    for (int i = 0; i < 1000; ++i) flipped += flip(sample, random).image.pixel(1, 0)[0] == 200;
    return flipped / 1000.;
  };
  CHECK(share(random_horizontal_flip()) == Approx(0.5).margin(0.05));
  CHECK(share(random_horizontal_flip(0.1)) == Approx(0.1).margin(0.03));
  CHECK(share(random_horizontal_flip(0)) == 0);
  CHECK(share(random_horizontal_flip(1)) == 1);
  CHECK_THROWS_WITH(random_horizontal_flip(2),
                    "random_horizontal_flip: probability must be in [0, 1], got 2");
}

TEST_CASE("flip_vertical moves boxes with their pixels", "[data][transforms]") {
  Sample sample = drawn();
  sample.proposals = Tensor({1, 4}, {1, 0, 3, 1});
  const Sample flipped = flip_vertical(sample);
  CHECK(boxes_of(flipped) == Numbers{6, 2, 7, 3, 0, 0, 4, 4, 1.5, 0, 8, 2});
  CHECK(flipped.proposals.to_vector() == Numbers{1, 3, 3, 4});
  CHECK(flipped.image.pixel(6, 2)[0] == 255);
  CHECK(flip_vertical(flipped).image == sample.image);
  CHECK(boxes_of(flip_vertical(flipped)) == boxes_of(sample));
  CHECK(boxes_of(sample)[1] == 1);  // the original is untouched
  CHECK(flip_vertical(Sample{}).target.boxes.size(0) == 0);
}

TEST_CASE("resize scales boxes and says by how much", "[data][transforms]") {
  const Sample sample = drawn(), stretched = resize(sample, 4, 12);
  CHECK(stretched.image.width() == 4);
  CHECK(stretched.image.height() == 12);
  CHECK(boxes_of(stretched) == Numbers{3, 3, 3.5, 6, 0, 0, 2, 12, .75, 6, 4, 12});
  CHECK(stretched.scale_x == .5);
  CHECK(stretched.scale_y == 3);
  // Twice: the scales multiply, so that they always lead back to the dataset's image.
  CHECK(resize(stretched, 8, 4).scale_x == 1);
  CHECK(boxes_of(resize(stretched, 8, 4)) == boxes_of(sample));
  CHECK_THROWS_AS(resize(sample, 0, 4), std::invalid_argument);
}

TEST_CASE("resize by a side keeps the proportions", "[data][transforms]") {
  const Sample sample = drawn();
  CHECK(resize_shorter_side(sample, 8, 100).image.width() == 16);
  CHECK(resize_shorter_side(sample, 8, 12).image.width() == 12);
  CHECK(resize_shorter_side(sample, 8, 12).image.height() == 6);
  CHECK(resize_longer_side(sample, 4).image.height() == 2);
  // 8 x 4 to a longer side of 5: 2.5 rows become 3, and the vertical scale says so.
  const Sample rounded = resize_longer_side(sample, 5);
  CHECK(rounded.image.height() == 3);
  CHECK(rounded.scale_x == Approx(5. / 8));
  CHECK(rounded.scale_y == Approx(3. / 4));
  CHECK_THROWS_WITH(resize_longer_side(Sample{}, 5), Catch::Contains("has no pixels"));
}

TEST_CASE("crop keeps boxes by their centre and clips them", "[data][transforms]") {
  const Sample sample = drawn();
  const Sample right = crop(sample, 3, 1, 5, 3);
  CHECK(right.image.width() == 5);
  CHECK(right.image.pixel(3, 0)[0] == 255);
  CHECK(boxes_of(right) == Numbers{3, 0, 4, 1, 0, 1, 5, 3});
  CHECK(right.target.labels == std::vector<std::int64_t>{1, 3});
  CHECK(right.target.difficult == std::vector<bool>{false, true});
  // A centre on the window's edge is outside: the box would have no inside point to speak of.
  CHECK(crop(sample, 2, 0, 4, 4).target.labels == std::vector<std::int64_t>{3});
  CHECK(boxes_of(crop(sample, 0, 0, 1, 1)).empty());
  CHECK(crop(sample, 0, 0, 1, 1).target.boxes.shape() == Shape({0, 4}));
  CHECK_THROWS_AS(crop(sample, 5, 0, 4, 4), std::invalid_argument);
}

TEST_CASE("random_crop is a function of its random numbers and keeps a box", "[data][transforms]") {
  Sample sample = drawn();
  sample.image = Image(80, 40);
  for (Scalar& v : sample.target.boxes.data()) v *= 10;
  int smaller = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    Random a(7, i), b(7, i);
    const Sample cropped = random_crop(sample, a, {.min_area = 0.2});
    CHECK(boxes_of(cropped) == boxes_of(random_crop(sample, b, {.min_area = 0.2})));
    const int w = cropped.image.width(), h = cropped.image.height();
    smaller += w < 80 || h < 40;
    CHECK(w * h >= 0.15 * 80 * 40);
    REQUIRE(!cropped.target.labels.empty());
    const Numbers boxes = boxes_of(cropped);
    for (std::size_t g = 0; g < boxes.size(); g += 4) {
      CHECK((0 <= boxes[g] && boxes[g] < boxes[g + 2] && boxes[g + 2] <= w));
      CHECK((0 <= boxes[g + 1] && boxes[g + 1] < boxes[g + 3] && boxes[g + 3] <= h));
    }
  }
  CHECK(smaller > 190);
  Random random(7);
  CHECK_THROWS_WITH(random_crop(sample, random, {.min_area = 0}),
                    "random_crop: min_area must be in (0, 1], got 0");
}

TEST_CASE("jitter_brightness_contrast stays within its bounds", "[data][transforms]") {
  Sample sample = drawn();
  sample.image = Image(2, 2, 0, 100, 255);
  int low = 255, high = 0;
  for (std::uint64_t i = 0; i < 500; ++i) {
    Random random(1, i);
    const Sample jittered = jitter_brightness_contrast(sample, random, 0.1, 0.2);
    const int v = jittered.image.pixel(0, 0)[1];
    low = std::min(low, v), high = std::max(high, v);
    CHECK(jittered.image.pixel(0, 0)[0] <= 26);
    CHECK(boxes_of(jittered) == boxes_of(sample));
  }
  CHECK(low >= 54);  // .8 * 100 - 25.5
  CHECK(low <= 60);
  CHECK(high <= 146);
  CHECK(high >= 140);
  Random random(1);
  CHECK(jitter_brightness_contrast(sample, random, 0, 0).image == sample.image);
}

TEST_CASE("chain applies its steps in order", "[data][transforms]") {
  const Transform both = chain({[](Sample s, Random&) { return resize(s, 16, 8); },
                                [](Sample s, Random&) { return crop(s, 8, 0, 8, 8); }});
  Random random(0);
  const Sample result = both(drawn(), random);
  CHECK(boxes_of(result) == Numbers{4, 2, 6, 4, 0, 4, 8, 8});
  CHECK(result.scale_x == 2);
}
