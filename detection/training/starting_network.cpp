#include "detection/training/starting_network.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "core/progress.h"
#include "core/resize.h"
#include "core/serialize.h"
#include "core/stopwatch.h"
#include "detection/boxes.h"
#include "detection/data/batch.h"
#include "detection/data/dataset_hash.h"
#include "detection/data/transforms.h"
#include "detection/models/classifier.h"
#include "layers/losses.h"
#include "layers/schedule.h"
#include "layers/sgd.h"

namespace boxgrad::detection {
namespace {

/// A square picture and what is on it.
struct Crop {
  Sample sample;
  std::int64_t label = 0;
};

/// The part [x1, y1, x2, y2] of an image, cut off at its border.
Image window(const Image& image, double x1, double y1, double x2, double y2) {
  const int left = std::clamp(static_cast<int>(x1), 0, image.width() - 1);
  const int top = std::clamp(static_cast<int>(y1), 0, image.height() - 1);
  const int right = std::clamp(static_cast<int>(x2 + 0.5), left + 1, image.width());
  const int bottom = std::clamp(static_cast<int>(y2 + 0.5), top + 1, image.height());
  return crop(image, left, top, right - left, bottom - top);
}

Crop random_object(const Sample& scene, Random& random) {
  const auto g = random.below(scene.target.boxes.size(0));
  const Scalar* box = scene.target.boxes.data().data() + 4 * g;
  const double w = static_cast<double>(box[2] - box[0]), h = static_cast<double>(box[3] - box[1]);
  const auto jitter = [&](Scalar corner, double side) {
    return static_cast<double>(corner) + random.uniform(-0.1, 0.1) * side;
  };
  const double x1 = jitter(box[0], w), y1 = jitter(box[1], h), x2 = jitter(box[2], w),
               y2 = jitter(box[3], h);
  return {{.image = window(scene.image, x1, y1, x2, y2)},
          scene.target.labels[static_cast<std::size_t>(g)]};
}

Crop random_background(const Sample& scene, Random& random) {
  const double width = scene.image.width(), height = scene.image.height();
  Tensor box({1, 4});
  for (int tries = 0; tries < 20; ++tries) {
    const double w = random.uniform(0.15, 0.5) * width, h = random.uniform(0.15, 0.5) * height;
    const double x = random.uniform(0, width - w), y = random.uniform(0, height - h);
    box = Tensor({1, 4}, {static_cast<Scalar>(x), static_cast<Scalar>(y),
                          static_cast<Scalar>(x + w), static_cast<Scalar>(y + h)});
    const Tensor iou = box_iou(box, scene.target.boxes);
    if (std::ranges::all_of(iou.data(), [](Scalar v) { return v <= Scalar(0.3); })) break;
  }
  const auto b = box.data();
  return {{.image = window(scene.image, static_cast<double>(b[0]), static_cast<double>(b[1]),
                           static_cast<double>(b[2]), static_cast<double>(b[3]))},
          0};
}

Crop random_crop_of(const Dataset& dataset, int side, Random& random) {
  const Sample scene = dataset.get(random.below(dataset.size()));
  Crop result = !scene.target.labels.empty() && random.bernoulli(0.75)
                    ? random_object(scene, random)
                    : random_background(scene, random);
  result.sample = resize(result.sample, side, side);
  if (random.bernoulli(0.5)) result.sample = flip_horizontal(result.sample);
  return result;
}

}  // namespace

double train_starting_network(const std::shared_ptr<Backbone>& backbone, const Dataset& dataset,
                              const StartingNetworkOptions& options) {
  check(options.steps > 0 && options.batch_size > 0 && options.crop_px > 0 && options.rate > 0 &&
            options.max_norm > 0,
        "train_starting_network: steps, batch_size, crop_px, rate and max_norm must be > 0");
  Classifier classifier(backbone, 1 + static_cast<std::int64_t>(dataset.class_names().size()));
  Random weights(options.seed, static_cast<std::uint64_t>(-1));  // no crop's stream
  for (const auto& [name, parameter] : classifier.find("fc")->parameters())
    for (Scalar& value : Tensor(parameter).data())
      value = static_cast<Scalar>(weights.uniform(-0.1, 0.1));
  nn::SGD sgd(classifier, {.rate = options.rate, .momentum = 0.9, .weight_decay = 5e-4});
  const std::int64_t warm = std::max<std::int64_t>(1, options.steps / 20);
  const nn::Schedule schedule =
      nn::warm_up(warm, 0.05) * nn::cosine(warm, std::max(options.steps, warm + 1));
  std::vector<bool> right;
  Progress progress("starting network", options.steps);
  for (std::int64_t step = 0; step < options.steps; ++step) {
    std::vector<Sample> samples(static_cast<std::size_t>(options.batch_size));
    std::vector<std::int64_t> labels(samples.size());
    parallel_for(options.batch_size, 8, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        Random random(options.seed, static_cast<std::uint64_t>(step * options.batch_size + i));
        Crop crop = random_crop_of(dataset, options.crop_px, random);
        samples[static_cast<std::size_t>(i)] = std::move(crop.sample);
        labels[static_cast<std::size_t>(i)] = crop.label;
      }
    });
    sgd.zero_grad();
    const Tensor logits = classifier(collate(samples).images);
    const Tensor loss = cross_entropy(logits, labels);
    const auto answers = argmax(logits);
    for (std::size_t i = 0; i < labels.size(); ++i) right.push_back(answers[i] == labels[i]);
    loss.backward();
    sgd.clip_gradients(options.max_norm);
    sgd.step(schedule(step));
    progress.update(step + 1, concat("loss ", loss.item()));
  }
  const auto last = std::min<std::ptrdiff_t>(1000, std::ssize(right));
  return static_cast<double>(std::count(right.end() - last, right.end(), true)) /
         static_cast<double>(last);
}

double starting_network(const std::shared_ptr<Backbone>& backbone, const Dataset& dataset,
                        const std::filesystem::path& file, const StartingNetworkOptions& options) {
  const std::string origin = concat(
      options.steps, " steps of ", options.batch_size, " crops of ", options.crop_px, " px from ",
      dataset.size(), " images (", hash_dataset(dataset).substr(0, 12), "), rate ", options.rate,
      ", gradients up to ", options.max_norm, ", seed ", options.seed);
  if (std::filesystem::exists(file)) {
    const TensorFile stored = load_safetensors(file);
    const auto known = stored.metadata.find("trained by");
    const std::string was = known == stored.metadata.end() ? "something else" : known->second;
    if (was != origin)
      throw std::runtime_error(concat(file.string(), ": a starting network trained by ", was,
                                      ", expected ", origin, "; delete the file to train anew"));
    backbone->load_state_dict(stored.tensors);
    return stored.number("seconds");
  }
  const double seconds = seconds_of([&] { train_starting_network(backbone, dataset, options); });
  std::filesystem::create_directories(file.parent_path());
  save_safetensors(file, {.tensors = backbone->state_dict(),
                          .metadata = {{"trained by", origin}, {"seconds", concat(seconds)}}});
  return seconds;
}

}  // namespace boxgrad::detection
