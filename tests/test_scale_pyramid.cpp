// detection/scale_pyramid.h, and FastRcnn with one.
#include <cmath>
#include <memory>

#include "core/autograd.h"
#include "core/gradcheck.h"
#include "core/ops.h"
#include "core/resize.h"
#include "detection/models/faster_rcnn.h"
#include "detection/models/vgg16.h"
#include "detection/roi_align.h"
#include "detection/roi_pool.h"
#include "detection/scale_pyramid.h"
#include "layers/conv.h"
#include "tests/catch.h"
#include "tests/check_gradients.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// The mean of each region's cells of an image taken as a map: [r, C].
Tensor mean_colour(const Tensor& image, const Tensor& boxes) {
  return mean(
      reshape(roi_max_pool(image, to_rois({boxes}), 4, 4, 1), {boxes.size(0), 16, image.size(3)}),
      {1});
}

/// Two small regions, one of the whole image, one in between.
Tensor regions_of_many_sizes() {
  return Tensor({4, 4}, {2, 2, 10, 12, 0, 0, 40, 32, 4, 4, 24, 20, 20, 20, 30, 28});
}

const ScalePyramid kThree{.sides_px = {16, 32, 64}, .longest_px = 100, .region_px = 18};

Batch one_image() {
  Batch batch;
  batch.images = Tensor::rand({1, 32, 40, 3});
  batch.targets = {{.boxes = Tensor({1, 4}, {2, 2, 18, 18}), .labels = {1}, .difficult = {false}}};
  batch.infos = {{.name = "a", .width = 40, .height = 32}};
  batch.proposals = {regions_of_many_sizes()};
  return batch;
}

FastRcnnOptions options_of(std::optional<ScalePyramid> pyramid) {
  FastRcnnOptions options{.num_classes = 2,
                          .pool = 3,
                          .scale = 0.25,
                          .head = {.hidden = {16}, .dropout = 0, .class_std = 1},
                          .pyramid = std::move(pyramid)};
  options.postprocess.score_threshold = 0;
  return options;
}

std::shared_ptr<FastRcnn> fast_rcnn(std::optional<ScalePyramid> pyramid) {
  manual_seed(1);
  auto model = std::make_shared<FastRcnn>(
      std::make_shared<Vgg16>(Vgg16Options{.width = 0.0625, .outputs = {"conv3_3"}}),
      options_of(std::move(pyramid)));
  model->eval();
  return model;
}

}  // namespace

TEST_CASE("each region goes to the published scale that suits it", "[scale_pyramid]") {
  // golden/scale_pyramid.py
  const auto factors = ScalePyramid::five().factors(500, 375);
  REQUIRE(factors.size() == 5);
  const std::vector<double> expected{1.28, 1.536, 1.834667, 2.304, 3.2};
  for (std::size_t s = 0; s < 5; ++s) CHECK(factors[s] == Approx(expected[s]).epsilon(1e-6));
  const Tensor boxes(
      {16, 4}, {106, 152, 197, 318, 131, 184, 245, 260, 0,   21,  133, 209, 147, 107, 241, 190,
                169, 138, 275, 375, 149, 119, 400, 280, 166, 148, 391, 355, 172, 93,  276, 162,
                167, 142, 323, 278, 26,  81,  128, 164, 150, 66,  259, 185, 2,   191, 91,  283,
                60,  129, 177, 341, 179, 90,  321, 181, 69,  104, 159, 221, 110, 97,  191, 178});
  CHECK(nearest_scales(boxes, factors, 224) ==
        std::vector<std::size_t>{2, 3, 1, 3, 0, 0, 0, 3, 1, 3, 2, 3, 1, 2, 3, 3});
  // The longer side lowers a scale; of equal ones the first is taken.
  const auto tall = ScalePyramid::five().factors(300, 900);
  const std::vector<double> capped{1.6, 1.92, 2000. / 900, 2000. / 900, 2000. / 900};
  for (std::size_t s = 0; s < 5; ++s) CHECK(tall[s] == Approx(capped[s]));
  CHECK(nearest_scales(Tensor({1, 4}, {0, 0, 10, 10}), tall, 224) == std::vector<std::size_t>{2});
  CHECK(ScalePyramid{}.factors(500, 375) == std::vector<double>{1.6});
  CHECK(ScalePyramid{}.factors(1000, 300) == std::vector<double>{1});
}

