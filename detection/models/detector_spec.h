#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "detection/anchors.h"
#include "detection/boxes.h"
#include "detection/data/preparation.h"
#include "detection/detector.h"
#include "detection/postprocess.h"

namespace boxgrad {
class JsonFields;
}

namespace boxgrad::detection {

/// The detectors that the `boxgrad` command trains.
///
///   ssd-mobilenet   SSD on MobileNet v1, which may be pretrained
///   ssd-small       SSD on a small SeparableNet
///   retinanet       RetinaNet on the same one, under a narrow feature pyramid
///   faster-rcnn     a SeparableNet of stride 8, an RPN, Fast R-CNN's head
///   fast-rcnn       the same with proposals by selective search
const std::vector<std::string>& detector_models();

/// All that must be known of a detector, beside its weights, to build it again without the photos
/// that it was fitted to: it travels with the weights, and stands in a run's config.json. What was
/// measured on photos (anchors, colours) is here as values.
///
/// Fields that a model does not name in spec_fields() mean nothing to it.
struct DetectorSpec {
  std::string model = {};
  std::vector<std::string> classes = {};  ///< names of labels 1, 2, ...

  // How a photo becomes the network's input.
  int longer_px = 320;   ///< the longer side; proportions stay
  int multiple_px = 32;  ///< sides of the tensor
  std::array<double, 3> mean{0, 0, 0}, std{1, 1, 1};

  // How anchors and the network's offsets become boxes.
  std::vector<AnchorLevel> anchors = {};  ///< of each map; one for faster-rcnn, none for fast-rcnn
  BoxWeights box_weights = kBoxWeights;
  PostprocessOptions answers = {};

  // The network.
  std::vector<std::string> maps = {};  ///< layers of the trunk that carry anchors
  bool tensorflow_trunk = false;       ///< MobileNet as TensorFlow has it: padding, eps, relu6
  std::int64_t channels = 24;    ///< of the stem (two stages), of pyramid and subnets (retinanet)
  std::int64_t tower_depth = 1;  ///< layers of retinanet's subnets
  std::int64_t blocks = 5;       ///< of stride 8 (two stages)
  std::int64_t pool = 6, hidden = 128;  ///< of the regions' head (two stages)
  std::int64_t proposals = 200;         ///< of each photo (two stages)
  std::int64_t regions = 64;            ///< of each photo that training looks at (two stages)

  /// Fully connected layers that truncated SVD has replaced, and their ranks.
  std::vector<std::pair<std::string, std::int64_t>> ranks = {};
};

/// The fields of a spec as JSON, for reading and writing. Throws std::invalid_argument for a model
/// that does not exist, and for values that no network can have.
void spec_fields(JsonFields& io, DetectorSpec& spec);
/// The same as a text of its own; `file` stands in messages.
std::string spec_to_json(DetectorSpec spec);
DetectorSpec spec_from_json(const std::string& text, const std::string& file);

/// The detector, with weights drawn from default_random().
/// Throws std::invalid_argument for a spec that makes no sense, naming the field.
std::shared_ptr<Detector> make_detector(const DetectorSpec& spec);

/// Resizing and colours.
Preparation preparation_of(const DetectorSpec& spec);

}  // namespace boxgrad::detection
