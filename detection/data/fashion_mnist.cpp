#include "detection/data/fashion_mnist.h"

#include <algorithm>

#include "core/check.h"
#include "detection/data/idx.h"

namespace boxgrad::detection {
namespace {

std::filesystem::path find_file(const std::filesystem::path& folder, const std::string& name) {
  std::error_code ignored;
  const auto compressed = folder / (name + ".gz"), plain = folder / name;
  if (std::filesystem::exists(compressed, ignored)) return compressed;
  check(std::filesystem::exists(plain, ignored), "FashionMnist: cannot find ", compressed,
        " (sudo apt-get install dataset-fashion-mnist)");
  return plain;
}

}  // namespace

FashionMnist::FashionMnist(Split split, const std::filesystem::path& folder) {
  const std::string prefix = split == Split::train ? "train" : "t10k";
  const auto image_file = find_file(folder, prefix + "-images-idx3-ubyte");
  const auto label_file = find_file(folder, prefix + "-labels-idx1-ubyte");

  IdxArray images = read_idx(image_file);
  check(images.shape.rank() == 3 && images.shape[1] == kSide && images.shape[2] == kSide,
        "FashionMnist: ", image_file, " must have shape [N, 28, 28], got ", images.shape);
  IdxArray labels = read_idx(label_file);
  check(labels.shape.rank() == 1 && labels.shape[0] == images.shape[0],
        "FashionMnist: ", label_file, " must have one label for each image, shape [",
        images.shape[0], "], got ", labels.shape);
  for (std::size_t i = 0; i < labels.values.size(); ++i)
    check(labels.values[i] < kNumClasses, "FashionMnist: ", label_file, ": label ", i,
          " must be 0 to 9, got ", int{labels.values[i]});
  pixels_ = std::move(images.values);
  labels_ = std::move(labels.values);
}

std::span<const std::uint8_t, FashionMnist::kPixels> FashionMnist::image(std::int64_t index) const {
  check(index >= 0 && index < size(), "FashionMnist: index must be in 0..", size() - 1, ", got ",
        index);
  return std::span<const std::uint8_t, kPixels>(pixels_.data() + index * kPixels, kPixels);
}

std::int64_t FashionMnist::label(std::int64_t index) const {
  check(index >= 0 && index < size(), "FashionMnist: index must be in 0..", size() - 1, ", got ",
        index);
  return labels_[static_cast<std::size_t>(index)];
}

Tensor FashionMnist::images(std::span<const std::int64_t> indices, bool normalized) const {
  // One multiply and one add per pixel: (v / 255 - mean) / std = scale v + shift.
  const Scalar scale = static_cast<Scalar>(normalized ? 1 / (255 * kStd) : 1. / 255);
  const Scalar shift = static_cast<Scalar>(normalized ? -kMean / kStd : 0);
  Tensor batch = Tensor::empty({static_cast<std::int64_t>(indices.size()), kSide, kSide, 1});
  Scalar* out = batch.data().data();
  for (const std::int64_t index : indices)
    for (const std::uint8_t v : image(index)) *out++ = scale * static_cast<Scalar>(v) + shift;
  return batch;
}

std::vector<std::int64_t> FashionMnist::labels(std::span<const std::int64_t> indices) const {
  std::vector<std::int64_t> result;
  result.reserve(indices.size());
  for (const std::int64_t index : indices) result.push_back(label(index));
  return result;
}

Image FashionMnist::picture(std::int64_t index) const {
  Image result(kSide, kSide);
  std::uint8_t* out = result.data().data();
  for (const std::uint8_t v : image(index)) out = std::fill_n(out, 3, v);
  return result;
}

const std::vector<std::string>& FashionMnist::class_names() {
  static const std::vector<std::string> names{"T-shirt/top", "Trouser",   "Pullover", "Dress",
                                              "Coat",        "Sandal",    "Shirt",    "Sneaker",
                                              "Bag",         "Ankle boot"};
  return names;
}

}  // namespace boxgrad::detection
