#include "core/image_check.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "core/check.h"
#include "core/exif.h"

namespace boxgrad {

namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t kSlack = std::size_t{1} << 20;  // tables and line buffers of the decoder

std::uint32_t big_endian_32(Bytes b, std::size_t at) {
  return std::uint32_t{b[at]} << 24 | std::uint32_t{b[at + 1]} << 16 |
         std::uint32_t{b[at + 2]} << 8 | b[at + 3];
}

std::uint32_t little_endian(Bytes b, std::size_t at, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = size; i-- > 0;) value = value << 8 | b[at + i];
  return value;
}

bool starts_with(Bytes bytes, std::string_view signature, std::size_t at = 0) {
  return bytes.size() >= at + signature.size() &&
         std::memcmp(bytes.data() + at, signature.data(), signature.size()) == 0;
}

constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";

// Files that people do have in their folders, so that the message can say what to do.
const char* name_of_other_format(Bytes bytes) {
  if (starts_with(bytes, "GIF8")) return "a GIF file";
  if (starts_with(bytes, "RIFF") && starts_with(bytes, "WEBP", 8)) return "a WebP file";
  if (starts_with(bytes, "ftypavif", 4)) return "an AVIF file";
  if (starts_with(bytes, "ftyphei", 4) || starts_with(bytes, "ftypmif1", 4)) return "a HEIC file";
  if (starts_with(bytes, std::string_view("II*\0", 4)) ||
      starts_with(bytes, std::string_view("MM\0*", 4)))
    return "a TIFF file";
  if (starts_with(bytes, std::string_view("\0\0\0\fjP", 6))) return "a JPEG 2000 file";
  if (starts_with(bytes, "8BPS")) return "a Photoshop file";
  if (starts_with(bytes, "%PDF")) return "a PDF file";
  if (starts_with(bytes, "version https://git-lfs"))
    return "a Git LFS pointer (fetch the real file with git lfs pull)";
  if (starts_with(bytes, "<")) return "a text file (a web page saved in place of the image?)";
  if (std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; }))
    return "zeros only (an interrupted copy?)";
  return "something else";
}

}  // namespace

ImageHeader check_image(Bytes bytes, const std::string& where) {
  check(!bytes.empty(), where, "the file is empty");
  if (starts_with(bytes, "\xff\xd8")) return check_jpeg(bytes, where);
  if (starts_with(bytes, kPngSignature)) return check_png(bytes, where);
  if (starts_with(bytes, "BM")) return check_bmp(bytes, where);
  // The beginning of a signature is a file that was cut very early.
  const bool cut_early = bytes.size() < kPngSignature.size() &&
                         (std::memcmp(bytes.data(), kPngSignature.data(), bytes.size()) == 0 ||
                          (bytes.size() == 1 && (bytes[0] == 0xff || bytes[0] == 'B')));
  check(!cut_early, where, "the file ends after ", bytes.size(), " bytes");
  check(false, where, "expected a JPEG, PNG or BMP file, got ", name_of_other_format(bytes));
  return {};
}

// --- PNG (Portable Network Graphics specification, second edition) ---------------------------

namespace {

// Bytes of filtered rows that the compressed data must unpack to: one filter byte a row.
std::int64_t png_row_bytes(std::int64_t width, int bits_a_pixel) {
  return width > 0 ? 1 + (width * bits_a_pixel + 7) / 8 : 0;
}

// Adam7 interlacing stores seven small pictures; section 8.2.
std::int64_t png_raw_bytes(std::int64_t width, std::int64_t height, int bits_a_pixel,
                           bool interlaced) {
  if (!interlaced) return height * png_row_bytes(width, bits_a_pixel);
  constexpr std::array<std::array<int, 4>, 7> kPasses = {{{0, 0, 8, 8},
                                                          {4, 0, 8, 8},
                                                          {0, 4, 4, 8},
                                                          {2, 0, 4, 4},
                                                          {0, 2, 2, 4},
                                                          {1, 0, 2, 2},
                                                          {0, 1, 1, 2}}};
  std::int64_t sum = 0;
  for (const auto& [x, y, dx, dy] : kPasses)
    sum += (height - y + dy - 1) / dy * png_row_bytes((width - x + dx - 1) / dx, bits_a_pixel);
  return sum;
}

}  // namespace

