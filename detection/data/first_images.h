#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "detection/data/dataset.h"

namespace boxgrad::detection {

/// The first `count` images of a dataset, or all when there are fewer. Keeps a reference to it.
class FirstImages : public Dataset {
 public:
  FirstImages(const Dataset& all, std::int64_t count)
      : all_(all), size_(std::min(count, all.size())) {}
  std::int64_t size() const override { return size_; }
  Sample get(std::int64_t index) const override { return all_.get(index); }
  std::string key(std::int64_t index) const override { return all_.key(index); }
  const std::vector<std::string>& class_names() const override { return all_.class_names(); }

 private:
  const Dataset& all_;
  std::int64_t size_;
};

}  // namespace boxgrad::detection
