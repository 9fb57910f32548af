#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/serialize.h"
#include "detection/models/mobilenet_v1.h"
#include "layers/module.h"

/// A MobileNet v1 that somebody else trained: the trunk of the face detector of the npm package
/// @vladmandic/face-api 1.7.15 (face_ssd.h), which saw the photos of WIDER FACE. Its channels and
/// its filters are what a detector of other things can start from.
///
///   auto trunk = load_face_trunk("out/face-api/package", {"block11", "block13"});
///
/// What it expects: RGB / 127.5 - 1 (mean 0.5 and deviation 0.5 of values from 0 to 1), any size.
/// `make faces` fetches the package; docs/pretrained.md.
namespace boxgrad::detection {

/// Mean and deviation that it expects, of values from 0 to 1.
inline constexpr std::array<double, 3> kFaceColors{.5, .5, .5};

/// The package's manifest: the path itself if it is a file, or where the package (or the folder
/// around it) keeps it. Throws std::invalid_argument that says what is missing and how to get it.
std::filesystem::path face_manifest(const std::filesystem::path& package);

/// The options of a trunk that takes these weights: relu6, eps 1e-3, TensorFlow's SAME padding, the
/// batch norm of conv0 and of the pointwise convolutions folded, that of the depthwise not.
MobileNetV1Options face_trunk_options(std::vector<std::string> outputs = {"block11", "block13"});

/// Our names and TensorFlow's, for every tensor of that trunk; `prefix` is put before ours.
///
///   conv0                   MobilenetV1/Conv2d_0_pointwise          (an ordinary 3x3 convolution)
///   blockI.depthwise.conv   MobilenetV1/Conv2d_I_depthwise/depthwise_weights
///   blockI.depthwise.norm   MobilenetV1/Conv2d_I_depthwise/BatchNorm
///   blockI.pointwise        MobilenetV1/Conv2d_I_pointwise, its bias .../convolution_bn_offset
using TensorNames = std::vector<std::pair<std::string, std::string>>;
TensorNames face_trunk_names(const std::string& prefix = "");

/// Fills every parameter and buffer of `module` from the tensor of `file` that `names` pairs it
/// with; pairs that the module has no place for are left out. All or nothing.
/// TensorFlow's filters lie as ours do, but for the depthwise: [3, 3, C, 1] becomes [3, 3, 1, C].
///
/// source  stands in the messages
/// throws  std::invalid_argument for an entry that has no pair, and, naming both tensors, for one
///         that `file` lacks or whose shape differs
void load_tensorflow_weights(nn::Module& module, const TensorFile& file, const TensorNames& names,
                             const std::string& source);

/// Fills a MobileNetV1 that has face_trunk_options() with the package's weights.
void fill_from_face_trunk(nn::Module& trunk, const std::filesystem::path& package);

/// The trunk with its weights, in evaluation mode; `outputs` as in MobileNetV1Options. Its
/// parameters want gradients and its batch norms would learn: freezing is the caller's.
/// Throws what reading a manifest throws (core/tfjs_weights.h), and for an output that is no layer.
std::shared_ptr<MobileNetV1> load_face_trunk(const std::filesystem::path& package,
                                             std::vector<std::string> outputs = {"block11",
                                                                                 "block13"});

}  // namespace boxgrad::detection
