#include "core/image.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "core/check.h"
#include "core/files.h"
#include "core/image_check.h"
#include "core/printable.h"

namespace {

// The decoder takes its memory here. Every block carries its size in front of it, and a thread's
// live blocks together stay under its budget: a file that asks for more gets a null pointer, which
// the decoder reports as an error. Blocks start as zeros, so that nothing it fails to write can
// show what the process held there before.
thread_local std::size_t decoder_bytes_left = 0;

constexpr std::size_t kBlockHeader = 16;  // keeps malloc's alignment

void* decoder_malloc(std::size_t size) {
  if (size > decoder_bytes_left) return nullptr;
  auto* block = static_cast<unsigned char*>(std::calloc(1, kBlockHeader + size));
  if (!block) return nullptr;
  decoder_bytes_left -= size;
  std::memcpy(block, &size, sizeof size);
  return block + kBlockHeader;
}

void decoder_free(void* pointer) {
  if (!pointer) return;
  auto* block = static_cast<unsigned char*>(pointer) - kBlockHeader;
  std::size_t size = 0;
  std::memcpy(&size, block, sizeof size);
  decoder_bytes_left += size;
  std::free(block);
}

void* decoder_realloc(void* pointer, std::size_t old_size, std::size_t size) {
  void* grown = decoder_malloc(size);
  if (!grown || !pointer) return grown;
  std::memcpy(grown, pointer, std::min(old_size, size));
  decoder_free(pointer);
  return grown;
}

}  // namespace

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#elif defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wtype-limits"
#endif
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_ASSERT(condition) ((void)0)  // a stranger's file must not end the process
#define STBI_MALLOC(size) decoder_malloc(size)
#define STBI_REALLOC_SIZED(pointer, old_size, size) decoder_realloc(pointer, old_size, size)
#define STBI_FREE(pointer) decoder_free(pointer)
#if __has_include(<stb/stb_image.h>)
#include <stb/stb_image.h>
#else
#include <stb_image.h>
#endif
#if defined(__clang__)
#pragma clang diagnostic pop
#elif defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

namespace boxgrad {

namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::array<std::uint8_t, 2> kJpegEnd = {0xff, 0xd9};

// A file's name as part of a one-line message, whatever bytes it is made of.
std::string quoted(const std::string& name) { return "\"" + printable_whole(name) + "\": "; }

std::int64_t megabytes(std::size_t bytes) { return static_cast<std::int64_t>(bytes >> 20); }

struct StbFree {
  void operator()(void* pixels) const { decoder_free(pixels); }
};

/// What the decoder returns: 1 to 4 channels a pixel of 8 or 16 bits.
struct Decoded {
  std::unique_ptr<void, StbFree> pixels;
  int width = 0, height = 0, channels = 0;
};

Decoded run_decoder(Bytes bytes, const ImageHeader& header, const std::string& where) {
  decoder_bytes_left = header.decoder_bytes;
  const int size = static_cast<int>(bytes.size());
  // A BMP's fourth byte is not alpha in most files, so we ask for three there; else what is stored.
  const bool bmp = header.format == ImageHeader::Format::bmp;
  Decoded decoded;
  if (header.bits == 16)
    decoded.pixels.reset(stbi_load_16_from_memory(bytes.data(), size, &decoded.width,
                                                  &decoded.height, &decoded.channels, 0));
  else
    decoded.pixels.reset(stbi_load_from_memory(bytes.data(), size, &decoded.width, &decoded.height,
                                               &decoded.channels, bmp ? 3 : 0));
  if (bmp) decoded.channels = 3;
  check(decoded.pixels != nullptr, where, "damaged file, the decoder says: ",
        stbi_failure_reason() ? stbi_failure_reason() : "unknown error");
  check(decoded.width == header.width && decoded.height == header.height, where,
        "the decoder found ", decoded.width, " x ", decoded.height, " pixels, the header ",
        header.width, " x ", header.height);
  return decoded;
}

// A JPEG that stops without its end marker. The decoder would fill what is missing with grey, so
// we decode twice with two different tails in place of the missing bytes: a picture that was
// complete needs none of them and comes out the same. Trailing zeros go first, because a copy that
// was interrupted often has the right length and zeros at its end.
Decoded decode_cut_jpeg(Bytes bytes, const ImageHeader& header, const std::string& where) {
  std::size_t end = header.cut_at;
  while (end > 0 && bytes[end - 1] == 0) --end;
  std::array<Decoded, 2> decoded;
  constexpr std::array<std::uint8_t, 2> kTails = {0x5a, 0xa5};
  for (std::size_t i = 0; i < 2; ++i) {
    std::vector<std::uint8_t> patched(bytes.begin(),
                                      bytes.begin() + static_cast<std::ptrdiff_t>(end));
    patched.insert(patched.end(), 64, kTails[i]);
    patched.insert(patched.end(), kJpegEnd.begin(), kJpegEnd.end());
    try {
      decoded[i] = run_decoder(patched, header, where);
    } catch (const std::invalid_argument&) {
      check(false, where, "the JPEG file ends early: ", bytes.size(),
            " bytes, in the middle of the picture");
    }
  }
  const std::size_t size = static_cast<std::size_t>(decoded[0].width) *
                           static_cast<std::size_t>(decoded[0].height) *
                           static_cast<std::size_t>(decoded[0].channels);
  check(std::memcmp(decoded[0].pixels.get(), decoded[1].pixels.get(), size) == 0, where,
        "the JPEG file ends early: ", bytes.size(), " bytes, in the middle of the picture");
  return std::move(decoded[0]);
}

// Where pixel (x, y) of the stored picture, w x h, goes in the upright one (core/exif.h).
struct Position {
  int x, y;
};
Position upright(int orientation, int x, int y, int w, int h) {
  switch (orientation) {
    case 2:
      return {w - 1 - x, y};
    case 3:
      return {w - 1 - x, h - 1 - y};
    case 4:
      return {x, h - 1 - y};
    case 5:
      return {y, x};
    case 6:
      return {h - 1 - y, x};
    case 7:
      return {h - 1 - y, w - 1 - x};
    case 8:
      return {y, w - 1 - x};
    default:
      return {x, y};
  }
}

// Grey or RGB, with or without alpha, 8 or 16 bits -> upright RGB on white. Sample is the stored
// type; v * 255 / max is rounded once, after compositing.
template <class Sample>
Image to_upright_rgb(const Decoded& decoded, int orientation) {
  constexpr std::uint64_t kMax = static_cast<Sample>(-1);
  const int w = decoded.width, h = decoded.height, channels = decoded.channels;
  const bool turned = orientation >= 5;
  Image image(turned ? h : w, turned ? w : h);
  const Sample* source = static_cast<const Sample*>(decoded.pixels.get());
  const bool grey = channels <= 2, has_alpha = channels % 2 == 0;
  if (sizeof(Sample) == 1 && channels == 3 && orientation == 1) {
    std::memcpy(image.data().data(), source, image.data().size());
    return image;
  }
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x, source += channels) {
      const Position to = upright(orientation, x, y, w, h);
      std::uint8_t* target = image.pixel(to.x, to.y);
      const std::uint64_t alpha = has_alpha ? source[channels - 1] : kMax;
      for (int c = 0; c < 3; ++c) {
        const std::uint64_t on_white = source[grey ? 0 : c] * alpha + kMax * (kMax - alpha);
        target[c] = static_cast<std::uint8_t>((on_white * 255 + kMax * kMax / 2) / (kMax * kMax));
      }
    }
  return image;
}

}  // namespace

