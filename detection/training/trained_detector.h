#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "detection/models/detector_spec.h"
#include "detection/target.h"

namespace boxgrad::detection {

/// Where the spec stands among the metadata of a file of weights.
inline constexpr const char* kSpecKey = "boxgrad_detector";

/// A detector with its weights and with what these mean: class names, preparation, box coder.
struct TrainedDetector {
  DetectorSpec spec;
  std::shared_ptr<Detector> detector;  ///< in evaluation mode
  Preparation preparation;
};

/// Writes the weights as safetensors with the spec among the metadata (kSpecKey), whole
/// or not at all. Throws std::runtime_error naming the file, also for a number that is not finite.
void save_trained(const std::filesystem::path& file, const Detector& detector,
                  const DetectorSpec& spec);

/// The spec that travels with a file's weights. Throws std::invalid_argument when there is none or
/// it is damaged, and what load_safetensors() throws.
DetectorSpec spec_of_weights(const std::filesystem::path& file);

/// Builds the detector and fills it. Throws as above, and when the weights are not exactly those of
/// the network that the spec describes.
TrainedDetector load_trained(const std::filesystem::path& file);

/// What fill_from_weights() found and did not find.
struct FilledWeights {
  std::string told;                  ///< "212 of 230 tensors from out/run/model.safetensors"
  std::vector<std::string> missing;  ///< the detector's tensors that stay as they were
};

/// Copies from a file of weights what has a place of the same name and shape in the detector.
/// Throws std::invalid_argument when nothing fits.
FilledWeights fill_from_weights(Detector& detector, const std::filesystem::path& file);

/// Objects in one photo, in its own pixels. Proposals are made where the model needs some.
Detections detect_in_photo(TrainedDetector& trained, const Image& photo, const std::string& name);

}  // namespace boxgrad::detection
