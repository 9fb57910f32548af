#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace boxgrad {

/// What a safetensors file holds: tensors by name, in the order of their places
/// in the file (empty ones at the same place by name), and strings.
struct TensorFile {
  std::vector<std::pair<std::string, Tensor>> tensors;
  std::map<std::string, std::string> metadata;

  /// A metadata string as a number: `otherwise` if there is none of that name, or it is not a
  /// finite number.
  double number(const std::string& name, double otherwise = 0) const;
};

/// The bytes of a safetensors file: the header's length (8 bytes, little-endian), a JSON header
/// with dtype, shape and place of every tensor, then the numbers back to back. Numbers are F32, or
/// F64 in the double build. A rank-0 tensor does not exist here; a scalar is written as [1].
/// Throws std::invalid_argument for two tensors of one name, a tensor that is not defined, and text
/// that is not UTF-8.
std::vector<std::uint8_t> encode_safetensors(const TensorFile& file);

/// Reads such bytes, strictly: nothing is taken from a file that is damaged in any part.
///
///   dtype      F32, F64, F16, BF16 become Scalar; others are refused in words, and so is an F64
///              that a float cannot hold
///   header     valid JSON of at most 100 MB without repeated keys
///   shape      extents >= 0 whose product fits; the bytes must be exactly that many
///   places     inside the file, without overlaps and without holes, up to the last byte
///
/// `name` stands in the messages. Throws std::invalid_argument that names file and tensor.
TensorFile decode_safetensors(std::span<const std::uint8_t> bytes, const std::string& name);

/// Writes through a temporary file and a rename; throws std::runtime_error naming the path.
void save_safetensors(const std::filesystem::path& path, const TensorFile& file);

/// Throws std::runtime_error when the file cannot be read, std::invalid_argument as above.
TensorFile load_safetensors(const std::filesystem::path& path);

}  // namespace boxgrad
