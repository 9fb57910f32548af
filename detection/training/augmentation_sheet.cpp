#include "detection/training/augmentation_sheet.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/draw.h"
#include "core/random.h"
#include "detection/draw.h"

namespace boxgrad::detection {

Image augmentation_sheet(const Dataset& dataset, const Transform& augmentation, std::uint64_t seed,
                         int count, int draws) {
  check(dataset.size() > 0, "augmentation_sheet: the dataset has no image");
  check(augmentation != nullptr, "augmentation_sheet: there is no augmentation to show");
  check(count >= 1 && draws >= 1, "augmentation_sheet: count and draws must be >= 1, got ", count,
        " and ", draws);
  constexpr int kLongerPx = 320;  // as wide as a network may see it, and enough to judge a box
  std::vector<Image> pictures;
  std::vector<std::string> captions;
  const auto add = [&](const Sample& sample, std::string caption) {
    auto [canvas, scale] = enlarged(sample.image);
    draw_truths(canvas, sample.target, dataset.class_names(),
                {.scale = static_cast<double>(scale), .thickness = 2, .text_scale = 0});
    pictures.push_back(std::move(canvas));
    captions.push_back(std::move(caption));
  };
  const auto rows = static_cast<int>(std::min<std::int64_t>(count, dataset.size()));
  for (int i = 0; i < rows; ++i) {
    Sample sample = dataset.get(i);
    if (std::max(sample.image.width(), sample.image.height()) > kLongerPx)
      sample = resize_longer_side(sample, kLongerPx);
    add(sample, sample.name);
    for (int k = 0; k < draws; ++k) {
      Random random(seed, static_cast<std::uint64_t>(i * draws + k));
      add(augmentation(sample, random), concat("draw ", k + 1));
    }
  }
  return image_grid(pictures, captions, {.columns = draws + 1});
}

}  // namespace boxgrad::detection
