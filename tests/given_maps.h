#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "detection/anchors.h"
#include "detection/models/backbone.h"
#include "layers/conv.h"
#include "tests/catch.h"

/// Dense detectors whose maps and answers a test chooses.
namespace boxgrad::detection {

/// Maps that are given, whatever the images.
class GivenMaps : public Backbone {
 public:
  explicit GivenMaps(std::vector<Tensor> maps) : maps_(std::move(maps)) {}
  std::vector<Tensor> maps(const Tensor&) override { return maps_; }
  std::vector<std::int64_t> channels() const override {
    std::vector<std::int64_t> result;
    for (const Tensor& map : maps_) result.push_back(map.size(3));
    return result;
  }

 private:
  std::vector<Tensor> maps_;
};

inline nn::Conv2d& conv_at(nn::Module& model, const std::string& path) {
  auto* conv = dynamic_cast<nn::Conv2d*>(model.find(path));
  REQUIRE(conv != nullptr);
  return *conv;
}

/// A layer that answers `numbers` in every cell.
inline void answer(nn::Module& model, const std::string& path, const std::vector<Scalar>& numbers) {
  nn::Conv2d& conv = conv_at(model, path);
  std::ranges::fill(conv.weight.data(), Scalar{0});
  REQUIRE(conv.bias.data().size() == numbers.size());
  std::ranges::copy(numbers, conv.bias.data().begin());
}

/// Two cells of 8 px side by side, two anchors each:
///
///   0  (0, 0, 8, 8)    1  (2, 2, 6, 6)    2  (8, 0, 16, 8)    3  (10, 2, 14, 6)
inline const std::vector<AnchorLevel> kFourAnchors{{.sizes = {{8, 8}, {4, 4}}, .stride_px = 8}};

}  // namespace boxgrad::detection
