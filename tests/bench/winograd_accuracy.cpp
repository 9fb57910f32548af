// Does Winograd's rounding harm training? A narrow VGG16 learns Fashion-MNIST with and without it,
// from the same weights and in the same order. See docs/performance.md.
#include <cstdio>
#include <memory>
#include <numeric>
#include <vector>

#include "core/autograd.h"
#include "core/ops.h"
#include "core/program.h"
#include "core/random.h"
#include "core/stopwatch.h"
#include "detection/data/fashion_mnist.h"
#include "detection/models/classifier.h"
#include "detection/models/vgg16.h"
#include "layers/conv_algorithm.h"
#include "layers/losses.h"
#include "layers/schedule.h"
#include "layers/sgd.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

struct Data {
  FashionMnist train{FashionMnist::Split::train}, test{FashionMnist::Split::test};
  std::int64_t train_images = train.size(), test_images = test.size();  ///< that are used
};

Tensor three_channels(const Tensor& grey) { return cat({grey, grey, grey}, 3); }

/// Percent of the test images that are named correctly after so many passes.
double accuracy(const Data& data, std::uint64_t seed, int passes) {
  constexpr std::int64_t kBatch = 64;
  manual_seed(seed);
  const auto trunk = std::make_shared<Vgg16>(Vgg16Options{.width = 0.25});
  Classifier net(trunk, FashionMnist::kNumClasses);
  nn::SGD sgd(net, {.rate = 0.005, .momentum = 0.9, .weight_decay = 5e-4});
  std::vector<std::int64_t> order;
  for (int pass = 0; pass < passes; ++pass)
    for (const std::int64_t i : default_random().permutation(data.train_images)) order.push_back(i);
  const std::int64_t steps = static_cast<std::int64_t>(order.size()) / kBatch;
  const nn::Schedule schedule = nn::warm_up(200, 0.05) * nn::cosine(0, steps);
  for (std::int64_t step = 0; step < steps; ++step) {
    const std::vector<std::int64_t> chosen(order.begin() + step * kBatch,
                                           order.begin() + (step + 1) * kBatch);
    sgd.zero_grad();
    cross_entropy(net(three_channels(data.train.images(chosen))), data.train.labels(chosen))
        .backward();
    sgd.step(schedule(step));
  }
  net.eval();
  const NoGradGuard guard;
  std::int64_t right = 0;
  for (std::int64_t first = 0; first < data.test_images; first += 500) {
    std::vector<std::int64_t> chosen(500);
    std::iota(chosen.begin(), chosen.end(), first);
    const auto answers = argmax(net(three_channels(data.test.images(chosen))));
    const auto labels = data.test.labels(chosen);
    for (std::size_t i = 0; i < answers.size(); ++i) right += answers[i] == labels[i];
  }
  return 100 * static_cast<double>(right) / static_cast<double>(data.test_images);
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "winograd_accuracy",
                   .about = "Trains a VGG16 of a quarter of the width on Fashion-MNIST with and "
                            "without Winograd's convolutions and prints test accuracies.",
                   .out = false});
  std::vector<int> seeds = {0, 1, 2}, tiles = {4, 0};
  int passes = 2;
  program.option("--seeds", seeds, "one training for each, with commas", 0);
  program.option("--tiles", tiles, "largest Winograd tiles: 4, 2 or 0 for none", 0, 4);
  program.option("--passes", passes, "over the training images", 1);

  return program.run(argc, argv, [&] {
    Data data;
    if (program.quick()) data.train_images = 2000, data.test_images = 1000, passes = 1;
    std::printf("%4s %6s %10s %9s\n", "seed", "tiles", "accuracy", "seconds");
    for (const int seed : seeds)
      for (const int tile : tiles) {
        set_winograd_limit(tile);
        const Stopwatch watch;
        const double percent = accuracy(data, static_cast<std::uint64_t>(seed), passes);
        std::printf("%4d %6s %8.2f %% %9.0f\n", seed,
                    tile == 0 ? "none" : concat(tile, "x", tile).c_str(), percent, watch.seconds());
        std::fflush(stdout);
      }
  });
}
