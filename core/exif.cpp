#include "core/exif.h"

#include <cstddef>

namespace boxgrad {

namespace {

constexpr int kUpright = 1;
constexpr std::uint32_t kOrientationTag = 0x0112;
constexpr std::uint32_t kTypeShort = 3;
constexpr std::size_t kEntryBytes = 12;  // tag (2), type (2), count (4), value or offset (4)

/// Numbers of 2 or 4 bytes in the byte order that the block's first two bytes name. The caller
/// has checked that they lie inside.
struct TiffReader {
  std::span<const std::uint8_t> bytes;
  bool big_endian;

  std::uint32_t number(std::size_t at, std::size_t size) const {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i)
      value = value << 8 | bytes[at + (big_endian ? i : size - 1 - i)];
    return value;
  }
};

}  // namespace

int exif_orientation(std::span<const std::uint8_t> tiff) {
  if (tiff.size() < 8) return kUpright;
  const bool big_endian = tiff[0] == 'M' && tiff[1] == 'M';
  if (!big_endian && !(tiff[0] == 'I' && tiff[1] == 'I')) return kUpright;
  const TiffReader reader{tiff, big_endian};
  if (reader.number(2, 2) != 42) return kUpright;

  const std::size_t directory = reader.number(4, 4);
  if (directory > tiff.size() || tiff.size() - directory < 2) return kUpright;
  const std::size_t entries = reader.number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * kEntryBytes;
    if (tiff.size() < kEntryBytes || entry > tiff.size() - kEntryBytes) return kUpright;
    if (reader.number(entry, 2) != kOrientationTag) continue;
    if (reader.number(entry + 2, 2) != kTypeShort || reader.number(entry + 4, 4) != 1)
      return kUpright;
    const std::uint32_t value = reader.number(entry + 8, 2);  // a short sits at the field's start
    return value >= 1 && value <= 8 ? static_cast<int>(value) : kUpright;
  }
  return kUpright;
}

}  // namespace boxgrad
