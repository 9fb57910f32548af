#include "detection/data/with_mirrored.h"

#include "core/check.h"
#include "detection/data/transforms.h"

namespace boxgrad::detection {

Sample WithMirrored::get(std::int64_t index) const {
  check(index >= 0 && index < size(), "WithMirrored: index must be in [0, ", size(), "), got ",
        index);
  if (index < dataset_.size()) return dataset_.get(index);
  Sample sample = flip_horizontal(dataset_.get(index - dataset_.size()));
  sample.name += ", mirrored";
  return sample;
}

}  // namespace boxgrad::detection
