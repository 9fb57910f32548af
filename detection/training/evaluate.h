#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "detection/data/dataset.h"
#include "detection/data/preparation.h"
#include "detection/detector.h"

namespace boxgrad::detection {

/// Boxes [N, 4] from the pixels of a batch's image to those of the image as its dataset holds it.
Tensor to_original(const Tensor& boxes, const BatchImage& info);

/// A detector's answers beside the truth, image by image, in pixels of the original images.
struct Answers {
  std::vector<Detections> detections;
  std::vector<Target> targets;
  std::vector<std::string> names;
};

/// Runs the detector in eval mode over images 0..count-1 of a dataset (all of them when count is
/// negative) and maps its boxes back to the original images. The mode it was in is restored.
/// `progress`, if given, hears how many images are done.
Answers detect_all(Detector& detector, const Dataset& dataset, const Preparation& preparation,
                   std::int64_t count = -1, std::int64_t batch_size = 32,
                   const std::function<void(std::int64_t done)>& progress = {});

}  // namespace boxgrad::detection
