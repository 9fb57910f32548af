// Ssd::detect and RetinaNet::detect: every label, score and box by hand.
#include <cmath>
#include <memory>
#include <vector>

#include "detection/models/retinanet.h"
#include "detection/models/ssd.h"
#include "tests/given_maps.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// A layer that answers `numbers` times what its cell holds, plus `rest`.
void answer_times(nn::Module& model, const std::string& path, const std::vector<Scalar>& numbers,
                  const std::vector<Scalar>& rest) {
  answer(model, path, rest);
  nn::Conv2d& conv = conv_at(model, path);
  const std::int64_t middle = conv.weight.size(0) / 2;
  REQUIRE(conv.weight.size(3) == std::int64_t(numbers.size()));
  for (std::size_t k = 0; k < numbers.size(); ++k)
    conv.weight.set({middle, middle, 0, std::int64_t(k)}, numbers[k]);
}

/// Image 0 has something in its left cell, image 1 in its right one.
std::shared_ptr<Backbone> left_and_right() {
  return std::make_shared<GivenMaps>(std::vector{Tensor({2, 1, 2, 1}, {1, 0, 0, 1})});
}

/// Where there is something the large anchor moves by a quarter of its width to the right and an
/// eighth of its height down, and becomes half as wide and three quarters as high; the small one
/// moves by half to the left and a quarter up, and becomes half as high again. Elsewhere anchors stay.
void answer_boxes(nn::Module& model, const std::string& path, const BoxWeights& w) {
  const auto times = [](Scalar weight, double offset) { return Scalar(double(weight) * offset); };
  answer_times(
      model, path,
      {times(w[0], .25), times(w[1], .125), times(w[2], std::log(.5)), times(w[3], std::log(.75)),
       times(w[0], -.5), times(w[1], -.25), 0, times(w[3], std::log(1.5))},
      std::vector<Scalar>(8, 0));
}

/// Both images have three answers: .8 that the small anchor is of class 2, .6 and .3 that the large
/// one is of class 1 and 2. Of image 1 the last two pixels are padding.
void check_left_and_right(Detector& model) {
  Batch batch;
  batch.images = Tensor({2, 8, 16, 3});
  batch.targets.resize(2);
  batch.infos = {{.width = 16, .height = 8}, {.width = 14, .height = 8}};
  const std::vector<Detections> found = model.detect(batch);
  REQUIRE(found.size() == 2);
  const std::vector<std::vector<double>> expected{{0, 0, 4, 6, 4, 2, 8, 8, 4, 2, 8, 8},
                                                  {8, 0, 12, 6, 12, 2, 14, 8, 12, 2, 14, 8}};
  for (std::size_t image = 0; image < 2; ++image) {
    INFO("image " << image);
    CHECK(found[image].labels == std::vector<std::int64_t>{2, 1, 2});
    REQUIRE(found[image].scores.size() == 3);
    CHECK(double(found[image].scores[0]) == Approx(.8).epsilon(1e-5));
    CHECK(double(found[image].scores[1]) == Approx(.6).epsilon(1e-5));
    CHECK(double(found[image].scores[2]) == Approx(.3).epsilon(1e-5));
    const std::vector<Scalar> boxes = found[image].boxes.to_vector();
    REQUIRE(boxes.size() == 12);
    for (std::size_t k = 0; k < 12; ++k)
      CHECK(double(boxes[k]) == Approx(expected[image][k]).margin(1e-4));
  }
}

}  // namespace

TEST_CASE("Ssd::detect by hand", "[ssd]") {
  for (const BoxWeights& weights : {kBoxWeights, kUnitBoxWeights}) {
    INFO("weights " << weights[0]);
    Ssd model(left_and_right(), {.num_classes = 2, .levels = kFourAnchors, .box_weights = weights});
    // Softmax of (0, ln 6, ln 3), and of (0, -20, ln 4).
    answer_times(
        model, "class_head1",
        {0, Scalar(20 + std::log(6.)), Scalar(20 + std::log(3.)), 0, 0, Scalar(20 + std::log(4.))},
        {0, -20, -20, 0, -20, -20});
    answer_boxes(model, "box_head1", weights);
    check_left_and_right(model);
  }
  CHECK(SsdOptions().box_weights == kBoxWeights);
  const PostprocessOptions answers = SsdOptions().postprocess;
  CHECK(answers.score_threshold == .01);
  CHECK(answers.max_per_class == 400);
  CHECK(answers.nms_iou == .45);
  CHECK(answers.max_per_image == 200);
}

TEST_CASE("RetinaNet::detect by hand, with sigmoids and with one softmax", "[retinanet]") {
  for (const BoxWeights& weights : {kBoxWeights, kUnitBoxWeights})
    for (const bool softmax : {false, true}) {
      INFO("weights " << weights[0] << ", softmax " << softmax);
      RetinaNet model(left_and_right(), {.num_classes = 2,
                                         .levels = kFourAnchors,
                                         .tower_depth = 0,
                                         .softmax = softmax,
                                         .box_weights = weights});
      if (softmax)
        answer_times(model, "class_logits",
                     {0, Scalar(20 + std::log(6.)), Scalar(20 + std::log(3.)), 0, 0,
                      Scalar(20 + std::log(4.))},
                     {0, -20, -20, 0, -20, -20});
      else  // the sigmoid of ln(p / (1 - p)) is p
        answer_times(model, "class_logits",
                     {Scalar(20 + std::log(.6 / .4)), Scalar(20 + std::log(.3 / .7)), 0,
                      Scalar(20 + std::log(.8 / .2))},
                     {-20, -20, -20, -20});
      answer_boxes(model, "box_offsets", weights);
      check_left_and_right(model);
    }
  CHECK(RetinaNetOptions().box_weights == kUnitBoxWeights);
  const PostprocessOptions answers = RetinaNetOptions().postprocess;
  CHECK(answers.score_threshold == .05);
  CHECK(answers.max_per_class == 1000);
  CHECK(answers.nms_iou == .5);
  CHECK(answers.max_per_image == 100);
}
