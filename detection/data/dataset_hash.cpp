#include "detection/data/dataset_hash.h"

#include <algorithm>
#include <bit>
#include <string>
#include <vector>

#include "core/check.h"

namespace boxgrad::detection {

namespace {

/// hash_pictures; what is annotated on the pictures that it looked at.
std::vector<Target> hash_probes(Sha256& hash, const Dataset& dataset) {
  hash_text(hash, concat(dataset.size()));
  for (const std::string& label : dataset.class_names()) hash_text(hash, label);
  for (std::int64_t i = 0; i < dataset.size(); ++i)
    if (const std::string key = dataset.key(i); !key.empty()) hash_text(hash, key);
  const std::int64_t size = dataset.size(), probes = std::min(size, kDatasetProbes);
  std::vector<Target> targets;
  for (std::int64_t i = 0; i < probes; ++i) {
    const Sample sample = dataset.get(probes == 1 ? 0 : i * (size - 1) / (probes - 1));
    hash_text(hash, sample.name);
    hash_text(hash, concat(sample.image.width(), 'x', sample.image.height()));
    hash.update(sample.image.data());
    targets.push_back(sample.target);
  }
  return targets;
}

}  // namespace

void hash_text(Sha256& hash, std::string_view text) {
  hash.update(as_bytes(concat(text.size(), ':', text)));
}

void hash_pictures(Sha256& hash, const Dataset& dataset) { hash_probes(hash, dataset); }

std::string hash_dataset(const Dataset& dataset) {
  Sha256 hash;
  for (const Target& target : hash_probes(hash, dataset)) {
    // As text: the same in float and double.
    for (const std::int64_t label : target.labels) hash_text(hash, concat("label ", label));
    for (const Scalar corner : target.boxes.data()) hash_text(hash, concat(corner));
  }
  return hash.hex();
}

std::string hash_annotations(const PhotoDataset& photos) {
  Sha256 hash;
  hash_text(hash, concat(photos.size()));
  for (const std::string& name : photos.class_names()) hash_text(hash, name);
  for (const PhotoEntry& entry : photos.entries()) {
    hash_text(hash, entry.image.filename().string());
    hash_text(hash, concat(entry.width, 'x', entry.height, ": ", entry.objects.size()));
    for (const PhotoEntry::Object& o : entry.objects) {
      hash_text(hash, concat("label ", o.label, o.difficult ? " difficult" : "",
                             o.crowd ? " crowd" : ""));
      // Numbers, as a training sees them: as text they would be rounded.
      for (const double edge : {o.x1, o.y1, o.x2, o.y2})
        hash_text(hash, concat(std::bit_cast<std::uint64_t>(edge)));
    }
  }
  return hash.hex();
}

}  // namespace boxgrad::detection
