// detection/doctor/{anchor_recall,preset_anchors,box_twins}.h.
#include <cmath>

#include "core/random.h"
#include "detection/boxes.h"
#include "detection/doctor/anchor_recall.h"
#include "detection/doctor/box_twins.h"
#include "detection/doctor/preset_anchors.h"
#include "detection/training/photo_fit.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

TEST_CASE("best_anchor_iou is the largest of all anchors that are laid", "[doctor][anchors]") {
  const std::vector<AnchorLevel> levels{{ratio_box_sizes({12, 20}, {Scalar(0.5), 1, 2}), 8},
                                        {ratio_box_sizes({40, 70}, {Scalar(0.5), 1, 2}), 16}};
  const double width = 100, height = 61;  // no multiples of the strides
  const AnchorGenerator generator(levels);
  const Tensor anchors = generator({{8, 13}, {4, 7}});
  Random random(11);
  for (int i = 0; i < 300; ++i) {
    const double x1 = random.uniform(-5, 95), y1 = random.uniform(-5, 55);
    const std::array<double, 4> box{x1, y1, x1 + random.uniform(1, 80), y1 + random.uniform(1, 60)};
    const Tensor truth({1, 4}, {static_cast<Scalar>(box[0]), static_cast<Scalar>(box[1]),
                                static_cast<Scalar>(box[2]), static_cast<Scalar>(box[3])});
    Scalar best = 0;
    for (const Scalar iou : box_iou(truth, anchors).to_vector()) best = std::max(best, iou);
    CHECK(best_anchor_iou(box, levels, width, height) == Approx(best).margin(1e-5));
  }
}

TEST_CASE("photos come to a detector's size", "[doctor][anchors]") {
  using Rule = PhotoFit::Rule;
  CHECK(PhotoFit{.first = 320}.size(640, 480) == std::array<double, 2>{320, 240});
  CHECK(PhotoFit{Rule::shorter, 600, 1000}.size(640, 480) == std::array<double, 2>{800, 600});
  CHECK(PhotoFit{Rule::shorter, 600, 1000}.size(480, 2000) == std::array<double, 2>{240, 1000});
  CHECK(PhotoFit{Rule::stretch, 300, 300}.size(640, 480) == std::array<double, 2>{300, 300});
  CHECK(PhotoFit{.first = 320}.size(10000, 1) == std::array<double, 2>{320, 1});
  CHECK_THROWS_AS(PhotoFit().size(0, 5), std::invalid_argument);
}

TEST_CASE("recall is counted by class, crowds left out", "[doctor][anchors]") {
  // A cell's centre lies at (4, 4): the first box is the anchor itself, the second half of it.
  const AnchorPreset preset{"one", {.first = 80}, {{{{8, 8}}, 8}}};
  PhotoEntry photo{.width = 80, .height = 80};
  photo.objects = {{.label = 1, .x1 = 0, .y1 = 0, .x2 = 8, .y2 = 8},
                   {.label = 2, .x1 = 0, .y1 = 0, .x2 = 8, .y2 = 4},
                   {.label = 2, .x1 = 0, .y1 = 0, .x2 = 8, .y2 = 3.9},
                   {.label = 1, .x1 = 0, .y1 = 0, .x2 = 80, .y2 = 80, .crowd = true}};
  AnchorRecallCounter counter(preset, 3);
  counter.add(photo, {3, 1});  // its classes are called 3 and 1 here
  const AnchorRecall recall = counter.result();
  CHECK(recall.boxes == 3);
  CHECK(recall.matched == 2);
  CHECK(recall.class_boxes == std::vector<std::int64_t>{2, 0, 1});
  CHECK(recall.class_matched == std::vector<std::int64_t>{1, 0, 1});
  CHECK(recall.mean_iou == Approx((1 + .5 + 3.9 / 8) / 3));
  CHECK(AnchorRecallCounter(preset, 0).result().mean_iou == 0);
  for (const AnchorPreset& published : published_anchors()) CHECK(!published.levels.empty());
}

