#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace boxgrad {

/// What the armour in front of the decoder found out by reading a file's structure.
///
/// The decoder (stb_image) was written for trusted files: it overruns a table on a JPEG whose
/// Huffman counts sum above 256, reads tables that were never defined, ignores checksums, and
/// takes the width and height of a header at their word. So we walk every segment or chunk first,
/// in the same order and with the same positions as the decoder will, and refuse what it must
/// not see. Nothing here allocates.
struct ImageHeader {
  enum class Format { jpeg, png, bmp };
  Format format = Format::jpeg;
  std::int64_t width = 0, height = 0;
  int bits = 8;                   ///< bits a channel
  int orientation = 1;            ///< as EXIF numbers it, core/exif.h
  std::size_t decoder_bytes = 0;  ///< what decoding may allocate
  /// JPEG: where the picture's data ends when the end marker is missing, else 0.
  std::size_t cut_at = 0;
};

/// Reads and checks the structure; throws std::invalid_argument, `where` in front of the reason.
/// Names the format when it is one that people have but we do not read.
ImageHeader check_image(std::span<const std::uint8_t> bytes, const std::string& where);

/// The parts of check_image, each for bytes that start with the format's signature.
ImageHeader check_jpeg(std::span<const std::uint8_t> bytes, const std::string& where);
ImageHeader check_png(std::span<const std::uint8_t> bytes, const std::string& where);
ImageHeader check_bmp(std::span<const std::uint8_t> bytes, const std::string& where);

}  // namespace boxgrad