TEST_CASE("a pyramid in proportion chooses the same scales", "[scale_pyramid]") {
  const ScalePyramid small = ScalePyramid::five().resized(0.25);
  CHECK(small.sides_px == std::vector<double>{120, 144, 172, 216, 300});
  CHECK(small.longest_px == 500);
  CHECK(small.region_px == 56);
  const Tensor boxes({3, 4}, {0, 0, 120, 80, 10, 10, 400, 300, 30, 30, 90, 100});
  const Tensor quarter = boxes * Scalar(0.25);
  CHECK(nearest_scales(boxes, ScalePyramid::five().factors(500, 400), 224) ==
        nearest_scales(quarter, small.factors(125, 100), small.region_px));
}

TEST_CASE("regions come back in their order, each from its own scale", "[scale_pyramid]") {
  manual_seed(2);
  const Tensor image = Tensor::rand({1, 32, 40, 3}), boxes = regions_of_many_sizes();
  const auto factors = kThree.factors(40, 32);
  CHECK(factors == std::vector<double>{0.5, 1, 2});
  const auto chosen = nearest_scales(boxes, factors, kThree.region_px);
  REQUIRE(chosen == std::vector<std::size_t>{2, 0, 1, 2});

  std::vector<Shape> seen;
  const Tensor features =
      pyramid_features(image, boxes, kThree, [&](const Tensor& scaled, const Tensor& regions) {
        seen.push_back(scaled.shape());
        return mean_colour(scaled, regions);
      });
  CHECK(seen == std::vector<Shape>{{1, 16, 20, 3}, {1, 32, 40, 3}, {1, 64, 80, 3}});
  REQUIRE(features.shape() == Shape{4, 3});
  for (std::int64_t r = 0; r < 4; ++r) {  // one at a time, by hand
    const double factor = factors[chosen[static_cast<std::size_t>(r)]];
    const int h = static_cast<int>(32 * factor), w = static_cast<int>(40 * factor);
    const Tensor plain = reshape(image, {32, 40, 3});
    const Tensor scaled = factor < 1   ? resize_area(plain, h, w)
                          : factor > 1 ? resize_bilinear(plain, h, w)
                                       : plain;
    const Tensor own = mean_colour(reshape(scaled, {1, h, w, 3}),
                                   slice(boxes, 0, r, r + 1) * static_cast<Scalar>(factor));
    CHECK(slice(features, 0, r, r + 1).to_vector() == own.to_vector());
  }

  // A scale that no region chose costs nothing; without regions there is an empty answer.
  int calls = 0;
  const auto counted = [&](const Tensor& scaled, const Tensor& regions) {
    ++calls;
    return mean_colour(scaled, regions);
  };
  pyramid_features(image, slice(boxes, 0, 0, 1), kThree, counted);
  CHECK(calls == 1);
  CHECK(pyramid_features(image, Tensor({0, 4}), kThree, counted).shape() == Shape{0, 3});
  CHECK(calls == 2);
}

TEST_CASE("one scale that fits is no pyramid, bit for bit", "[scale_pyramid][fast_rcnn]") {
  manual_seed(2);
  const Batch batch = one_image();
  const auto plain = fast_rcnn({});
  const auto one = fast_rcnn(ScalePyramid{.sides_px = {32}, .longest_px = 64});
  const auto expected = plain->detect(batch), found = one->detect(batch);
  REQUIRE(expected[0].labels.size() > 2);
  CHECK(found[0].labels == expected[0].labels);
  CHECK(found[0].scores == expected[0].scores);
  CHECK(found[0].boxes.to_vector() == expected[0].boxes.to_vector());
  const NoGradGuard guard;
  CHECK(one->pooled_features(batch.images, batch.proposals[0]).to_vector() ==
        plain->pooled_features(batch.images, batch.proposals[0]).to_vector());
}

TEST_CASE("FastRcnn looks at several scales", "[scale_pyramid][fast_rcnn]") {
  manual_seed(2);
  Batch batch = one_image();
  const auto model = fast_rcnn(kThree);
  const auto found = model->detect(batch);
  REQUIRE(found.size() == 1);
  REQUIRE_FALSE(found[0].labels.empty());
  // The padding beside an image in a batch is not looked at.
  Batch two = batch;
  two.images = Tensor::rand({2, 48, 64, 3});
  for (std::int64_t h = 0; h < 32; ++h)
    std::copy_n(batch.images.data().begin() + h * 40 * 3, 40 * 3,
                two.images.data().begin() + h * 64 * 3);
  two.infos.push_back({.name = "b", .width = 64, .height = 48});
  two.targets.push_back({});
  two.proposals.push_back(Tensor({0, 4}));
  CHECK(image_of(two, 0).to_vector() == batch.images.to_vector());
  const auto both = model->detect(two);
  CHECK(both[0].labels == found[0].labels);
  CHECK(relative_error(both[0].boxes, found[0].boxes) < 1e-5);
  CHECK(both[1].labels.empty());

  two.proposals.pop_back();
  CHECK_THROWS_WITH(model->detect(two),
                    "FastRcnn: the batch has 2 images and proposals for 1; give the dataset some "
                    "(detection/proposals)");
  CHECK_THROWS_WITH(image_of(two, 2), "image_of: the batch has 2 images, asked for number 2");
}

