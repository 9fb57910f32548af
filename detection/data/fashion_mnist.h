#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/image.h"
#include "core/tensor.h"

namespace boxgrad::detection {

/// Fashion-MNIST: 28 x 28 grey pictures of clothes in ten classes, 60,000 to train on and 10,000
/// to test on, as many of each class (Xiao, Rasul, Vollgraf, "Fashion-MNIST", 2017). MNIST and its
/// other relatives in the same four files are read as well.
///
/// From Debian: `sudo apt-get install dataset-fashion-mnist`.
class FashionMnist {
 public:
  enum class Split { train, test };

  static constexpr int kSide = 28;
  static constexpr int kPixels = kSide * kSide;
  static constexpr int kNumClasses = 10;
  /// Mean and standard deviation of the training pixels, as 0 to 1.
  static constexpr double kMean = 0.2860, kStd = 0.3530;

  static std::filesystem::path default_folder() { return "/usr/share/datasets/fashion-mnist"; }

  /// Reads {train,t10k}-{images-idx3,labels-idx1}-ubyte.gz (or the same without .gz).
  /// Throws std::invalid_argument naming the file when one is missing, damaged, not 28 x 28, has a
  /// label above 9, or when there are not as many labels as images.
  explicit FashionMnist(Split split, const std::filesystem::path& folder = default_folder());

  std::int64_t size() const { return static_cast<std::int64_t>(labels_.size()); }

  /// 28 x 28 bytes, rows from the top; 0 is background.
  std::span<const std::uint8_t, kPixels> image(std::int64_t index) const;
  /// 0..9. (As a classifier's classes, without background; a detector's labels count from 1.)
  std::int64_t label(std::int64_t index) const;

  /// Images as a batch [N, 28, 28, 1]: v / 255, and (v / 255 - kMean) / kStd when `normalized`.
  Tensor images(std::span<const std::int64_t> indices, bool normalized = true) const;
  /// An image to look at: grey as RGB.
  Image picture(std::int64_t index) const;
  std::vector<std::int64_t> labels(std::span<const std::int64_t> indices) const;

  /// "T-shirt/top", "Trouser", ...: class_names()[label].
  static const std::vector<std::string>& class_names();

 private:
  std::vector<std::uint8_t> pixels_;  // [size, 28, 28]
  std::vector<std::uint8_t> labels_;  // [size]
};

}  // namespace boxgrad::detection
