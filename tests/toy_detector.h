#pragma once

#include <memory>
#include <string>
#include <vector>

#include "detection/data/dataset.h"
#include "detection/models/separable_net.h"
#include "detection/models/ssd.h"

/// A task and a network so small that a training takes a moment: bright squares on grey.
namespace boxgrad::detection {

class ToyDataset : public Dataset {
 public:
  explicit ToyDataset(std::int64_t size = 12) : size_(size) {}
  std::int64_t size() const override { return size_; }
  Sample get(std::int64_t index) const override {
    Random random(99, static_cast<std::uint64_t>(index));
    Sample sample;
    sample.name = concat("toy/", index);
    sample.image = Image(32, 32, {60, 60, 60});
    const int side = 8 + static_cast<int>(random.below(6));
    const int x = static_cast<int>(random.below(32 - side)),
              y = static_cast<int>(random.below(32 - side));
    const bool red = index % 2 == 0;
    for (int row = y; row < y + side; ++row)
      for (int col = x; col < x + side; ++col) {
        std::uint8_t* pixel = sample.image.pixel(col, row);
        pixel[red ? 0 : 2] = 250;
      }
    const auto s = [](int v) { return static_cast<Scalar>(v); };
    sample.target.boxes = Tensor({1, 4}, std::vector<Scalar>{s(x), s(y), s(x + side), s(y + side)});
    sample.target.labels = {red ? 1 : 2};
    sample.target.difficult = {false};
    return sample;
  }
  const std::vector<std::string>& class_names() const override { return names_; }

 private:
  std::int64_t size_;
  std::vector<std::string> names_{"red", "<script>"};
};

template <class Trunk = SeparableNet>
std::shared_ptr<Ssd> make_toy(SsdOptions options = {}) {
  manual_seed(5);
  SeparableNetOptions net;
  net.stem_channels = 8;
  net.stages = {{.channels = 16, .stride = 2, .output = true}};
  options.num_classes = 2;
  options.head_kernel = 3;
  options.levels = {{{{8, 8}, {12, 12}}, 4}};
  return std::make_shared<Ssd>(std::make_shared<Trunk>(net), options);
}

}  // namespace boxgrad::detection
