#include "detection/data/batch.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

Sample plain(int width, int height, std::uint8_t value) {
  Sample sample;
  sample.image = Image(width, height, value, 0, 255);
  sample.target.boxes = Tensor({1, 4}, {0, 0, 1, 1});
  sample.target.labels = {3};
  sample.target.difficult = {false};
  sample.name = concat(width, "x", height);
  return sample;
}

}  // namespace

TEST_CASE("collate pads at the bottom and the right", "[data][batch]") {
  std::vector<Sample> samples{plain(3, 2, 51), plain(2, 4, 102)};
  samples[1].scale_x = 0.5;
  const Batch batch = collate(samples, {.padding = -7});
  CHECK(batch.size() == 2);
  CHECK(batch.images.shape() == Shape({2, 4, 3, 3}));
  CHECK(batch.images.at({0, 0, 0, 0}) == Approx(0.2));
  CHECK(batch.images.at({0, 1, 2, 2}) == Approx(1));
  CHECK(batch.images.at({0, 1, 2, 1}) == 0);
  CHECK(batch.images.at({0, 2, 0, 0}) == -7);  // below the first image
  CHECK(batch.images.at({1, 3, 1, 0}) == Approx(0.4));
  CHECK(batch.images.at({1, 3, 2, 2}) == -7);  // beside the second
  CHECK(batch.infos[0].width == 3);
  CHECK(batch.infos[1].height == 4);
  CHECK(batch.infos[1].scale_x == 0.5);
  CHECK(batch.infos[1].name == "2x4");
  CHECK(batch.targets[1].labels == std::vector<std::int64_t>{3});
}

TEST_CASE("collate normalises each channel", "[data][batch]") {
  const std::vector<Sample> samples{plain(33, 1, 51)};
  const Batch batch =
      collate(samples, {.mean = {0.1, 0.5, 0.5}, .std = {0.5, 0.25, 2}, .multiple_px = 32});
  CHECK(batch.images.shape() == Shape({1, 32, 64, 3}));
  for (const int x : {0, 17, 32}) {
    CHECK(batch.images.at({0, 0, x, 0}) == Approx(0.2));
    CHECK(batch.images.at({0, 0, x, 1}) == Approx(-2));
    CHECK(batch.images.at({0, 0, x, 2}) == Approx(0.25));
  }
  CHECK(batch.images.at({0, 0, 33, 0}) == 0);
}

TEST_CASE("imagenet_bytes: 0 to 255 less the mean colour", "[data][batch]") {
  const Batch batch = collate(std::vector<Sample>{plain(1, 1, 51)}, imagenet_bytes());
  CHECK(batch.images.at({0, 0, 0, 0}) == Approx(51 - 122.7717));
  CHECK(batch.images.at({0, 0, 0, 1}) == Approx(0 - 115.9465));
  CHECK(batch.images.at({0, 0, 0, 2}) == Approx(255 - 102.9801));
}

TEST_CASE("collate explains what it cannot take", "[data][batch][errors]") {
  CHECK_THROWS_WITH(collate({}), "collate: a batch needs at least one sample");
  std::vector<Sample> samples{plain(3, 2, 0), Sample{}};
  samples[1].name = "empty.jpg";
  CHECK_THROWS_WITH(collate(samples), "collate: image \"empty.jpg\" has no pixels");
  samples.pop_back();
  CHECK_THROWS_WITH(collate(samples, {.std = {1, 0, 1}}), "collate: std must be > 0, got 0");
}
