#include "detection/training/faster_rcnn_presets.h"

#include <cmath>

#include "core/check.h"

namespace boxgrad::detection {

FasterRcnnPreset faster_rcnn_preset(const std::string& name, std::int64_t num_classes) {
  check(num_classes >= 1, "faster_rcnn_preset: num_classes must be >= 1, got ", num_classes);
  check(name == "L" || name == "narrow", "faster_rcnn_preset: name must be L or narrow, got \"",
        name, "\"");
  FasterRcnnPreset p;
  p.name = name;
  p.detector = fast_rcnn_preset(name, num_classes);
  p.detector.model.regions.negative_low = 0;
  if (name == "L") {
    p.detector.model.sampling.size = 128;
    p.detector.sgd.groups[0].decay = 1;  // the published prototxts say nothing else of biases
    p.detector.iterations = 70000;
    p.detector.drops = {5. / 7};  // 50,000 steps
    p.detector.compression = {};
    p.rpn.anchors = {ratio_box_sizes({128, 256, 512}, {0.5, 1, 2}), 16};
    p.rpn.train_before_nms = 12000, p.rpn.train_proposals = 2000;
    p.rpn.test_before_nms = 6000, p.rpn.test_proposals = 300;
    p.rpn.min_side_px = 16;
    return p;
  }
  p.detector.iterations = 1500;
  p.four_steps = {750, 1050, 600, 600};
  p.four_step_images = {2, 2, 2, 2};
  p.rpn.anchors = {ratio_box_sizes({20, 32, 48}, {0.5, 1, 2}), 8};
  p.rpn.channels = 128;
  p.rpn.matcher.positive = Scalar(0.6);
  p.rpn.sampling.size = 128;
  p.rpn.box_weight = 5;  // an item of 20 px has three anchors, and the sum is divided by 128
  p.rpn.train_before_nms = 1000, p.rpn.train_proposals = 200;
  p.rpn.test_before_nms = 600, p.rpn.test_proposals = 100;
  return p;
}

std::shared_ptr<FasterRcnn> make_faster_rcnn(const FasterRcnnPreset& preset) {
  return std::make_shared<FasterRcnn>(make_backbone(preset.detector), preset.model());
}

FasterRcnnOptions FasterRcnnPreset::model() const {
  return {.rpn = rpn, .fast_rcnn = detector.model};
}

AlternatingOptions FasterRcnnPreset::alternating() const {
  FastRcnnPreset step = detector;
  step.drops = {0.75};
  AlternatingOptions options{.model = model(),
                             .sgd = step.sgd,
                             .training = step.training(),
                             .iterations = four_steps,
                             .images = four_step_images};
  options.model.fast_rcnn.sampling.size = four_step_regions;
  return options;
}

PresetSettings FasterRcnnPreset::settings() const {
  std::string sizes, steps, images;
  for (const BoxSize& size : rpn.anchors.sizes)
    sizes +=
        concat(sizes.empty() ? "" : ", ", std::lround(size.width), " x ", std::lround(size.height));
  for (const std::int64_t n : four_steps) steps += concat(steps.empty() ? "" : ", ", n);
  for (const std::int64_t n : four_step_images) images += concat(images.empty() ? "" : ", ", n);
  PresetSettings result = detector.settings();
  const PresetSettings own = {
      {"anchors in px", sizes},
      {"pixels between anchors", concat(rpn.anchors.stride_px)},
      {"channels of the 3x3 convolution", concat(rpn.channels)},
      {"anchor is an object from IoU", concat(rpn.matcher.positive)},
      {"and background below", concat(rpn.matcher.negative)},
      {"anchors across the border", rpn.ignore_crossing ? "ignored" : "learn"},
      {"anchors of an image that learn", concat(rpn.sampling.size)},
      {"share of objects among them", concat(rpn.sampling.positive_fraction)},
      {"weight of the anchors' box loss", concat(rpn.box_weight)},
      {"proposals in training", concat(rpn.train_proposals, " of ", rpn.train_before_nms)},
      {"proposals in the test", concat(rpn.test_proposals, " of ", rpn.test_before_nms)},
      {"suppression of proposals", concat(rpn.nms_iou)},
      {"smallest side of a proposal in px", concat(rpn.min_side_px)},
      {"iterations of the four steps", steps},
      {"images of a step in each", images},
      {"regions of an image in them", concat(four_step_regions)},
  };
  result.insert(result.end(), own.begin(), own.end());
  return result;
}

}  // namespace boxgrad::detection