Image::Image(int width, int height, std::uint8_t red, std::uint8_t green, std::uint8_t blue)
    : width_(width), height_(height) {
  check(width >= 0 && height >= 0, "Image: sides must be >= 0, got ", width, " x ", height);
  pixels_.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3, red);
  if (green == red && blue == red) return;
  for (std::size_t i = 0; i < pixels_.size(); i += 3) {
    pixels_[i + 1] = green;
    pixels_[i + 2] = blue;
  }
}

Image Image::decode(Bytes bytes, const std::string& name, const ImageLimits& limits) {
  const std::string where = concat("Image::read: ", quoted(name));
  // The decoder counts bytes with int, hence the second bound.
  const std::size_t max_bytes = std::min(limits.max_file_bytes, std::size_t{1} << 30);
  check(bytes.size() <= max_bytes, where, "the file has ", bytes.size(), " bytes, at most ",
        max_bytes, " are allowed");
  const ImageHeader header = check_image(bytes, where);
  check(header.width <= limits.max_side_px && header.height <= limits.max_side_px &&
            header.width * header.height <= limits.max_pixels,
        where, "the picture is ", header.width, " x ", header.height, " pixels, at most ",
        limits.max_pixels, " and ", limits.max_side_px, " a side are allowed");
  check(header.decoder_bytes <= limits.max_decoder_bytes, where, "decoding ", header.width, " x ",
        header.height, " pixels needs ", megabytes(header.decoder_bytes), " MB, at most ",
        megabytes(limits.max_decoder_bytes), " are allowed");

  const Decoded decoded =
      header.cut_at > 0 ? decode_cut_jpeg(bytes, header, where) : run_decoder(bytes, header, where);
  return header.bits == 16 ? to_upright_rgb<std::uint16_t>(decoded, header.orientation)
                           : to_upright_rgb<std::uint8_t>(decoded, header.orientation);
}

Image Image::read(const std::filesystem::path& path, const ImageLimits& limits) {
  std::vector<std::uint8_t> bytes;
  try {
    bytes = read_file(path, limits.max_file_bytes);
  } catch (const std::runtime_error& error) {
    check(false, "Image::read: ", error.what(),
          path.is_relative() ? " (relative to the current folder)" : "");
  }
  return decode(bytes, path.string(), limits);
}

Tensor Image::to_tensor() const {
  Tensor rgb = Tensor::empty({height_, width_, 3});
  const auto values = rgb.data();
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<Scalar>(pixels_[i]) / 255;
  return rgb;
}

Image Image::from_tensor(const Tensor& rgb) {
  check(rgb.rank() == 3 && rgb.size(2) == 3,
        "Image::from_tensor: rgb must have shape [H, W, 3], got ", rgb.shape());
  check(rgb.size(0) < (1 << 24) && rgb.size(1) < (1 << 24),
        "Image::from_tensor: rgb is too large, shape ", rgb.shape());
  Image image(static_cast<int>(rgb.size(1)), static_cast<int>(rgb.size(0)));
  const auto values = rgb.data();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Scalar v = values[i] > 0 ? std::min(values[i], Scalar{1}) : 0;  // NaN > 0 is false
    image.pixels_[i] = static_cast<std::uint8_t>(std::lround(v * 255));
  }
  return image;
}

}  // namespace boxgrad
