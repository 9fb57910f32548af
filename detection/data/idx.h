#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/shape.h"

namespace boxgrad::detection {

/// What an IDX file holds: the format of MNIST and its relatives (LeCun, Cortes, Burges, "The
/// MNIST database", section FILE FORMATS).
///
///   00 00 | type | number of axes | one 32-bit big-endian extent per axis | values, row-major
struct IdxArray {
  Shape shape;                       ///< [60000, 28, 28] for images, [60000] for labels
  std::vector<std::uint8_t> values;  ///< shape.numel() bytes, row-major
};

/// Reads an IDX file of unsigned bytes (type 08), plain or compressed by gzip.
///
/// Nothing is taken on trust: the extents' product is checked before anything is allocated, the
/// decompressed size must be exactly what the header announces, gzip's checksum must hold and no
/// byte may follow. Throws std::invalid_argument naming the file otherwise (std::runtime_error
/// when it cannot be read).
IdxArray read_idx(const std::filesystem::path& path);

/// The same from the bytes of a file; `name` stands in the messages.
IdxArray parse_idx(std::span<const std::uint8_t> bytes, const std::string& name);

}  // namespace boxgrad::detection