TEST_CASE("a gradient flows through the pyramid", "[scale_pyramid][gradcheck]") {
  manual_seed(5);
  const Tensor image = Tensor::rand({1, 16, 20, 1});
  const Tensor boxes({3, 4}, {1, 1, 6, 7, 0, 0, 20, 16, 8, 4, 18, 14});
  const ScalePyramid pyramid{.sides_px = {8, 16, 24}, .longest_px = 40, .region_px = 9};
  REQUIRE(nearest_scales(boxes, pyramid.factors(20, 16), 9) == std::vector<std::size_t>{2, 0, 1});
  check_gradients(
      [&](const std::vector<Tensor>& in) {
        return pyramid_features(image, boxes, pyramid,
                                [&](const Tensor& scaled, const Tensor& regions) {
                                  return roi_align(conv2d(scaled, in[0], {}, {.padding = 1}),
                                                   to_rois({regions}), 2, 2, 1);
                                });
      },
      {Tensor::randn({3, 3, 1, 2})});
}

TEST_CASE("random_scale draws one of the pyramid's sizes", "[scale_pyramid]") {
  Sample sample;
  sample.image = Image(40, 32);
  sample.target = {.boxes = Tensor({1, 4}, {4, 8, 20, 16}), .labels = {1}, .difficult = {false}};
  sample.proposals = Tensor({1, 4}, {0, 0, 40, 32});
  const Transform augmentation = random_scale(kThree);
  std::vector<int> seen(3);
  Random random(7);
  for (int i = 0; i < 60; ++i) {
    const Sample scaled = augmentation(sample, random);
    const double factor = scaled.image.height() / 32.;
    REQUIRE((factor == 0.5 || factor == 1 || factor == 2));
    ++seen[factor == 0.5 ? 0 : factor == 1 ? 1 : 2];
    CHECK(scaled.image.width() == 40 * factor);
    CHECK(scaled.target.boxes.at({0, 2}) == Approx(20 * factor));
    CHECK(scaled.proposals.at({0, 3}) == Approx(32 * factor));
  }
  for (const int count : seen) CHECK(count > 8);
}

TEST_CASE("scale pyramids explain what is wrong", "[scale_pyramid][errors]") {
  const auto features = [](const Tensor&, const Tensor& boxes) { return boxes; };
  CHECK_THROWS_WITH((ScalePyramid{.sides_px = {}}.factors(10, 10)),
                    "ScalePyramid: needs a side, and longest_px and region_px > 0");
  CHECK_THROWS_WITH((ScalePyramid{.sides_px = {600, -1}}.factors(10, 10)),
                    "ScalePyramid: sides must be > 0, got -1");
  CHECK_THROWS_WITH(ScalePyramid{}.factors(0, 10),
                    "ScalePyramid: the image must have pixels, got 0 x 10");
  CHECK_THROWS_WITH(ScalePyramid{}.resized(0), "ScalePyramid: factor must be > 0, got 0");
  CHECK_THROWS_WITH(nearest_scales(Tensor({1, 4}), {}, 224), "nearest_scales: there is no scale");
  CHECK_THROWS_WITH(pyramid_features(Tensor({2, 8, 8, 3}), Tensor({1, 4}), {}, features),
                    "pyramid_features: image must be [1, H, W, C], got [2, 8, 8, 3]");
  CHECK_THROWS_WITH(
      pyramid_features(Tensor({1, 8, 8, 3}), Tensor({1, 5}), {}, features),
      "pyramid_features: boxes must have shape [N, 4] as [x1, y1, x2, y2], got [1, 5]");
  CHECK_THROWS_WITH(
      features_by_scale(Tensor({2, 4}), {0}, [](std::size_t, const Tensor& b) { return b; }),
      "features_by_scale: expected 2 scales, got 1");
  CHECK_THROWS_WITH(image_at_scale(Tensor({8, 8, 3}), 2),
                    "image_at_scale: image must be [1, H, W, C], got [8, 8, 3]");
  FasterRcnnOptions faster;
  faster.fast_rcnn = options_of(ScalePyramid{});
  CHECK_THROWS_WITH(
      FasterRcnn(std::make_shared<Vgg16>(Vgg16Options{.width = 0.0625, .outputs = {"conv3_3"}}),
                 faster),
      "FasterRcnn: proposals and regions share one map; fast_rcnn.pyramid must be unset");
}
