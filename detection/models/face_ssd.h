#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "core/image.h"
#include "core/tensor.h"
#include "detection/face_input.h"
#include "detection/models/face_trunk.h"
#include "detection/models/ssd.h"
#include "detection/target.h"

/// A real detector that somebody else trained, put together from the layers of this library: the
/// SSD with a MobileNet v1 of the npm package @vladmandic/face-api 1.7.15, which finds faces.
///
///   auto network = load_face_ssd("out/face-api/package");
///   nn::prepare_for_inference(*network);
///   Detections faces = detect_faces(*network, Image::read("photo.jpg"));
///
/// It comes from TensorFlow's object detection API (ssd_mobilenet_v1, one class, WIDER FACE):
///
///   map            side  channels  anchors a cell      is
///   block11          32       512               3      trunk, stride 16
///   block13          16      1024               6      trunk
///   extra1            8       512               6      3x3 stride 2 after 1x1 to 256 (extra0)
///   extra3            4       256               6      the same through 128 (extra2)
///   extra5            2       256               6      through 128 (extra4)
///   extra7            1       128               6      through 64 (extra6)
///
/// Heads are 1x1 convolutions. 5,118 anchors, 5.5 million parameters, 3.1 billion multiply-adds.
/// docs/pretrained.md has the names, the rules and what happens when one of them is broken.
namespace boxgrad::detection {

/// The trunk with its eight extra layers: 6 maps. Children "trunk" and "extra0" to "extra7".
class FaceBackbone : public Backbone {
 public:
  FaceBackbone();
  std::vector<Tensor> maps(const Tensor& images) override;
  std::vector<std::int64_t> channels() const override { return {512, 1024, 512, 256, 256, 128}; }

 private:
  nn::Child trunk_;
  std::vector<nn::Child> extras_;
};

/// The anchors in pixels of the 512 x 512 image. With s_k = 0.2 + 0.15 k and s_6 = 1 of the side,
/// and boxes of scale s and ratio r = width / height: s sqrt(r) wide, s / sqrt(r) high,
///
///   map 0      (0.1, 1)  (0.2, 2)  (0.2, 1/2)
///   map k > 0  (s_k, 1)  (sqrt(s_k s_k+1), 1)  (s_k, 2)  (s_k, 1/2)  (s_k, 3)  (s_k, 0.3333)
///
/// TensorFlow's SSD anchor generator; the file's own list, Output/extra_dim, differs by 1e-7.
std::vector<AnchorLevel> face_anchor_levels();

/// The network with numbers drawn at random, for those who train one. 3 logits an anchor:
/// background, face, and one that the original never used.
std::shared_ptr<Ssd> make_face_ssd();

/// Our names and TensorFlow's for the whole network, like face_trunk_names():
///
///   backbone.trunk. ...             as there
///   backbone.extraJ                 Prediction/Conv2d_J_pointwise              J = 0 to 7
///   class_headK, box_headK          Prediction/BoxPredictor_(K - 1)/...        K = 1 to 6
TensorNames face_ssd_names();

/// The network with the package's weights, in evaluation mode. Offsets come in our order (tx, ty,
/// tw, th): the rows of the box heads, which TensorFlow has as (ty, tx, th, tw), are exchanged.
/// Throws what load_face_trunk() throws.
std::shared_ptr<Ssd> load_face_ssd(const std::filesystem::path& package);

struct FaceOptions {
  double min_score = 0.5;        ///< a score must be > this
  double nms_iou = 0.5;          ///< of two boxes that overlap by more, the lower score goes
  std::int64_t max_faces = 100;  ///< best scores that are reported
};

/// The faces of one image from the network's answers:
///
///   score = sigmoid(logit 1),   box = decode_boxes(offsets, anchors, {10, 10, 5, 5})
///
/// then suppression of whole boxes, and only then clipping to the square. So a box of a face at the
/// edge may reach into the padding.
///
/// heads  for one image, [1, A, 3] and [1, A, 4]
/// input  gives the scale back to pixels of the photo
/// returns  boxes in pixels of the photo, label 1, best score first
/// throws   std::invalid_argument for other shapes, or a limit out of range
Detections faces_from(const Ssd::Heads& heads, const FaceInput& input,
                      const FaceOptions& options = {});

/// face_input(), the network, faces_from().
Detections detect_faces(Ssd& network, const Image& photo, const FaceOptions& options = {});

}  // namespace boxgrad::detection
