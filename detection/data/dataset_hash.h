#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/files.h"
#include "detection/data/photo_dataset.h"

/// By which a file that was made from a dataset knows it again, without a look at every picture.
namespace boxgrad::detection {

inline constexpr std::int64_t kDatasetProbes = 8;

/// Adds a text with its length, which keeps neighbours apart.
void hash_text(Sha256& hash, std::string_view text);

/// Adds the number of samples, the classes, the key of each sample, and of kDatasetProbes samples,
/// evenly from the first to the last, the name, the size and the pixels: what proposals depend on.
/// A change between them that leaves a photo its name and size goes unnoticed.
void hash_pictures(Sha256& hash, const Dataset& dataset);

/// hash_pictures, and the boxes and labels of the same samples: what a training depends on. As 64
/// hexadecimal digits.
std::string hash_dataset(const Dataset& dataset);

/// All that annotations say of photos: their names in their order, sizes, boxes, labels, flags and
/// classes. No picture is read, and the folders that they lie in do not count. As 64 hexadecimal
/// digits.
std::string hash_annotations(const PhotoDataset& photos);

}  // namespace boxgrad::detection
