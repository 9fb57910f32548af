#include "detection/training/spp_net_training.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"
#include "core/progress.h"
#include "core/stopwatch.h"
#include "detection/data/batch.h"
#include "detection/data/first_images.h"
#include "detection/data/transforms.h"
#include "detection/training/trainer.h"

namespace boxgrad::detection {

namespace {

/// Image numbers in random order, again and again.
class Shuffled {
 public:
  Shuffled(std::int64_t size, std::uint64_t seed) : size_(size), random_(seed ^ 0x73707066) {}
  std::int64_t next() {
    if (order_.empty()) order_ = random_.permutation(size_);
    const std::int64_t n = order_.back();
    order_.pop_back();
    return n;
  }

 private:
  std::int64_t size_;
  Random random_;
  std::vector<std::int64_t> order_;
};

/// The first stage: the maps of all images and their mirror images to the disk. What comes back is
/// the regions of each.
std::vector<LabelledRegions> store_maps(MapStore& maps, SppNet& model, const Dataset& dataset,
                                        const Preparation& preparation, bool flips) {
  std::vector<LabelledRegions> regions;
  const int copies = flips ? 2 : 1;
  Progress progress("maps", dataset.size());
  for (std::int64_t i = 0; i < dataset.size(); ++i) {
    const Sample sample = dataset.get(i);
    for (int copy = 0; copy < copies; ++copy) {
      const Batch batch = preparation.make_batch({copy == 0 ? sample : flip_horizontal(sample)});
      check(batch.proposals.size() == 1, "train_spp_net: image \"", sample.name,
            "\" has no proposals; give the dataset some (detection/proposals)");
      maps.write(std::ssize(regions), image_of(batch, 0),
                 [&](const Tensor& scaled) { return model.map(scaled); });
      regions.push_back(
          labelled_regions(batch.proposals[0], batch.targets[0], model.options().regions));
    }
    progress.update(i + 1);
  }
  return regions;
}

/// What one step learns from.
struct PooledRegions {
  Tensor pooled;
  std::vector<std::int64_t> labels;  ///< none: the images have no truth
};

/// Objects and background of some images, balanced over all of them, pooled from their maps.
PooledRegions draw_regions(const SppNet& model, const MapStore& maps,
                           const std::vector<LabelledRegions>& regions,
                           const std::vector<std::int64_t>& images, ScaleChoice scales,
                           Random& random) {
  std::vector<LabelledRegions> candidates;
  for (const std::int64_t n : images) candidates.push_back(regions[static_cast<std::size_t>(n)]);
  const std::vector<LabelledRegions> sampled =
      sample_regions(candidates, model.options().sampling, random);
  PooledRegions result;
  std::vector<Tensor> pooled;
  for (std::size_t k = 0; k < images.size(); ++k) {
    const auto& [boxes, labels] = sampled[k];
    if (labels.empty()) continue;
    pooled.push_back(
        maps.features(images[k], boxes, scales, random,
                      [&](const Tensor& map, const Tensor& own) { return model.pool(map, own); }));
    result.labels.insert(result.labels.end(), labels.begin(), labels.end());
  }
  if (!pooled.empty()) result.pooled = cat(pooled, 0);
  return result;
}

/// The second stage: the fully connected layers. Returns SppNetReport::losses.
std::vector<double> fine_tune(SppNet& model, const MapStore& maps,
                              const std::vector<LabelledRegions>& regions,
                              const SppNetTraining& training) {
  nn::SGD sgd(model.head(), training.sgd);
  const nn::Schedule schedule =
      nn::warm_up_multistep(training.iterations, training.warm_up, training.drops);
  Shuffled order(std::ssize(regions), training.seed);
  std::vector<std::int64_t> images(
      std::min(static_cast<std::size_t>(training.images), regions.size()));
  const std::int64_t record_every = std::max<std::int64_t>(1, training.iterations / 100);
  std::vector<double> losses;
  Progress progress("fine-tuning", training.iterations);
  double sum = 0;
  std::int64_t learned = 0, summed = 0;
  for (std::int64_t step = 0; step < training.iterations; ++step) {
    Random random(training.seed ^ 0x737070, static_cast<std::uint64_t>(step));
    for (std::int64_t& n : images) n = order.next();
    const auto [pooled, labels] =
        draw_regions(model, maps, regions, images, training.scales, random);
    if (labels.empty()) continue;

    sgd.zero_grad();
    const DetectorLoss loss = model.loss_of_pooled(pooled, labels);
    const double value = loss.parts[0].second;
    if (!std::isfinite(value))
      throw TrainingDiverged(concat("train_spp_net: the loss of step ", step + 1,
                                    " is not finite; a lower rate may help"));
    loss.total.backward();
    if (training.clip_norm > 0) sgd.clip_gradients(training.clip_norm);
    sgd.step(schedule(step));
    sum += value;
    ++learned, ++summed;
    if (learned % record_every == 0) {
      losses.push_back(sum / static_cast<double>(summed));
      sum = 0;
      summed = 0;
    }
    progress.update(step + 1, concat("loss ", std::round(1000 * value) / 1000));
  }
  if (summed > 0) losses.push_back(sum / static_cast<double>(summed));
  progress.clear();
  return losses;
}

/// The third stage: what says class and box in the end.
RegionClassifierReport fit_classifiers(SppNet& model, const Dataset& dataset,
                                       const Preparation& preparation,
                                       const std::filesystem::path& folder,
                                       const SppNetTraining& training) {
  const std::int64_t count =
      training.classifier_images < 0 ? dataset.size() : training.classifier_images;
  return train_region_classifiers(
      model.classifiers(), FirstImages(dataset, count), preparation,
      [&](const Tensor& image, const Tensor& boxes) { return model.region_features(image, boxes); },
      folder, training.classifiers);
}

}  // namespace

SppNetReport train_spp_net(SppNet& model, const Dataset& dataset, const Preparation& preparation,
                           const std::filesystem::path& folder, const SppNetTraining& training) {
  check(dataset.size() > 0, "train_spp_net: the dataset is empty");
  check(training.iterations >= 1, "train_spp_net: iterations must be >= 1, got ",
        training.iterations);
  check(training.images >= 1, "train_spp_net: images must be >= 1, got ", training.images);
  SppNetReport report;
  Stopwatch watch;
  model.eval();
  MapStore maps(folder / "maps", model.options().pyramid);
  const std::vector<LabelledRegions> regions =
      store_maps(maps, model, dataset, preparation, training.flips);
  report.maps = maps.maps();
  report.map_megabytes = maps.megabytes();
  check(std::ranges::any_of(regions, [](const LabelledRegions& r) { return !r.labels.empty(); }),
        "train_spp_net: no region overlaps a truth, there is nothing to learn from");
  report.seconds_maps = watch.lap();

  model.train();
  report.losses = fine_tune(model, maps, regions, training);
  model.eval();
  report.seconds_fine_tuning = watch.seconds();

  if (training.classifier_images != 0)
    report.classifiers =
        fit_classifiers(model, dataset, preparation, folder / "features", training);
  return report;
}

}  // namespace boxgrad::detection
