// A step of Fast R-CNN as published, and the detections of an image before and after truncated SVD:
// what they take of time and memory. See docs/two_stage.md.
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"
#include "core/program.h"
#include "core/stopwatch.h"
#include "detection/training/fast_rcnn_presets.h"
#include "layers/count.h"
#include "layers/profile.h"
#include "layers/sgd.h"
#include "layers/svd_linear.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

constexpr int kHeight = 600, kWidth = 800;
constexpr std::int64_t kProposals = 2000;

/// The most memory the process has had, in MB.
double peak_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  return static_cast<double>(usage.ru_maxrss) / 1e6;
#else
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e6;
#endif
}

/// A box of 40 to 300 px somewhere in the image.
std::array<double, 4> random_box(Random& random) {
  const double w = random.uniform(40, 300), h = random.uniform(40, 300);
  const double x = random.uniform(0, kWidth - w), y = random.uniform(0, kHeight - h);
  return {x, y, x + w, y + h};
}

/// Noise of variance 1, which random weights keep, so that losses stay finite; a few objects in it,
/// and proposals, half of which are objects moved by up to half a side.
Batch make_batch(std::int64_t images, std::int64_t classes, Random& random) {
  Batch batch;
  batch.images = Tensor::randn({images, kHeight, kWidth, 3}, random);
  for (std::int64_t n = 0; n < images; ++n) {
    constexpr std::int64_t kObjects = 4;
    Target target{.boxes = Tensor({kObjects, 4}), .labels = {}, .difficult = {}};
    for (std::int64_t i = 0; i < kObjects; ++i) {
      const auto box = random_box(random);
      for (std::int64_t k = 0; k < 4; ++k)
        target.boxes.set({i, k}, static_cast<Scalar>(box[static_cast<std::size_t>(k)]));
      target.labels.push_back(1 + random.below(classes));
      target.difficult.push_back(false);
    }
    Tensor proposals({kProposals, 4});
    for (std::int64_t p = 0; p < kProposals; ++p) {
      const auto box = random_box(random);
      for (std::int64_t k = 0; k < 4; ++k) {
        const std::int64_t object = p % kObjects;
        const Scalar side = target.boxes.at({object, k % 2 + 2}) - target.boxes.at({object, k % 2});
        const Scalar moved =
            target.boxes.at({object, k}) + side * static_cast<Scalar>(random.uniform(-0.5, 0.5));
        const Scalar edge = static_cast<Scalar>(k % 2 == 0 ? kWidth : kHeight);
        proposals.set({p, k}, p % 2 == 0 ? std::clamp(moved, Scalar{0}, edge)
                                         : static_cast<Scalar>(box[static_cast<std::size_t>(k)]));
      }
    }
    batch.targets.push_back(target);
    batch.proposals.push_back(proposals);
    batch.infos.push_back({.name = concat("noise ", n), .width = kWidth, .height = kHeight});
  }
  return batch;
}

/// Steps of training; prints the shortest time of each phase.
void time_steps(FastRcnn& model, const FastRcnnPreset& preset, int steps, Random& random) {
  const Batch batch = make_batch(preset.images, preset.model.num_classes, random);
  nn::SGD sgd(model, preset.sgd);
  constexpr const char* kPhases[] = {"backbone forward", "regions and head forward", "backward",
                                     "SGD"};
  std::array<double, 4> best;
  best.fill(std::numeric_limits<double>::infinity());
  std::int64_t learned = 0;
  double last_loss = 0;
  for (int step = 0; step <= steps; ++step) {  // the first is not counted
    sgd.zero_grad();
    std::array<double, 4> ms{};
    Stopwatch watch;
    const Tensor map = model.features(batch.images);
    ms[0] = 1e3 * watch.lap();
    const DetectorLoss loss = model.loss_of_regions(map, batch.proposals, batch.targets, random);
    ms[1] = 1e3 * watch.lap();
    loss.total.backward();
    ms[2] = 1e3 * watch.lap();
    sgd.step(preset.schedule(preset.iterations)(step));
    ms[3] = 1e3 * watch.lap();
    learned = loss.positives + loss.negatives;
    last_loss = static_cast<double>(loss.total.item());
    for (std::size_t i = 0; i < ms.size(); ++i)
      if (step > 0) best[i] = std::min(best[i], ms[i]);
  }
  std::printf("\na step of %lld images of %d x %d, %lld regions\n",
              static_cast<long long>(preset.images), kWidth, kHeight,
              static_cast<long long>(learned));
  check(std::isfinite(last_loss), "full_size_step: the loss is ", last_loss);
  double total = 0;
  for (std::size_t i = 0; i < best.size(); ++i) {
    std::printf("  %-26s %9.1f ms\n", kPhases[i], best[i]);
    total += best[i];
  }
  std::printf("  %-26s %9.1f ms\n  %-26s %9.0f MB\n", "together", total, "peak memory", peak_mb());
}