ImageHeader check_png(Bytes bytes, const std::string& where) {
  ImageHeader header{.format = ImageHeader::Format::png};
  int color_type = 0, bits_a_pixel = 0;
  bool interlaced = false, has_palette = false, ended = false;
  std::int64_t compressed = 0;

  for (std::size_t at = kPngSignature.size(); !ended;) {
    check(bytes.size() - at >= 12, where,
          "the PNG file ends early: expected another chunk at byte ", at,
          ", got the end of the file");
    const std::size_t length = big_endian_32(bytes, at);
    const Bytes type = bytes.subspan(at + 4, 4);
    check(std::all_of(type.begin(), type.end(),
                      [](int c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }),
          where, "damaged PNG: expected a chunk at byte ", at, ", got other bytes");
    const std::string name(type.begin(), type.end());
    check(length <= bytes.size() - at - 12, where, "the PNG file ends early: chunk ", name,
          " at byte ", at, " needs ", length, " bytes, got ", bytes.size() - at - 12);
    const Bytes content = bytes.subspan(at + 8, length);
    const bool first = at == kPngSignature.size();
    check((name == "IHDR") == first, where,
          "damaged PNG: IHDR must be the first chunk and only it");

    const bool critical = name[0] < 'a';
    if (critical || name == "tRNS") {
      const auto crc = ::crc32(0, bytes.data() + at + 4, static_cast<uInt>(length + 4));
      check(crc == big_endian_32(bytes, at + 8 + length), where,
            "damaged PNG: the checksum of chunk ", name, " at byte ", at,
            " does not match its bytes");
    }
    if (name == "IHDR") {
      check(length == 13, where, "damaged PNG: IHDR must have 13 bytes, got ", length);
      header.width = big_endian_32(content, 0);
      header.height = big_endian_32(content, 4);
      header.bits = content[8];
      color_type = content[9];
      interlaced = content[12] != 0;
      const int channels = color_type == 0 || color_type == 3 ? 1
                           : color_type == 2                  ? 3
                           : color_type == 4                  ? 2
                           : color_type == 6                  ? 4
                                                              : 0;
      // Section 11.2.2: less than 8 bits only for one channel, 16 not for palettes.
      const bool depth_fits = (header.bits == 8) || (header.bits == 16 && color_type != 3) ||
                              ((header.bits == 1 || header.bits == 2 || header.bits == 4) &&
                               (color_type == 0 || color_type == 3));
      check(channels > 0 && depth_fits && content[10] == 0 && content[11] == 0 && content[12] <= 1,
            where, "damaged PNG: no such picture format (colour type ", color_type, ", ",
            header.bits, " bits, compression ", +content[10], ", filter ", +content[11],
            ", interlace ", +content[12], ")");
      check(header.width > 0 && header.height > 0, where, "damaged PNG: the picture has size ",
            header.width, " x ", header.height);
      bits_a_pixel = channels * header.bits;
    } else if (name == "PLTE") {
      check(compressed == 0 && length > 0 && length <= 768 && length % 3 == 0, where,
            "damaged PNG: a palette holds 1 to 256 colours before the picture, got ", length,
            " bytes");
      has_palette = true;
    } else if (name == "IDAT") {
      check(color_type != 3 || has_palette, where, "damaged PNG: the palette is missing");
      compressed += static_cast<std::int64_t>(length);
    } else if (name == "eXIf") {
      header.orientation = exif_orientation(content);
    } else if (name == "IEND") {
      ended = true;
    } else {
      check(name != "CgBI", where, "this is Apple's own variant of PNG; save it as a standard PNG");
      check(!critical, where, "damaged PNG: chunk ", name, " is unknown");
    }
    at += length + 12;
  }
  check(compressed > 0, where, "damaged PNG: it has no picture data");
  // The sides may be up to 2^32 here: refuse what would overflow before multiplying.
  check(header.width < (1 << 24) && header.height < (1 << 24), where, "the picture is ",
        header.width, " x ", header.height, " pixels, more than any decoder takes");
  const std::int64_t raw = png_raw_bytes(header.width, header.height, bits_a_pixel, interlaced);
  // Deflate packs at most 1032 bytes into one (258 bytes in 2 bits), so a header that promises
  // more is lying, and we need not allocate anything to know.
  check(raw / 1032 <= compressed, where, "damaged PNG: ", compressed,
        " bytes of data cannot hold a picture of ", header.width, " x ", header.height, " pixels");
  header.decoder_bytes =
      static_cast<std::size_t>(2 * compressed + 2 * raw + 24 * header.width * header.height) +
      kSlack;
  return header;
}

// --- BMP: what Windows writes, uncompressed --------------------------------------------------

ImageHeader check_bmp(Bytes bytes, const std::string& where) {
  constexpr std::size_t kFileHeader = 14;
  ImageHeader header{.format = ImageHeader::Format::bmp};
  check(bytes.size() >= kFileHeader + 40, where, "the BMP file ends early: it has ", bytes.size(),
        " bytes, expected at least 54");
  const std::int64_t offset = little_endian(bytes, 10, 4);
  const std::int64_t info_bytes = little_endian(bytes, 14, 4);
  check(info_bytes == 40 || info_bytes == 108 || info_bytes == 124, where,
        "expected a BMP header of 40, 108 or 124 bytes, got ", info_bytes);
  check(static_cast<std::int64_t>(bytes.size()) >= offset, where,
        "the BMP file ends early: it has ", bytes.size(), " bytes, its pixels start at ", offset);
  header.width = static_cast<std::int32_t>(little_endian(bytes, 18, 4));
  header.height = static_cast<std::int32_t>(little_endian(bytes, 22, 4));
  if (header.height < 0) header.height = -header.height;  // rows from top to bottom
  check(header.width > 0 && header.height > 0, where, "damaged BMP: the picture has size ",
        header.width, " x ", header.height);
  const int bits_a_pixel = static_cast<int>(little_endian(bytes, 28, 2));
  const std::uint32_t compression = little_endian(bytes, 30, 4);
  const bool palette = bits_a_pixel == 8;
  check((palette || bits_a_pixel == 24 || bits_a_pixel == 32) &&
            (compression == 0 || (compression == 3 && bits_a_pixel == 32)),
        where, "expected an uncompressed BMP with 8, 24 or 32 bits a pixel, got ", bits_a_pixel,
        " bits, compression ", compression);
  // A palette must be whole: the decoder looks colours up without asking how many there are.
  const std::int64_t pixels_at = kFileHeader + info_bytes + (palette ? 4 * 256 : 0);
  check(offset >= pixels_at && offset <= pixels_at + 12, where,
        "damaged BMP: expected the pixels at byte ", pixels_at, ", got ", offset);
  const std::int64_t row = (header.width * bits_a_pixel + 31) / 32 * 4;
  check(row <= (static_cast<std::int64_t>(bytes.size()) - offset) / header.height, where,
        "the BMP file ends early: ", header.height, " rows of ", row, " bytes do not fit into ",
        static_cast<std::int64_t>(bytes.size()) - offset);
  header.decoder_bytes = static_cast<std::size_t>(8 * header.width * header.height) + kSlack;
  return header;
}

}  // namespace boxgrad
