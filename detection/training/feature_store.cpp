#include "detection/training/feature_store.h"

#include <utility>

#include "core/check.h"
#include "core/serialize.h"

namespace boxgrad::detection {

namespace {

constexpr const char* kSuffix = ".features.safetensors";

}  // namespace

FeatureStore::FeatureStore(std::filesystem::path folder) : folder_(std::move(folder)) {
  std::filesystem::create_directories(folder_);
  std::vector<std::filesystem::path> old;
  for (const auto& entry : std::filesystem::directory_iterator(folder_))
    if (entry.path().filename().string().ends_with(kSuffix)) old.push_back(entry.path());
  for (const auto& path : old) std::filesystem::remove(path);
}

std::filesystem::path FeatureStore::file(std::int64_t image) const {
  check(image >= 0, "FeatureStore: the image's number must be >= 0, got ", image);
  return folder_ / concat(image, kSuffix);
}

void FeatureStore::write(std::int64_t image, const Tensor& features) {
  check(features.rank() == 2, "FeatureStore: features must be [R, D], got ", features.shape());
  if (width_ < 0) width_ = features.size(1);
  check(features.size(1) == width_, "FeatureStore: features must be [R, ", width_,
        "] as before, got ", features.shape());
  const std::filesystem::path path = file(image);
  save_safetensors(path, {.tensors = {{"features", features.detach()}}, .metadata = {}});
  bytes_ += static_cast<double>(std::filesystem::file_size(path));
}

Tensor FeatureStore::read(std::int64_t image) const {
  const std::filesystem::path path = file(image);
  check(std::filesystem::exists(path), "FeatureStore: nothing was written for image ", image, " (",
        path.string(), " is missing)");
  const TensorFile content = load_safetensors(path);
  check(content.tensors.size() == 1 && content.tensors[0].first == "features" &&
            content.tensors[0].second.rank() == 2 && content.tensors[0].second.size(1) == width_,
        path.string(), ": expected \"features\" [R, ", width_, "]");
  return content.tensors[0].second;
}

}  // namespace boxgrad::detection