/// One image with all its proposals: ms together, and of fc6 and fc7.
struct DetectionTime {
  double all = std::numeric_limits<double>::infinity(), fc6 = all, fc7 = all;
};

DetectionTime time_detection(FastRcnn& model, const Batch& batch, int rounds) {
  DetectionTime best;
  for (int round = 0; round <= rounds; ++round) {
    nn::Profiler profiler;
    Stopwatch watch;
    model.detect(batch);
    const double all = 1e3 * watch.lap();
    double fc6 = 0, fc7 = 0;
    for (const nn::ProfileRow& row : profiler.profile().rows) {
      if (row.path == "head.fc6") fc6 += row.seconds * 1e3;
      if (row.path == "head.fc7") fc7 += row.seconds * 1e3;
    }
    if (round == 0) continue;  // not counted
    best = {std::min(best.all, all), std::min(best.fc6, fc6), std::min(best.fc7, fc7)};
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  Program program(
      {.name = "full_size_step",
       .about = "Times a step of Fast R-CNN at the published size, and detection of one image with "
                "2000 regions before and after truncated SVD.",
       .out = false,
       .quick = false});
  std::string name = "L";
  int steps = 3;
  bool no_svd = false;
  program.choice("--model", name, {"S", "M", "L", "narrow"}, "which preset");
  program.option("--steps", steps, "timed runs of each part; the shortest counts", 1);
  program.flag("--no-svd", no_svd, "leave out compression, which takes a minute or more for L");

  return program.run(argc, argv, [&] {
    constexpr std::int64_t kClasses = 20;
    const FastRcnnPreset preset = fast_rcnn_preset(name, kClasses);
    for (const auto& [what, value] : preset.settings())
      std::printf("%-38s %s\n", what.c_str(), value.c_str());
    const auto model = make_fast_rcnn(preset);
    Random random(program.seed());

    const Batch one = make_batch(1, kClasses, random);
    const auto run = [&](const std::vector<Tensor>& proposals) {
      const NoGradGuard guard;
      model->classify(model->features(one.images), to_rois(proposals));
    };
    const std::int64_t map = nn::count_layers(*model, [&] { run({Tensor({0, 4})}); }).multiply_adds;
    const nn::ModelCount count =
        nn::count_layers(*model, [&] { run({slice(one.proposals[0], 0, 0, 64)}); });
    std::printf("\nparameters %lld; multiply-adds %.2f G for an image, %.2f G for 64 regions\n",
                static_cast<long long>(count.parameters), static_cast<double>(map) / 1e9,
                static_cast<double>(count.multiply_adds - map) / 1e9);

    model->train();
    time_steps(*model, preset, steps, random);
    model->zero_grad();  // gradients are half a gigabyte that detection does not need

    model->eval();
    const DetectionTime before = time_detection(*model, one, steps);
    std::printf("\ndetection in one image, %lld regions\n%-26s %9s %9s %9s\n",
                static_cast<long long>(kProposals), "", "all ms", "fc6 ms", "fc7 ms");
    std::printf("  %-24s %9.1f %9.1f %9.1f\n", "as trained", before.all, before.fc6, before.fc7);
    if (no_svd || preset.compression.empty()) return;
    std::vector<nn::CompressedLayer> layers;
    for (const nn::CompressOptions& options : preset.compression)
      for (const nn::CompressedLayer& layer : nn::compress(*model, options))
        layers.push_back(layer);
    const DetectionTime after = time_detection(*model, one, steps);
    std::printf("  %-24s %9.1f %9.1f %9.1f\n\n%s", "compressed", after.all, after.fc6, after.fc7,
                nn::to_table(layers).c_str());
    std::printf("peak memory %.0f MB\n", peak_mb());
  });
}
