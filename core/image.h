#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace boxgrad {

/// Red, green, blue, 0 to 255; black unless said otherwise.
struct Color {
  std::uint8_t red = 0, green = 0, blue = 0;
  friend bool operator==(const Color&, const Color&) = default;
};

/// What a file from a stranger may cost. The header is held against these numbers before a single
/// pixel is decoded, and the decoder's own allocations are counted while it runs.
struct ImageLimits {
  std::size_t max_file_bytes = std::size_t{256} << 20;
  int max_side_px = 65535;
  std::int64_t max_pixels = std::int64_t{1} << 26;       ///< 67 megapixels
  std::size_t max_decoder_bytes = std::size_t{1} << 30;  ///< working memory while decoding
};

/// An upright RGB picture: 8 bits a channel, rows from top to bottom, [H, W, 3] in memory.
class Image {
 public:
  Image() = default;  ///< 0 x 0
  /// One colour everywhere. Throws std::invalid_argument for a negative side.
  Image(int width, int height, std::uint8_t red = 0, std::uint8_t green = 0, std::uint8_t blue = 0);

  Image(int width, int height, Color color)
      : Image(width, height, color.red, color.green, color.blue) {}

  int width() const { return width_; }
  int height() const { return height_; }
  /// The three bytes of column x, row y; the caller keeps 0 <= x < width(), 0 <= y < height().
  std::uint8_t* pixel(int x, int y) { return &pixels_[index(x, y)]; }
  const std::uint8_t* pixel(int x, int y) const { return &pixels_[index(x, y)]; }
  std::span<std::uint8_t> data() { return pixels_; }
  std::span<const std::uint8_t> data() const { return pixels_; }

  /// Reads a JPEG (baseline or progressive), PNG or BMP. Greyscale and palettes become RGB, Adobe
  /// CMYK is converted, alpha is composited on white, 16 bits become 8 (rounded), EXIF orientation
  /// is applied: what comes out is upright. The file's content decides, not its extension.
  ///
  /// Throws std::invalid_argument in one line that names the file and what is wrong with it:
  /// missing, too large for `limits`, another format, damaged or cut short. A JPEG that lacks only
  /// its end marker is accepted, one that ends inside its picture is not: docs/images.md.
  /// May be called from several threads at once.
  static Image read(const std::filesystem::path& path, const ImageLimits& limits = {});
  /// The same from bytes in memory; `name` stands in the messages.
  static Image decode(std::span<const std::uint8_t> bytes, const std::string& name,
                      const ImageLimits& limits = {});

  /// Writes a PNG through a temporary file beside it and a rename, so that `path` holds either
  /// what it held before or the whole picture. Throws std::invalid_argument for an image without
  /// pixels, std::runtime_error naming the path when it cannot be written.
  void write_png(const std::filesystem::path& path) const;
  std::vector<std::uint8_t> encode_png() const;

  /// [H, W, 3] with values 0 to 1 (v / 255).
  Tensor to_tensor() const;
  /// The way back: clamped to 0 to 1, times 255, rounded to nearest; NaN becomes 0.
  /// Throws std::invalid_argument unless the shape is [H, W, 3].
  static Image from_tensor(const Tensor& rgb);

  friend bool operator==(const Image&, const Image&) = default;

 private:
  std::size_t index(int x, int y) const {
    return (static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) +
            static_cast<std::size_t>(x)) *
           3;
  }
  int width_ = 0, height_ = 0;
  std::vector<std::uint8_t> pixels_;
};

}  // namespace boxgrad
