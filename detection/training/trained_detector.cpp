#include "detection/training/trained_detector.h"

#include <cmath>
#include <map>
#include <stdexcept>

#include "core/check.h"
#include "core/ops.h"
#include "core/random.h"
#include "core/serialize.h"
#include "detection/training/evaluate.h"
#include "detection/training/photo_recipe.h"

namespace boxgrad::detection {

namespace {

DetectorSpec spec_in(const TensorFile& file, const std::string& name) {
  const auto found = file.metadata.find(kSpecKey);
  check(found != file.metadata.end(), name,
        ": holds tensors but does not say of which detector: ", "there is no \"", kSpecKey,
        "\" in its metadata");
  return spec_from_json(found->second, name);
}

}  // namespace

void save_trained(const std::filesystem::path& file, const Detector& detector,
                  const DetectorSpec& spec) {
  TensorFile content{detector.state_dict(), {{kSpecKey, spec_to_json(spec)}}};
  for (const auto& [name, tensor] : content.tensors)
    for (const Scalar value : tensor.data())
      if (!std::isfinite(value))
        throw std::runtime_error(
            concat(file.string(), ": is not written, as ", name, " holds ", value));
  save_safetensors(file, content);
}

DetectorSpec spec_of_weights(const std::filesystem::path& file) {
  return spec_in(load_safetensors(file), file.string());
}

TrainedDetector load_trained(const std::filesystem::path& file) {
  const TensorFile content = load_safetensors(file);
  TrainedDetector trained{
      .spec = spec_in(content, file.string()), .detector = {}, .preparation = {}};
  const Random before = default_random();  // the weights that are drawn are overwritten at once
  try {
    trained.detector = make_detector(trained.spec);
    trained.detector->load_state_dict(content.tensors);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(concat(file.string(), ": ", error.what()));
  }
  default_random() = before;
  trained.detector->eval();
  trained.preparation = preparation_of(trained.spec);
  return trained;
}

FilledWeights fill_from_weights(Detector& detector, const std::filesystem::path& file) {
  const TensorFile content = load_safetensors(file);
  std::map<std::string, Shape> places;
  for (const auto& [name, tensor] : detector.state_dict()) places.emplace(name, tensor.shape());
  nn::StateDict fitting;
  for (const auto& [name, tensor] : content.tensors) {
    const auto place = places.find(name);
    if (place != places.end() && place->second == tensor.shape())
      fitting.emplace_back(name, tensor);
  }
  check(!fitting.empty(), file.string(),
        ": no tensor has the name and shape of one of this network's");
  detector.load_partial(fitting);
  const std::size_t all = places.size();
  for (const auto& [name, tensor] : fitting) places.erase(name);
  FilledWeights result{.told = concat(fitting.size(), " of ", all, " tensors from ", file.string()),
                       .missing = {}};
  for (const auto& [name, shape] : places) result.missing.push_back(name);
  return result;
}

Detections detect_in_photo(TrainedDetector& trained, const Image& photo, const std::string& name) {
  Sample sample{.image = photo, .name = name};
  if (trained.spec.model == "fast-rcnn") {
    const Tensor all = proposal_method(trained.spec).propose(sample, 0);
    sample.proposals = all.size(0) > kMostProposals ? slice(all, 0, 0, kMostProposals) : all;
  }
  const Batch batch = trained.preparation.make_batch({sample});
  Detections found = trained.detector->detect(batch).front();
  found.boxes = to_original(found.boxes, batch.infos.front());
  return found;
}

}  // namespace boxgrad::detection
