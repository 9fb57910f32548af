#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/serialize.h"
#include "core/shape.h"

namespace boxgrad {

/// One tensor of a TensorFlow.js weights manifest, and where its bytes lie.
struct TfjsWeight {
  std::string name;
  Shape shape;        ///< a scalar, which TensorFlow gives no axes, is [1]
  std::string dtype;  ///< "float32" or "int32": what the numbers are, or were
  /// Whether each number is one byte: number = byte * scale + min. Otherwise it is four bytes.
  bool quantized = false;
  double scale = 1, min = 0;
  std::size_t group = 0;     ///< which of TfjsManifest::groups
  std::uint64_t offset = 0;  ///< first byte, counted through the files of the group
  std::uint64_t bytes = 0;
};

/// What a manifest announces. A group's files are read as if they were one.
struct TfjsManifest {
  std::vector<TfjsWeight> weights;                         ///< in the manifest's order
  std::vector<std::vector<std::filesystem::path>> groups;  ///< files of each group, in order
};

/// Reads a TensorFlow.js weights manifest (`...-weights_manifest.json`): a JSON list of groups
///
///   {"weights": [{"name", "shape", "dtype", "quantization": {"dtype", "scale", "min"}}, ...],
///    "paths": ["file", ...]}
///
/// whose tensors lie back to back, without padding, in the order of `weights`. Manifests come from
/// strangers, so everything is held against this before any number is read:
///
///   manifest      at most 16 MB of JSON, nested no deeper than groups and shapes are
///   paths         relative, without "..", neither links nor folders on the way out of the
///                 manifest's folder; regular files
///   names         not empty, each once
///   shape         at most 8 extents >= 0 whose product fits
///   dtype         float32 or int32; others are refused in words
///   quantization  of dtype uint8, with finite scale and min
///   sizes         a group's tensors take exactly the bytes of its files
///
/// Throws std::runtime_error when a file cannot be read, std::invalid_argument that names the
/// manifest and the tensor for everything else.
TfjsManifest read_tfjs_manifest(const std::filesystem::path& manifest);

/// The same, with the numbers:
///
///   quantized     byte * scale + min in double, rounded once to float; for int32 to the nearest
///                 whole number
///   float32       as they are, little-endian, at any offset
///   int32         as they are, made Scalars; a number that a Scalar cannot hold exactly is refused
///
/// A number that is not finite in float is refused. The metadata are {"format": "tfjs"}.
TensorFile load_tfjs_weights(const std::filesystem::path& manifest);

}  // namespace boxgrad
