// Pictures: what the armour lets through, the decoder must survive.
#include <zlib.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "core/image.h"
#include "tests/fuzz/targets.h"

namespace boxgrad::fuzz {

namespace {

// A small file may hold a large picture of one colour, and that is no mistake: what is asked is
// that memory and time stay within what the caller allows.
constexpr ImageLimits kLimits{
    .max_side_px = 4096, .max_pixels = 1 << 20, .max_decoder_bytes = std::size_t{64} << 20};

void decode(Bytes bytes) {
  accepts([&] {
    const Image image = Image::decode(bytes, "x", kLimits);
    require(image.width() > 0 && image.height() > 0 && image.width() <= 4096 &&
                image.height() <= 4096 && image.width() * image.height() <= 1 << 20,
            "a picture keeps the limits");
  });
}

}  // namespace

void jpeg(Bytes bytes) { decode(bytes); }

void png(Bytes bytes) {
  decode(bytes);
  // No fuzzer finds a CRC-32.
  std::vector<std::uint8_t> fixed(bytes.begin(), bytes.end());
  for (std::size_t at = 8; at + 12 <= fixed.size();) {
    const std::size_t length = std::size_t{fixed[at]} << 24 | std::size_t{fixed[at + 1]} << 16 |
                               std::size_t{fixed[at + 2]} << 8 | fixed[at + 3];
    if (length > fixed.size() - at - 12) break;
    const auto crc = ::crc32(0, fixed.data() + at + 4, static_cast<uInt>(length + 4));
    for (std::size_t k = 0; k < 4; ++k)
      fixed[at + 8 + length + k] = static_cast<std::uint8_t>(crc >> (24 - 8 * k));
    at += length + 12;
  }
  if (!std::ranges::equal(fixed, bytes)) decode(fixed);
}

}  // namespace boxgrad::fuzz
