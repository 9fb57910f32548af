#include "detection/data/dataset_hash.h"

#include <algorithm>
#include <bit>
#include <string>

#include "core/check.h"

namespace boxgrad::detection {

namespace {

template <class Use>
void for_each_probe(const Dataset& dataset, const Use& use) {
  const std::int64_t size = dataset.size(), probes = std::min(size, kDatasetProbes);
  for (std::int64_t i = 0; i < probes; ++i)
    use(dataset.get(probes == 1 ? 0 : i * (size - 1) / (probes - 1)));
}

}  // namespace

void hash_text(Sha256& hash, std::string_view text) {
  hash.update(as_bytes(concat(text.size(), ':', text)));
}

void hash_pictures(Sha256& hash, const Dataset& dataset) {
  hash_text(hash, concat(dataset.size()));
  for (const std::string& label : dataset.class_names()) hash_text(hash, label);
  for_each_probe(dataset, [&](const Sample& sample) {
    hash_text(hash, sample.name);
    hash_text(hash, concat(sample.image.width(), 'x', sample.image.height()));
    hash.update(sample.image.data());
  });
}

std::string hash_dataset(const Dataset& dataset) {
  Sha256 hash;
  hash_pictures(hash, dataset);
  for_each_probe(dataset, [&](const Sample& sample) {
    // As text: the same in float and double.
    for (const std::int64_t label : sample.target.labels) hash_text(hash, concat("label ", label));
    for (const Scalar corner : sample.target.boxes.data()) hash_text(hash, concat(corner));
  });
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