TEST_CASE("fitted anchors match the boxes that they were fitted to", "[doctor][anchors]") {
  Random random(2);
  std::vector<PhotoEntry> photos(20);
  for (PhotoEntry& photo : photos) {
    photo.width = 640, photo.height = 480;
    for (int k = 0; k < 5; ++k) {
      const double x = random.uniform(0, 400), y = random.uniform(0, 300);
      const double side = random.uniform(40, 120);
      photo.objects.push_back({.label = 1, .x1 = x, .y1 = y, .x2 = x + side, .y2 = y + 1.2 * side});
    }
  }
  const std::vector<std::int64_t> labels{2};
  std::vector<BoxesOnly::Photo> all;
  for (const PhotoEntry& photo : photos) all.push_back({&photo, &labels});
  const BoxesOnly boxes(all, {"other", "thing"}, 320);
  const Sample sample = boxes.get(0);
  CHECK(sample.image.width() == 320);
  CHECK(sample.scale_x == 0.5);
  CHECK(sample.target.labels == std::vector<std::int64_t>(5, 2));
  CHECK(sample.target.boxes.data()[0] == Approx(static_cast<Scalar>(photos[0].objects[0].x1 / 2)));
  const std::vector<AnchorPreset> presets = fitted_anchors(all, {"other", "thing"});
  REQUIRE(presets.size() == 4);
  for (const AnchorPreset& preset : presets) {
    INFO(preset.name);
    AnchorRecallCounter counter(preset, 2);
    for (const PhotoEntry& photo : photos) counter.add(photo, labels);
    CHECK(counter.result().matched >= 97);
  }
  const std::vector<BoxSize> sizes{{10, 10}, {90, 90}, {96, 97}, {30, 20}};
  const auto maps = on_maps(sizes);
  REQUIRE(maps.size() == 3);
  CHECK(maps[0].sizes.size() == 2);
  CHECK(maps[2].stride_px == 32);
  CHECK(on_maps({{200, 200}}).size() == 1);
  DetectorSpec spec;  // the same maps as in a recipe
  set_maps(spec, {"a", "b", "c"}, anchors_by_size(sizes));
  REQUIRE(spec.anchors.size() == 3);
  for (std::size_t k = 0; k < 3; ++k) {
    CHECK(maps[k].stride_px == spec.anchors[k].stride_px);
    REQUIRE(maps[k].sizes.size() == spec.anchors[k].sizes.size());
    for (std::size_t i = 0; i < maps[k].sizes.size(); ++i)
      CHECK(maps[k].sizes[i].width == spec.anchors[k].sizes[i].width);
  }
}

TEST_CASE("box_twins finds boxes that lie on each other", "[doctor]") {
  PhotoEntry photo;
  photo.objects = {{.label = 1, .x1 = 10, .y1 = 10, .x2 = 50, .y2 = 50},
                   {.label = 1, .x1 = 60, .y1 = 10, .x2 = 90, .y2 = 50},
                   {.label = 2, .x1 = 10, .y1 = 10, .x2 = 50, .y2 = 50},
                   {.label = 1, .x1 = 10, .y1 = 11, .x2 = 50, .y2 = 51},
                   {.label = 1, .x1 = 60, .y1 = 10, .x2 = 90, .y2 = 50, .crowd = true}};
  const std::vector<BoxTwins> twins = box_twins(photo);
  REQUIRE(twins.size() == 2);
  CHECK(twins[0].first == 0);
  CHECK(twins[0].second == 2);
  CHECK(twins[0].iou == 1);
  CHECK(twins[1].first == 0);
  CHECK(twins[1].second == 3);
  CHECK(twins[1].iou == Approx(39. / 41));
  CHECK(box_twins(photo, 0.99).size() == 1);
  CHECK(box_twins(PhotoEntry()).empty());
}
