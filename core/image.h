#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace boxgrad {

/// An upright RGB picture: 8 bits a channel, rows from top to bottom, [H, W, 3] in memory.
class Image {
 public:
  Image() = default;  ///< 0 x 0
  Image(int width, int height, std::uint8_t red = 0, std::uint8_t green = 0, std::uint8_t blue = 0);

  int width() const { return width_; }
  int height() const { return height_; }
  std::uint8_t* pixel(int x, int y) { return &pixels_[index(x, y)]; }
  const std::uint8_t* pixel(int x, int y) const { return &pixels_[index(x, y)]; }
  std::span<std::uint8_t> data() { return pixels_; }
  std::span<const std::uint8_t> data() const { return pixels_; }

  /// Reads a JPEG or PNG (also BMP, GIF, TGA as far as the decoder does). Greyscale is spread over
  /// the channels, alpha is composited on white, 16 bits become 8, EXIF orientation is applied.
  /// Throws std::invalid_argument naming the file and what is wrong with it.
  static Image read(const std::filesystem::path& path);
  /// The same from bytes in memory; `name` stands in the messages.
  static Image decode(std::span<const std::uint8_t> bytes, const std::string& name);

  /// Writes a PNG through a temporary file and a rename; throws std::runtime_error naming the path.
  void write_png(const std::filesystem::path& path) const;
  std::vector<std::uint8_t> encode_png() const;

  /// [H, W, 3] with values 0 to 1 (v / 255), and back (clamped, rounded to nearest).
  Tensor to_tensor() const;
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
