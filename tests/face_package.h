#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "detection/models/face_trunk.h"
#include "tests/catch.h"
#include "tests/tfjs_folder.h"

namespace boxgrad {

/// $`place`, or `usual` without such a variable. When nothing is there the test cannot run: with
/// $`need` = 1 that is a failure; otherwise it says so, and the path that comes back is empty.
inline std::filesystem::path fetched(const char* place, const char* usual, const char* need,
                                     const char* remedy) {
  const char* variable = std::getenv(place);
  const std::filesystem::path path = variable ? variable : usual;
  if (std::filesystem::exists(path)) return path;
  const char* needed = std::getenv(need);
  if (needed != nullptr && std::string(needed) == "1")
    FAIL(path << " is missing (" << remedy << "), and " << need << " is 1");
  std::puts(concat(path.string(), " is missing (", remedy, "): not tested").c_str());
  return {};
}

/// Where the unpacked npm package is: $BOXGRAD_FACE_PACKAGE, or where `make faces` puts it.
inline std::filesystem::path face_package() {
  return fetched("BOXGRAD_FACE_PACKAGE", "out/face-api/package", "BOXGRAD_NEED_FACES",
                 "make faces");
}

/// A photo with one face, which is not part of the repository.
inline std::filesystem::path face_photo() {
  return fetched("BOXGRAD_FACE_PHOTO", "out/face-api/astronaut.png", "BOXGRAD_NEED_PHOTO",
                 "tests/tools/fetch_photo.sh out/face-api");
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
