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
#include "detection/matcher.h"
#include "detection/training/trainer.h"

namespace boxgrad::detection {

namespace {

/// The regions of an image that may be learned from.
struct LabelledRegions {
  Tensor boxes = Tensor({0, 4});
  std::vector<std::int64_t> labels;
};

LabelledRegions labelled_regions(const Tensor& proposals, const Target& target,
                                 const RegionOptions& options) {
  const Regions all = label_regions(proposals, target, options);
  LabelledRegions result;
  std::vector<std::int64_t> kept;
  for (std::size_t r = 0; r < all.labels.size(); ++r)
    if (all.labels[r] >= 0) {
      kept.push_back(static_cast<std::int64_t>(r));
      result.labels.push_back(all.labels[r]);
    }
  result.boxes = index_select(all.boxes, 0, kept);
  return result;
}

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

}  // namespace

SppNetReport train_spp_net(SppNet& model, const Dataset& dataset, const Preparation& preparation,
                           const std::filesystem::path& folder, const SppNetTraining& training) {
  check(dataset.size() > 0, "train_spp_net: the dataset is empty");
  check(training.iterations >= 1, "train_spp_net: iterations must be >= 1, got ",
        training.iterations);
  check(training.images >= 1, "train_spp_net: images must be >= 1, got ", training.images);
  SppNetReport report;
  const SppNetOptions& options = model.options();
  model.eval();

  // The convolutions, once.
  Stopwatch watch;
  MapStore maps(folder / "maps", options.pyramid);
  std::vector<LabelledRegions> regions;
  {
    const int copies = training.flips ? 2 : 1;
    Progress progress("maps", dataset.size());
    for (std::int64_t i = 0; i < dataset.size(); ++i) {
      const Sample sample = dataset.get(i);
      for (int copy = 0; copy < copies; ++copy) {
        const Batch batch = preparation.make_batch({copy == 0 ? sample : flip_horizontal(sample)});
        check(batch.proposals.size() == 1, "train_spp_net: image \"", sample.name,
              "\" has no proposals; give the dataset some (detection/proposals)");
        maps.write(static_cast<std::int64_t>(regions.size()), image_of(batch, 0),
                   [&](const Tensor& scaled) { return model.map(scaled); });
        regions.push_back(labelled_regions(batch.proposals[0], batch.targets[0], options.regions));
      }
      progress.update(i + 1);
    }
  }
  report.seconds_maps = watch.lap();
  report.maps = maps.maps();
  report.map_megabytes = maps.megabytes();
  check(std::ranges::any_of(regions, [](const LabelledRegions& r) { return !r.labels.empty(); }),
        "train_spp_net: no region overlaps a truth, there is nothing to learn from");

  // The fully connected layers.
  model.train();
  nn::SGD sgd(model.head(), training.sgd);
  const nn::Schedule schedule =
      nn::warm_up_multistep(training.iterations, training.warm_up, training.drops);
  Shuffled order(static_cast<std::int64_t>(regions.size()), training.seed);
  const std::int64_t images =
      std::min<std::int64_t>(training.images, static_cast<std::int64_t>(regions.size()));
  const std::int64_t record_every = std::max<std::int64_t>(1, training.iterations / 100);
  Progress progress("fine-tuning", training.iterations);
  double sum = 0;
  std::int64_t learned = 0, summed = 0;
  for (std::int64_t step = 0; step < training.iterations; ++step) {
    // Which regions: objects and background of some images, balanced over all of them.
    Random random(training.seed ^ 0x737070, static_cast<std::uint64_t>(step));
    struct Candidate {
      std::int64_t image, region;
    };
    std::vector<Candidate> candidates;
    std::vector<std::int64_t> truth;
    for (std::int64_t k = 0; k < images; ++k) {
      const std::int64_t n = order.next();
      const auto& labels = regions[static_cast<std::size_t>(n)].labels;
      for (std::size_t r = 0; r < labels.size(); ++r) {
        candidates.push_back({n, static_cast<std::int64_t>(r)});
        truth.push_back(labels[r] > 0 ? 0 : kUnmatched);
      }
    }
    std::vector<std::int64_t> chosen = sample_balanced(truth, random, options.sampling).all();
    std::ranges::sort(chosen);  // image by image
    std::vector<Tensor> pooled;
    std::vector<std::int64_t> labels;
    for (std::size_t first = 0; first < chosen.size();) {
      const std::int64_t n = candidates[static_cast<std::size_t>(chosen[first])].image;
      const LabelledRegions& image = regions[static_cast<std::size_t>(n)];
      std::vector<std::int64_t> rows;
      std::size_t last = first;
      for (; last < chosen.size(); ++last) {
        const Candidate& c = candidates[static_cast<std::size_t>(chosen[last])];
        if (c.image != n) break;
        rows.push_back(c.region);
        labels.push_back(image.labels[static_cast<std::size_t>(c.region)]);
      }
      pooled.push_back(maps.features(
          n, index_select(image.boxes, 0, rows), training.scales, random,
          [&](const Tensor& map, const Tensor& own) { return model.pool(map, own); }));
      first = last;
    }
    if (labels.empty()) continue;  // images without a truth

    sgd.zero_grad();
    const DetectorLoss loss = model.loss_of_pooled(cat(pooled, 0), labels);
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
      report.losses.push_back(sum / static_cast<double>(summed));
      sum = 0;
      summed = 0;
    }
    progress.update(step + 1, concat("loss ", std::round(1000 * value) / 1000));
  }
  if (summed > 0) report.losses.push_back(sum / static_cast<double>(summed));
  progress.clear();
  model.eval();
  report.seconds_fine_tuning = watch.seconds();

  // What says class and box in the end.
  if (training.classifier_images != 0) {
    const std::int64_t count = training.classifier_images < 0
                                   ? dataset.size()
                                   : std::min(training.classifier_images, dataset.size());
    report.classifiers = train_region_classifiers(
        model.classifiers(), FirstImages(dataset, count), preparation,
        [&](const Tensor& image, const Tensor& boxes) {
          return model.region_features(image, boxes);
        },
        folder / "features", training.classifiers);
  }
  return report;
}

}  // namespace boxgrad::detection
