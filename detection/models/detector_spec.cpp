#include "detection/models/detector_spec.h"

#include <algorithm>

#include "core/check.h"
#include "detection/data/transforms.h"
#include "detection/models/face_trunk.h"
#include "detection/models/faster_rcnn.h"
#include "detection/models/fpn.h"
#include "detection/models/mobilenet_v1.h"
#include "detection/models/retinanet_small.h"
#include "detection/models/separable_net.h"
#include "detection/models/ssd.h"
#include "layers/linear.h"
#include "layers/svd_linear.h"

namespace boxgrad::detection {

namespace {

std::int64_t classes_of(const DetectorSpec& spec) {
  return static_cast<std::int64_t>(spec.classes.size());
}

SsdOptions ssd_options(const DetectorSpec& spec) {
  return {.num_classes = classes_of(spec),
          .levels = spec.anchors,
          .box_weights = spec.box_weights,
          .postprocess = spec.answers};
}

std::shared_ptr<Detector> spec_ssd_mobilenet(const DetectorSpec& spec) {
  const auto trunk = std::make_shared<MobileNetV1>(spec.tensorflow_trunk
                                                       ? face_trunk_options(spec.maps)
                                                       : MobileNetV1Options{.outputs = spec.maps});
  return std::make_shared<Ssd>(trunk, ssd_options(spec));
}

/// SsdSmall's trunk: maps "stage3", "stage4", "stage5" of strides 8, 16 and 32, as far as needed.
std::shared_ptr<Backbone> small_trunk(const DetectorSpec& spec) {
  SeparableNetOptions net;
  net.stages = {{.channels = 32, .stride = 2},
                {.channels = 48},
                {.channels = 96, .blocks = 3, .stride = 2},
                {.channels = 128, .blocks = 2, .stride = 2},
                {.channels = 128, .blocks = 1, .stride = 2}};
  std::size_t last = 0;
  for (const std::string& map : spec.maps) {
    check(map == "stage3" || map == "stage4" || map == "stage5", "DetectorSpec: maps of ",
          spec.model, " are stage3, stage4 and stage5, got \"", map, "\"");
    const auto stage = static_cast<std::size_t>(map.back() - '1');
    net.stages[stage].output = true;
    last = std::max(last, stage);
  }
  net.stages.resize(last + 1);
  return std::make_shared<SeparableNet>(net);
}

std::shared_ptr<Detector> spec_ssd_small(const DetectorSpec& spec) {
  SsdOptions options = ssd_options(spec);
  options.head_kernel = 1;
  return std::make_shared<Ssd>(small_trunk(spec), options);
}

std::shared_ptr<Detector> spec_retinanet(const DetectorSpec& spec) {
  const FpnOptions pyramid{.channels = spec.channels, .extra_levels = 0};
  const RetinaNetOptions options{.num_classes = classes_of(spec),
                                 .levels = spec.anchors,
                                 .tower_depth = spec.tower_depth,
                                 .box_weights = spec.box_weights,
                                 .postprocess = spec.answers};
  const auto model =
      std::make_shared<RetinaNet>(std::make_shared<Fpn>(small_trunk(spec), pyramid), options);
  start_as_loud(*model, spec.channels);
  return model;
}

std::shared_ptr<Backbone> region_trunk(const DetectorSpec& spec) {
  SeparableNetOptions net;
  net.stem_channels = spec.channels;
  net.stages = {{.channels = 2 * spec.channels, .stride = 2},
                {.channels = 2 * spec.channels},
                {.channels = 4 * spec.channels,
                 .blocks = static_cast<int>(spec.blocks),
                 .stride = 2,
                 .output = true}};
  return std::make_shared<SeparableNet>(net);
}

std::shared_ptr<Detector> spec_two_stages(const DetectorSpec& spec) {
  FastRcnnOptions fast{.num_classes = classes_of(spec),
                       .pool = spec.pool,
                       .scale = 1 / 8.,
                       .head = {.hidden = {spec.hidden, spec.hidden}, .dropout = 0},
                       .postprocess = spec.answers};
  fast.sampling.size = spec.regions;
  // Regions that overlap nothing must be seen, too: most proposals on photos of small things do.
  fast.regions.negative_low = 0;
  if (spec.model == "fast-rcnn") return std::make_shared<FastRcnn>(region_trunk(spec), fast);
  check(spec.anchors.size() == 1, "DetectorSpec: faster-rcnn has one map of anchors, got ",
        spec.anchors.size());
  FasterRcnnOptions options;
  options.fast_rcnn = fast;
  options.rpn.anchors = spec.anchors[0];
  options.rpn.channels = 128;
  options.rpn.matcher.positive = Scalar(0.6);
  // Anchors across the border learn, too: on photos many objects are cut by it.
  options.rpn.ignore_crossing = false;
  // A large object has dozens of good anchors, a small one has two or three, which the large ones
  // would keep out if only the best thousand entered suppression.
  options.rpn.train_before_nms = options.rpn.test_before_nms = 4000;
  options.rpn.train_proposals = options.rpn.test_proposals = spec.proposals;
  return std::make_shared<FasterRcnn>(region_trunk(spec), options);
}

/// An SVDLinear of the right shape, whose numbers come from a file afterwards.
void make_thin(Detector& detector, const std::string& path, std::int64_t rank) {
  const auto* layer = dynamic_cast<const nn::Linear*>(detector.find(path));
  check(layer != nullptr, "DetectorSpec: compressed names \"", path,
        "\", which is no fully connected layer of the network");
  const std::int64_t in = layer->weight.size(0), out = layer->weight.size(1);
  const std::int64_t most = std::min(in, out);
  check(rank <= most, "DetectorSpec: compressed: the rank of \"", path, "\" is at most ", most,
        ", got ", rank);
  const Svd nothing{Tensor({in, rank}), std::vector<Scalar>(static_cast<std::size_t>(rank)),
                    Tensor({rank, out})};
  detector.replace(path, std::make_shared<nn::SVDLinear>(*layer, nothing, rank));
}

}  // namespace

const std::vector<std::string>& detector_models() {
  static const std::vector<std::string> models{"ssd-mobilenet", "ssd-small", "retinanet",
                                               "faster-rcnn", "fast-rcnn"};
  return models;
}

std::shared_ptr<Detector> make_detector(const DetectorSpec& spec) {
  check(!spec.classes.empty(), "DetectorSpec: classes must name at least one class");
  const bool dense =
      spec.model == "ssd-mobilenet" || spec.model == "ssd-small" || spec.model == "retinanet";
  check(!dense || (spec.maps.size() == spec.anchors.size() && !spec.maps.empty()),
        "DetectorSpec: ", spec.model, " needs anchors for each of its maps, got ",
        spec.anchors.size(), " for ", spec.maps.size(), " maps");
  std::shared_ptr<Detector> detector;
  if (spec.model == "ssd-mobilenet") detector = spec_ssd_mobilenet(spec);
  if (spec.model == "ssd-small") detector = spec_ssd_small(spec);
  if (spec.model == "retinanet") detector = spec_retinanet(spec);
  if (spec.model == "faster-rcnn" || spec.model == "fast-rcnn") detector = spec_two_stages(spec);
  check(detector != nullptr, "DetectorSpec: there is no model \"", spec.model, "\"");
  for (const auto& [path, rank] : spec.ranks) make_thin(*detector, path, rank);
  return detector;
}

Preparation preparation_of(const DetectorSpec& spec) {
  Preparation preparation;
  preparation.resize = [longer_px = spec.longer_px](Sample sample, Random&) {
    return resize_longer_side(sample, longer_px);
  };
  preparation.batch.mean = spec.mean;
  preparation.batch.std = spec.std;
  preparation.batch.multiple_px = spec.multiple_px;
  return preparation;
}

}  // namespace boxgrad::detection
