#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <stdexcept>

#include "core/check.h"
#include "core/files.h"
#include "core/image.h"

namespace boxgrad {

namespace {

constexpr std::size_t kPixelBytes = 3;

void append_big_endian(std::vector<std::uint8_t>& out, std::size_t value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(value >> shift));
}

void append_chunk(std::vector<std::uint8_t>& out, const char* type,
                  std::span<const std::uint8_t> content) {
  append_big_endian(out, content.size());
  const std::size_t start = out.size();
  out.insert(out.end(), type, type + 4);
  out.insert(out.end(), content.begin(), content.end());
  append_big_endian(out, ::crc32_z(0, out.data() + start, out.size() - start));
}

// PNG specification, section 9.4: whichever of left, above and upper left is nearest to
// left + above - upper left.
int paeth(int left, int above, int corner) {
  const int to_left = std::abs(above - corner), to_above = std::abs(left - corner);
  const int to_corner = std::abs(left + above - 2 * corner);
  if (to_left <= to_above && to_left <= to_corner) return left;
  return to_above <= to_corner ? above : corner;
}

// Row `row` minus its prediction by filter 0 to 4 (none, left, above, mean, Paeth); `above` is the
// row before, zeros for the first. Writes the filter's number, then the differences.
void filter_row(int filter, std::span<const std::uint8_t> row, std::span<const std::uint8_t> above,
                std::vector<std::uint8_t>& out) {
  out[0] = static_cast<std::uint8_t>(filter);
  for (std::size_t i = 0; i < row.size(); ++i) {
    const int left = i < kPixelBytes ? 0 : row[i - kPixelBytes];
    const int corner = i < kPixelBytes ? 0 : above[i - kPixelBytes];
    const int prediction = filter == 0   ? 0
                           : filter == 1 ? left
                           : filter == 2 ? above[i]
                           : filter == 3 ? (left + above[i]) / 2
                                         : paeth(left, above[i], corner);
    out[i + 1] = static_cast<std::uint8_t>(row[i] - prediction);
  }
}

// The usual guess at what deflate likes best: differences near zero.
long magnitude(const std::vector<std::uint8_t>& filtered) {
  long sum = 0;
  for (std::size_t i = 1; i < filtered.size(); ++i)
    sum += std::abs(static_cast<int>(static_cast<std::int8_t>(filtered[i])));
  return sum;
}

}  // namespace

std::vector<std::uint8_t> Image::encode_png() const {
  check(width_ > 0 && height_ > 0, "Image::encode_png: the image has no pixels, ", width_, " x ",
        height_);
  const std::size_t row_bytes = static_cast<std::size_t>(width_) * kPixelBytes;
  const std::vector<std::uint8_t> zeros(row_bytes, 0);
  std::vector<std::uint8_t> raw, best(row_bytes + 1), candidate(row_bytes + 1);
  raw.reserve((row_bytes + 1) * static_cast<std::size_t>(height_));
  std::span<const std::uint8_t> above = zeros;
  for (int y = 0; y < height_; ++y) {
    const std::span<const std::uint8_t> row(pixel(0, y), row_bytes);
    filter_row(0, row, above, best);
    long least = magnitude(best);
    for (const int filter : {1, 2, 4}) {  // "mean" rarely wins
      filter_row(filter, row, above, candidate);
      const long sum = magnitude(candidate);
      if (sum >= least) continue;
      least = sum;
      std::swap(best, candidate);
    }
    raw.insert(raw.end(), best.begin(), best.end());
    above = row;
  }

  uLongf packed_bytes = ::compressBound(static_cast<uLong>(raw.size()));
  std::vector<std::uint8_t> packed(packed_bytes);
  const int status = ::compress2(packed.data(), &packed_bytes, raw.data(),
                                 static_cast<uLong>(raw.size()), Z_DEFAULT_COMPRESSION);
  if (status != Z_OK) throw std::runtime_error(concat("Image::encode_png: zlib error ", status));
  check(packed_bytes < (std::size_t{1} << 31), "Image::encode_png: ", width_, " x ", height_,
        " pixels are too many for one PNG chunk");
  packed.resize(packed_bytes);

  std::vector<std::uint8_t> png = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  std::vector<std::uint8_t> header;
  append_big_endian(header, static_cast<std::size_t>(width_));
  append_big_endian(header, static_cast<std::size_t>(height_));
  header.insert(header.end(), {8, 2, 0, 0, 0});  // 8 bits, RGB, deflate, the five filters, no Adam7
  append_chunk(png, "IHDR", header);
  append_chunk(png, "IDAT", packed);
  append_chunk(png, "IEND", {});
  return png;
}

void Image::write_png(const std::filesystem::path& path) const {
  write_file_atomically(path, encode_png());
}

}  // namespace boxgrad
