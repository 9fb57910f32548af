#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace boxgrad::detection {

/// What tells one picture from another: 128 bits that depend on its size and on every pixel.
struct PhotoPrint {
  std::array<std::uint64_t, 2> bits{};
  std::string error = {};   ///< why there is none
  bool misnamed = false;    ///< a JPEG called .png, and so on
  const char* format = "";  ///< "JPEG", "PNG" or "BMP"
};

/// The prints of pictures, on all threads, one picture a thread in memory. A progress bar shows
/// when it takes long. With `decode` the pixels are hashed as training sees them, upright RGB: a
/// copy in another format or with other metadata has the same print, and damage anywhere is found;
/// without, the bytes of the file. A picture that was resized or saved as a JPEG again has another
/// print.
std::vector<PhotoPrint> photo_prints(const std::vector<std::filesystem::path>& pictures,
                                     bool decode);

/// Groups of two or more numbers that have the same print, in order; errors are left out.
std::vector<std::vector<std::int64_t>> same_prints(const std::vector<PhotoPrint>& prints);

}  // namespace boxgrad::detection
