#pragma once

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/tensor.h"
#include "tests/catch.h"

/// TensorFlow.js weights for tests, as strangers' programs would write them.
namespace boxgrad {

/// A folder of its own, removed with everything in it at the end.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& name)
      : path_(std::filesystem::temp_directory_path() / concat("boxgrad_", name, "_", ::getpid())) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~ScratchFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

/// Collects tensors into a manifest of one group and its file.
class TfjsWriter {
 public:
  /// As bytes between the tensor's least and greatest number.
  void add_quantized(const std::string& name, const Tensor& tensor) {
    const auto numbers = tensor.data();
    double low = static_cast<double>(numbers[0]), high = low;
    for (const Scalar v : numbers) {
      low = std::min(low, static_cast<double>(v));
      high = std::max(high, static_cast<double>(v));
    }
    const double scale = high > low ? (high - low) / 255 : 1;
    for (const Scalar v : numbers)
      data_.push_back(static_cast<char>(
          static_cast<std::uint8_t>(std::lround((static_cast<double>(v) - low) / scale))));
    std::ostringstream text;
    text.precision(17);
    text << ",\"quantization\":{\"dtype\":\"uint8\",\"scale\":" << scale << ",\"min\":" << low
         << "}";
    entry(name, tensor.shape(), text.str());
  }
  void add_float(const std::string& name, const Tensor& tensor) {
    for (const Scalar v : tensor.data()) {
      const auto number = static_cast<float>(v);
      char bytes[4];
      std::memcpy(bytes, &number, 4);
      data_.append(bytes, 4);
    }
    entry(name, tensor.shape(), "");
  }
  std::string manifest(const std::string& file) const {
    return concat("[{\"weights\":[", entries_, "],\"paths\":[\"", file, "\"]}]");
  }
  const std::string& data() const { return data_; }

 private:
  void entry(const std::string& name, const Shape& shape, const std::string& more) {
    if (!entries_.empty()) entries_ += ",";
    entries_ +=
        concat("{\"name\":\"", name, "\",\"shape\":", shape, ",\"dtype\":\"float32\"", more, "}");
  }
  std::string entries_, data_;
};

/// A tensor that was read is what was written: of a filter each number is one of 256, so off by half
/// their distance at most.
inline void check_as_written(const std::string& name, const Tensor& read, const Tensor& written) {
  INFO(name);
  REQUIRE(read.shape() == written.shape());
  const auto a = std::as_const(read).data(), b = std::as_const(written).data();
  const auto [low, high] = std::ranges::minmax(b);
  const Scalar allowed = name.ends_with("weight") && read.rank() == 4
                             ? (high - low) / 510 + Scalar(1e-6)
                             : Scalar(1e-7);
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    worst = std::max(worst, static_cast<double>(std::abs(a[i] - b[i])));
  CHECK(worst <= allowed);
}

}  // namespace boxgrad
