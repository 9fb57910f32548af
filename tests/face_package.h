#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "detection/models/face_trunk.h"
#include "tests/tfjs_folder.h"

namespace boxgrad {

/// Where the unpacked npm package is: $BOXGRAD_FACE_PACKAGE, or where `make faces` puts it; empty
/// when it is not there, and then what needs it is not tested.
inline std::filesystem::path face_package() {
  const char* variable = std::getenv("BOXGRAD_FACE_PACKAGE");
  const std::filesystem::path path = variable ? variable : "out/face-api/package";
  return std::filesystem::is_directory(path) ? path : std::filesystem::path();
}

/// Adds a module's tensors under TensorFlow's names, filters as bytes, the rest as floats;
/// depthwise filters go back to [KH, KW, C, 1].
inline void add_to_package(TfjsWriter& writer, const nn::Module& module,
                           const detection::TensorNames& names) {
  for (const auto& [ours, theirs] : names)
    for (const auto& [name, tensor] : module.state_dict()) {
      if (name != ours) continue;
      const Shape& shape = tensor.shape();
      const bool depthwise = theirs.ends_with("depthwise_weights");
      const Tensor lying =
          depthwise ? tensor.view_as(Shape{shape[0], shape[1], shape[3], 1}) : tensor;
      if (theirs.ends_with("weights"))
        writer.add_quantized(theirs, lying);
      else
        writer.add_float(theirs, lying);
    }
}

/// Writes what was added as the package's model folder; the manifest's place is face_manifest()'s.
inline void write_package(const ScratchFolder& folder, const TfjsWriter& writer) {
  folder.write("model/ssd_mobilenetv1_model-weights_manifest.json",
               writer.manifest("ssd_mobilenetv1_model.bin"));
  folder.write("model/ssd_mobilenetv1_model.bin", writer.data());
}

}  // namespace boxgrad
