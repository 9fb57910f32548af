#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/check.h"
#include "detection/anchors.h"
#include "detection/data/dataset.h"

namespace boxgrad::detection {

/// Grey pictures, 80 x 60 and 60 x 80 in turn, with one bright box of the given size each.
class BrightBoxes : public Dataset {
 public:
  explicit BrightBoxes(std::vector<BoxSize> sizes) : sizes_(std::move(sizes)) {}
  std::int64_t size() const override { return static_cast<std::int64_t>(sizes_.size()); }
  Sample get(std::int64_t index) const override {
    const BoxSize box = sizes_[static_cast<std::size_t>(index)];
    const bool wide = index % 2 == 0;
    Sample sample{.image = Image(wide ? 80 : 60, wide ? 60 : 80, Color{100, 100, 100}),
                  .name = concat("grey ", index)};
    const int x = 4 + static_cast<int>(index % 7), y = 6;
    for (int h = y; h < y + static_cast<int>(box.height); ++h)
      for (int w = x; w < x + static_cast<int>(box.width); ++w) sample.image.pixel(w, h)[1] = 240;
    if (box.width > 0)
      sample.target = {.boxes = Tensor({1, 4}, {Scalar(x), Scalar(y), Scalar(x) + box.width,
                                                Scalar(y) + box.height}),
                       .labels = {1},
                       .difficult = {false}};
    return sample;
  }
  const std::vector<std::string>& class_names() const override { return names_; }

 private:
  std::vector<BoxSize> sizes_;
  std::vector<std::string> names_{"bright"};
};

inline const BrightBoxes kSquares({{20, 20}, {24, 24}, {30, 30}, {22, 22}, {26, 26}, {28, 28}});

}  // namespace boxgrad::detection
