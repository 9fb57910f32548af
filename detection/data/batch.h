#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "detection/data/dataset.h"

namespace boxgrad::detection {

/// How bytes become a network's input.
struct BatchOptions {
  /// Of red, green and blue as 0 to 1: an input is (v / 255 - mean) / std.
  std::array<double, 3> mean{0, 0, 0}, std{1, 1, 1};
  /// What fills the tensor beside a smaller image, after normalisation: 0 is the mean colour.
  double padding = 0;
  /// Height and width are rounded up to a multiple, as networks with a stride like it.
  int multiple_px = 1;
};

/// Bytes less the mean colour of ImageNet, (122.7717, 115.9465, 102.9801) of red, green and blue: what
/// the R-CNN family's published networks see (theirs in the order blue, green, red).
BatchOptions imagenet_bytes();

/// Where an image lies in a batch, and how to get back to the file's pixels.
struct BatchImage {
  std::string name = {};
  int width = 0, height = 0;        ///< of the image; it stands at the top left of the tensor
  double scale_x = 1, scale_y = 1;  ///< Sample::scale_x: divide a box by it
};

/// Images of any sizes as one tensor.
struct Batch {
  Tensor images;                  ///< [N, H, W, 3], H and W those of the largest
  std::vector<Target> targets;    ///< N of them; boxes in pixels of the tensor's images
  std::vector<BatchImage> infos;  ///< N of them
  std::vector<Tensor> proposals;  ///< N of them, [P, 4] in pixels of the tensor's images

  std::int64_t size() const { return static_cast<std::int64_t>(targets.size()); }
};

/// Image n of a batch by itself, without the padding beside it: [1, height, width, 3].
Tensor image_of(const Batch& batch, std::size_t n);

/// Pads the images at the bottom and the right to a common size and normalises them, in one pass
/// over the bytes. Boxes stay as they are, since the top left corner stays.
/// Throws std::invalid_argument when there is no sample, naming an image without pixels, or for a
/// std that is not > 0.
Batch collate(std::span<const Sample> samples, const BatchOptions& options = {});

}  // namespace boxgrad::detection
