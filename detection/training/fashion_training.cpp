#include "detection/training/fashion_training.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"
#include "core/progress.h"
#include "core/random.h"
#include "core/resize.h"
#include "layers/losses.h"
#include "layers/module.h"
#include "layers/schedule.h"
#include "layers/sgd.h"

namespace boxgrad::detection {

Tensor fashion_images(const FashionMnist& data, std::span<const std::int64_t> indices, int side) {
  check(side >= 1 && side <= FashionMnist::kSide, "fashion_images: side must be 1 to ",
        FashionMnist::kSide, ", got ", side);
  const Tensor images = data.images(indices);
  if (side == FashionMnist::kSide) return images;
  Tensor small({images.size(0), side, side, 1});
  const auto pixels = static_cast<std::size_t>(side) * static_cast<std::size_t>(side);
  for (std::int64_t n = 0; n < images.size(0); ++n) {
    const Tensor image =
        reshape(slice(images, 0, n, n + 1), {FashionMnist::kSide, FashionMnist::kSide, 1});
    std::ranges::copy(resize_area(image, side, side).data(),
                      small.data().subspan(static_cast<std::size_t>(n) * pixels).begin());
  }
  return small;
}

double train_on_fashion(nn::Module& net, const FashionMnist& data,
                        const FashionTrainingOptions& options) {
  check(options.steps >= 1, "train_on_fashion: steps must be >= 1, got ", options.steps);
  check(options.batch_size >= 1 && options.batch_size <= data.size(),
        "train_on_fashion: batch_size must be 1 to ", data.size(), ", the images, got ",
        options.batch_size);
  nn::SGDOptions sgd_options{
      .rate = options.rate, .momentum = 0.9, .weight_decay = options.weight_decay};
  // A group must match something, and not every network has such layers.
  if (std::ranges::any_of(net.parameters(), [](const auto& entry) {
        return entry.first.find("depthwise") != std::string::npos;
      }))
    sgd_options.groups = {{.pattern = ".*depthwise.*", .decay = options.depthwise_decay}};
  nn::SGD sgd(net, sgd_options);
  const nn::Schedule schedule =
      nn::warm_up(options.steps / 20 + 1, 0.1) * nn::cosine(0, options.steps);
  const std::int64_t batches = data.size() / options.batch_size;
  Random random(options.seed);
  std::vector<std::int64_t> order;
  net.train();
  Progress progress("training", options.steps);
  for (std::int64_t step = 0; step < options.steps; ++step) {
    if (step % batches == 0) order = random.permutation(data.size());
    const std::span<const std::int64_t> indices =
        std::span(order).subspan(static_cast<std::size_t>(step % batches * options.batch_size),
                                 static_cast<std::size_t>(options.batch_size));
    sgd.zero_grad();
    const Tensor loss =
        cross_entropy(net(fashion_images(data, indices, options.side)), data.labels(indices));
    if (!std::isfinite(loss.item()))
      throw std::runtime_error(concat("train_on_fashion: the loss of step ", step + 1,
                                      " is not finite; try a rate below ", options.rate));
    loss.backward();
    sgd.step(schedule(step));
    progress.update(step + 1, concat("loss ", loss.item()));
  }
  return progress.seconds();
}

double fashion_accuracy(nn::Module& net, const FashionMnist& data, int side, std::int64_t count) {
  if (count < 0) count = data.size();
  check(count >= 1 && count <= data.size(), "fashion_accuracy: count must be 1 to ", data.size(),
        ", got ", count);
  const NoGradGuard guard;
  const nn::EvaluationMode mode(net);
  std::int64_t right = 0;
  for (std::int64_t first = 0; first < count; first += 500) {
    std::vector<std::int64_t> indices(
        static_cast<std::size_t>(std::min<std::int64_t>(500, count - first)));
    std::iota(indices.begin(), indices.end(), first);
    const auto answers = argmax(net(fashion_images(data, indices, side)));
    const auto labels = data.labels(indices);
    for (std::size_t i = 0; i < labels.size(); ++i) right += answers[i] == labels[i];
  }
  return static_cast<double>(right) / static_cast<double>(count);
}

}  // namespace boxgrad::detection
