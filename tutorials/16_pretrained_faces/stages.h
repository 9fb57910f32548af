#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/autograd.h"
#include "core/check.h"
#include "core/image.h"
#include "core/ops.h"
#include "detection/models/face_ssd.h"
#include "layers/activation.h"
#include "tutorials/16_pretrained_faces/reference.h"

/// Every stage of the face detector beside what PyTorch (and TensorFlow.js) made of the same
/// picture: reference.h.
namespace boxgrad {

/// The reference's pictures, "ramp" 512 x 512 and "rect" 300 x 200: numbers that any program can
/// make.
inline Image reference_picture(const std::string& name) {
  const bool ramp = name == "ramp";
  Image image(ramp ? 512 : 300, ramp ? 512 : 200);
  for (int y = 0; y < image.height(); ++y)
    for (int x = 0; x < image.width(); ++x) {
      const int thirds[3] = {x >> 1, y >> 1, (x + y) >> 2};
      for (int c = 0; c < 3; ++c)
        image.pixel(x, y)[c] = static_cast<std::uint8_t>(
            ramp ? thirds[c] : (3 * x + 5 * y + 40 * c + (x * y) % 17) & 255);
    }
  return image;
}

/// Neighbours exchanged along the last axis: TensorFlow puts y before x.
inline Tensor y_before_x(const Tensor& x) {
  Tensor y = x.clone();
  const auto numbers = y.data();
  for (std::size_t i = 0; i + 1 < numbers.size(); i += 2) std::swap(numbers[i], numbers[i + 1]);
  return y;
}

/// The path of the module whose output is a stage; "" for what no module computes.
inline std::string module_of(const std::string& stage) {
  const auto number = [&](const std::string& before) {
    return std::atoi(stage.substr(before.size()).c_str());
  };
  if (stage == "mobilenet/conv0") return "backbone.trunk.conv0";
  if (stage.starts_with("mobilenet/conv"))
    return concat("backbone.trunk.block", number("mobilenet/conv"),
                  stage.ends_with("dw_bn_relu6") ? ".depthwise" : ".pointwise");
  if (stage.starts_with("extra/conv")) return concat("backbone.extra", number("extra/conv"));
  if (stage.starts_with("head"))
    return concat(stage.ends_with("/box") ? "box_head" : "class_head", number("head") + 1);
  return "";
}

/// All stages of one photo by name, as the reference has them (TensorFlow's order of axes).
inline std::map<std::string, Tensor> face_stages(detection::Ssd& network,
                                                 const detection::FaceInput& input,
                                                 const std::vector<FaceStage>& stages) {
  const NoGradGuard no_grad;
  std::vector<std::string> paths;
  for (const FaceStage& stage : stages)
    if (std::string path = module_of(stage.name); !path.empty()) paths.push_back(std::move(path));
  const nn::OutputTap tap(paths);
  const detection::Ssd::Heads heads = network.heads(input.image);

  std::map<std::string, Tensor> result;
  result["input_normalised"] = input.image;
  result["resized_0_255"] = (input.image + Scalar(1)) * Scalar(127.5);
  result["all_box_encodings"] = y_before_x(heads.offsets);
  result["all_class_logits"] = heads.logits;
  const std::int64_t anchors = heads.anchors.size(0);
  result["decoded_boxes_yxyx"] =
      y_before_x(reshape(detection::decode_boxes(heads.offsets, heads.anchors), {anchors, 4})) /
      Scalar(detection::kFaceSide);
  result["scores"] = sigmoid(reshape(slice(heads.logits, 2, 1, 2), {anchors}));
  for (const FaceStage& stage : stages) {
    const std::string name = stage.name, path = module_of(name);
    if (!path.empty())
      result[name] = name.ends_with("/box") ? y_before_x(tap.output(path)) : tap.output(path);
  }
  return result;
}

/// The largest difference of anything that the reference tells of a stage, over its largest number.
/// Throws std::invalid_argument for another shape.
inline double stage_error(const Tensor& tensor, const FaceStage& golden) {
  const Shape shape(std::vector<std::int64_t>(golden.shape.begin(), golden.shape.end()));
  check(tensor.shape() == shape, golden.name, " must have shape ", shape, ", got ", tensor.shape());
  const auto numbers = tensor.data();
  double sum = 0, low = INFINITY, high = -INFINITY, worst = 0;
  for (const Scalar v : numbers) {
    sum += static_cast<double>(v);
    low = std::min(low, static_cast<double>(v));
    high = std::max(high, static_cast<double>(v));
  }
  const auto compare = [&](double ours, double theirs) {
    worst = std::isfinite(ours) ? std::max(worst, std::abs(ours - theirs)) : INFINITY;
  };
  compare(sum / static_cast<double>(numbers.size()), golden.mean);
  compare(low, golden.min);
  compare(high, golden.max);
  for (std::size_t i = 0; i < 8; ++i) {
    compare(static_cast<double>(numbers[i]), golden.first8[i]);
    compare(static_cast<double>(numbers[static_cast<std::size_t>(golden.middle) + i]),
            golden.middle8[i]);
  }
  return worst / std::max(std::abs(golden.min), std::abs(golden.max));
}

}  // namespace boxgrad
