#include "detection/data/batch.h"

#include <algorithm>

#include "core/check.h"
#include "core/ops.h"
#include "core/parallel.h"

namespace boxgrad::detection {

BatchOptions imagenet_bytes() {
  return {.mean = {122.7717 / 255, 115.9465 / 255, 102.9801 / 255},
          .std = {1. / 255, 1. / 255, 1. / 255}};
}

Tensor image_of(const Batch& batch, std::size_t n) {
  check(n < batch.infos.size(), "image_of: the batch has ", batch.infos.size(),
        " images, asked for number ", n);
  const auto i = static_cast<std::int64_t>(n);
  const Tensor image = slice(batch.images, 0, i, i + 1);
  const BatchImage& info = batch.infos[n];
  if (image.size(1) == info.height && image.size(2) == info.width) return image;
  return slice(slice(image, 1, 0, info.height), 2, 0, info.width);
}

Batch collate(std::span<const Sample> samples, const BatchOptions& options) {
  check(!samples.empty(), "collate: a batch needs at least one sample");
  check(options.multiple_px > 0, "collate: multiple_px must be > 0, got ", options.multiple_px);
  int width = 0, height = 0;
  for (const Sample& sample : samples) {
    check(sample.image.width() > 0 && sample.image.height() > 0, "collate: image \"", sample.name,
          "\" has no pixels");
    width = std::max(width, sample.image.width());
    height = std::max(height, sample.image.height());
  }
  const auto round_up = [&](int side) {
    return (side + options.multiple_px - 1) / options.multiple_px * options.multiple_px;
  };
  width = round_up(width);
  height = round_up(height);

  // (v / 255 - mean) / std = factor v + shift. The three factors are repeated along a row, so that
  // the loop over its bytes has no notion of channels and is vectorised.
  const auto row = static_cast<std::size_t>(width) * 3;
  std::vector<Scalar> factor(row), shift(row);
  for (std::size_t i = 0; i < row; ++i) {
    const double mean = options.mean[i % 3], std = options.std[i % 3];
    check(std > 0, "collate: std must be > 0, got ", std);
    factor[i] = static_cast<Scalar>(1 / (255 * std));
    shift[i] = static_cast<Scalar>(-mean / std);
  }

  Batch batch;
  const auto n = static_cast<std::int64_t>(samples.size());
  batch.images = Tensor::empty({n, height, width, 3});
  const Scalar padding = static_cast<Scalar>(options.padding);
  Scalar* all = batch.images.data().data();
  parallel_for(n, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Image& image = samples[static_cast<std::size_t>(i)].image;
      const auto used = static_cast<std::size_t>(image.width()) * 3;
      for (int h = 0; h < height; ++h) {
        Scalar* out = all + static_cast<std::size_t>(i * height + h) * row;
        if (h >= image.height()) {
          std::fill(out, out + row, padding);
          continue;
        }
        const std::uint8_t* in = image.pixel(0, h);
        for (std::size_t k = 0; k < used; ++k)
          out[k] = factor[k] * static_cast<Scalar>(in[k]) + shift[k];
        std::fill(out + used, out + row, padding);
      }
    }
  });
  for (const Sample& sample : samples) {
    batch.targets.push_back(sample.target);
    batch.proposals.push_back(sample.proposals);
    batch.infos.push_back(
        {sample.name, sample.image.width(), sample.image.height(), sample.scale_x, sample.scale_y});
  }
  return batch;
}

}  // namespace boxgrad::detection
