#include "detection/models/face_ssd.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"
#include "core/tfjs_weights.h"
#include "detection/nms.h"
#include "layers/conv_norm.h"

namespace boxgrad::detection {

namespace {

/// Channels (ty, tx, th, tw) of every anchor become (tx, ty, tw, th), or back: neighbours change
/// places. A filter's last axis is its output channel, so this is one pass over the numbers.
void exchange_axes(Tensor parameter) {
  const NoGradGuard no_grad;
  const auto numbers = parameter.data();
  for (std::size_t i = 0; i + 1 < numbers.size(); i += 2) std::swap(numbers[i], numbers[i + 1]);
}

}  // namespace

FaceBackbone::FaceBackbone()
    : trunk_(add_module("trunk", std::make_shared<MobileNetV1>(face_trunk_options()))) {
  std::int64_t in = 1024;
  int number = 0;
  const auto append = [&](std::int64_t out, std::int64_t kernel, std::int64_t stride) {
    extras_.push_back(
        add_module(concat("extra", number++),
                   nn::make_conv(in, out, kernel, {.stride = stride, .same_padding = true},
                                 nn::ConvTail::bias, {.activation = Activation::relu6})));
    in = out;
  };
  for (const auto& [narrow, wide] : {std::pair{256, 512}, {128, 256}, {128, 256}, {64, 128}}) {
    append(narrow, 1, 1);
    append(wide, 3, 2);
  }
}

std::vector<Tensor> FaceBackbone::maps(const Tensor& images) {
  std::vector<Tensor> maps;
  {
    const ModuleScope scope("trunk");
    maps = trunk_.as<Backbone>().maps(images);
  }
  Tensor x = maps.back();
  for (std::size_t j = 0; j < extras_.size(); ++j) {
    x = extras_[j](x);
    if (j % 2 == 1) maps.push_back(x);
  }
  return maps;
}

std::vector<AnchorLevel> face_anchor_levels() {
  const auto box = [](double scale, double ratio) {
    return BoxSize{static_cast<Scalar>(kFaceSide * scale * std::sqrt(ratio)),
                   static_cast<Scalar>(kFaceSide * scale / std::sqrt(ratio))};
  };
  std::vector<AnchorLevel> levels = {
      {.sizes = {box(0.1, 1), box(0.2, 2), box(0.2, 0.5)}, .stride_px = 16}};
  for (int k = 1; k < 6; ++k) {
    const double scale = 0.2 + 0.15 * k, next = k == 5 ? 1 : scale + 0.15;
    levels.push_back({.sizes = {box(scale, 1), box(std::sqrt(scale * next), 1), box(scale, 2),
                                box(scale, 0.5), box(scale, 3), box(scale, 0.3333)},
                      .stride_px = static_cast<Scalar>(16 << k)});
  }
  return levels;
}

std::shared_ptr<Ssd> make_face_ssd() {
  return std::make_shared<Ssd>(
      std::make_shared<FaceBackbone>(),
      SsdOptions{.num_classes = 2, .levels = face_anchor_levels(), .head_kernel = 1});
}

TensorNames face_ssd_names() {
  TensorNames names = face_trunk_names("backbone.trunk.");
  for (int j = 0; j < 8; ++j) {
    const std::string ours = concat("backbone.extra", j);
    const std::string theirs = concat("Prediction/Conv2d_", j, "_pointwise/");
    names.emplace_back(ours + ".weight", theirs + "weights");
    names.emplace_back(ours + ".bias", theirs + "convolution_bn_offset");
  }
  for (int k = 0; k < 6; ++k) {
    const std::string theirs = concat("Prediction/BoxPredictor_", k, "/");
    for (const auto& [ours, head] :
         {std::pair("box_head", "BoxEncodingPredictor/"), {"class_head", "ClassPredictor/"}}) {
      names.emplace_back(concat(ours, k + 1, ".weight"), theirs + head + "weights");
      names.emplace_back(concat(ours, k + 1, ".bias"), theirs + head + "biases");
    }
  }
  return names;
}

std::shared_ptr<Ssd> load_face_ssd(const std::filesystem::path& package) {
  auto network = make_face_ssd();
  const std::filesystem::path manifest = face_manifest(package);
  load_tensorflow_weights(*network, load_tfjs_weights(manifest), face_ssd_names(),
                          manifest.string());
  for (const auto& [name, tensor] : network->parameters())
    if (name.starts_with("box_head")) exchange_axes(tensor);
  network->eval();
  return network;
}

Detections faces_from(const Ssd::Heads& heads, const FaceInput& input, const FaceOptions& options) {
  const NoGradGuard no_grad;
  const std::int64_t num_anchors = heads.anchors.size(0);
  check(heads.logits.rank() == 3 && heads.logits.size(0) == 1 && heads.logits.size(2) >= 2,
        "faces_from: logits must have shape [1, A, L] with L >= 2, got ", heads.logits.shape());
  check(heads.logits.size(1) == num_anchors && heads.offsets.shape() == Shape{1, num_anchors, 4},
        "faces_from: logits and offsets must be of ", num_anchors, " anchors, got ",
        heads.logits.shape(), " and ", heads.offsets.shape());
  check(options.min_score >= 0 && options.max_faces >= 0,
        "faces_from: limits must be >= 0, got min_score ", options.min_score, ", max_faces ",
        options.max_faces);

  const std::int64_t classes = heads.logits.size(2);
  const auto logits = std::as_const(heads.logits).data();
  std::vector<std::int64_t> rows;
  std::vector<Scalar> scores;
  for (std::int64_t a = 0; a < num_anchors; ++a) {
    const double logit = static_cast<double>(logits[static_cast<std::size_t>(a * classes + 1)]);
    const double score = 1 / (1 + std::exp(-logit));
    if (!(score > options.min_score)) continue;
    rows.push_back(a);
    scores.push_back(static_cast<Scalar>(score));
  }
  Detections faces;
  if (rows.empty()) return faces;

  const Tensor boxes = decode_boxes(index_select(reshape(heads.offsets, {num_anchors, 4}), 0, rows),
                                    index_select(heads.anchors, 0, rows));
  std::vector<std::int64_t> kept = nms(boxes, scores, options.nms_iou);
  if (static_cast<std::int64_t>(kept.size()) > options.max_faces)
    kept.resize(static_cast<std::size_t>(options.max_faces));
  faces.boxes = clip_boxes_to_image(index_select(boxes, 0, kept), kFaceSide, kFaceSide);
  const auto corners = faces.boxes.data();
  for (std::size_t i = 0; i < corners.size(); ++i)
    corners[i] *= static_cast<Scalar>((i % 2 == 0 ? input.width_px : input.height_px) / kFaceSide);
  for (const std::int64_t row : kept) {
    faces.labels.push_back(1);
    faces.scores.push_back(scores[static_cast<std::size_t>(row)]);
  }
  return faces;
}

Detections detect_faces(Ssd& network, const Image& photo, const FaceOptions& options) {
  const NoGradGuard no_grad;
  const FaceInput input = face_input(photo);
  return faces_from(network.heads(input.image), input, options);
}

}  // namespace boxgrad::detection
