#include "detection/models/face_trunk.h"

#include <map>
#include <system_error>

#include "core/check.h"
#include "core/tfjs_weights.h"

namespace boxgrad::detection {

namespace {

constexpr const char* kManifestName = "ssd_mobilenetv1_model-weights_manifest.json";

/// TensorFlow's depthwise filters [KH, KW, C, 1] are a grouped convolution's [KH, KW, 1, C] here:
/// the same numbers in the same order.
Tensor as_grouped(const Tensor& value, const Shape& wanted) {
  const Shape& have = value.shape();
  const bool depthwise = have.rank() == 4 && wanted.rank() == 4 && have[2] == wanted[3] &&
                         have[3] == 1 && wanted[2] == 1 && have[0] == wanted[0] &&
                         have[1] == wanted[1];
  return depthwise ? value.view_as(wanted) : value;
}

}  // namespace

std::filesystem::path face_manifest(const std::filesystem::path& package) {
  std::error_code error;
  if (std::filesystem::is_regular_file(package, error)) return package;
  for (const char* folder : {"model", "package/model", "."}) {
    std::filesystem::path candidate = package / folder / kManifestName;
    if (std::filesystem::is_regular_file(candidate, error)) return candidate;
  }
  throw std::invalid_argument(
      concat("face_manifest: \"", package.string(), "\" must be the unpacked npm package ",
             "@vladmandic/face-api, with model/", kManifestName, " in it (make faces fetches it)"));
}

MobileNetV1Options face_trunk_options(std::vector<std::string> outputs) {
  return {.outputs = std::move(outputs),
          .activation = Activation::relu6,
          .eps = Scalar(1e-3),
          .same_padding = true,
          .folded = FoldedNorms::pointwise};
}

TensorNames face_trunk_names(const std::string& prefix) {
  TensorNames names;
  const auto folded = [&](const std::string& ours, const std::string& theirs) {
    names.emplace_back(prefix + ours + ".weight", theirs + "/weights");
    names.emplace_back(prefix + ours + ".bias", theirs + "/convolution_bn_offset");
  };
  folded("conv0", "MobilenetV1/Conv2d_0_pointwise");
  for (int block = 1; block <= 13; ++block) {
    const std::string depthwise = concat(prefix, "block", block, ".depthwise.");
    const std::string theirs = concat("MobilenetV1/Conv2d_", block, "_depthwise/");
    names.emplace_back(depthwise + "conv.weight", theirs + "depthwise_weights");
    names.emplace_back(depthwise + "norm.weight", theirs + "BatchNorm/gamma");
    names.emplace_back(depthwise + "norm.bias", theirs + "BatchNorm/beta");
    names.emplace_back(depthwise + "norm.running_mean", theirs + "BatchNorm/moving_mean");
    names.emplace_back(depthwise + "norm.running_var", theirs + "BatchNorm/moving_variance");
    folded(concat("block", block, ".pointwise"),
           concat("MobilenetV1/Conv2d_", block, "_pointwise"));
  }
  return names;
}

void load_tensorflow_weights(nn::Module& module, const TensorFile& file, const TensorNames& names,
                             const std::string& source) {
  const std::map<std::string, Tensor> theirs(file.tensors.begin(), file.tensors.end());
  const std::map<std::string, std::string> their_names(names.begin(), names.end());
  nn::StateDict state;
  for (const auto& [name, place] : module.state_dict()) {
    const auto pair = their_names.find(name);
    check(pair != their_names.end(), source, ": nothing is known to fill our \"", name, "\"");
    const auto found = theirs.find(pair->second);
    check(found != theirs.end(), source, ": has no tensor \"", pair->second, "\", which is our \"",
          name, "\"");
    const Tensor value = as_grouped(found->second, place.shape());
    check(value.shape() == place.shape(), source, ": tensor \"", pair->second,
          "\" must have shape ", place.shape(), " for our \"", name, "\", got ",
          found->second.shape());
    state.emplace_back(name, value);
  }
  module.load_state_dict(state);
}

void fill_from_face_trunk(nn::Module& trunk, const std::filesystem::path& package) {
  const std::filesystem::path manifest = face_manifest(package);
  load_tensorflow_weights(trunk, load_tfjs_weights(manifest), face_trunk_names(),
                          manifest.string());
}

std::shared_ptr<MobileNetV1> load_face_trunk(const std::filesystem::path& package,
                                             std::vector<std::string> outputs) {
  auto trunk = std::make_shared<MobileNetV1>(face_trunk_options(std::move(outputs)));
  fill_from_face_trunk(*trunk, package);
  trunk->eval();
  return trunk;
}

}  // namespace boxgrad::detection
