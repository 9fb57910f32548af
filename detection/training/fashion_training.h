#pragma once

#include <cstdint>
#include <span>

#include "core/tensor.h"
#include "detection/data/fashion_mnist.h"
#include "layers/module.h"

/// Training a classifier on Fashion-MNIST, for what papers measure on ImageNet: width, resolution,
/// kinds of convolutions.
namespace boxgrad::detection {

struct FashionTrainingOptions {
  std::int64_t steps = 1400;  ///< three passes over the 60,000 images
  std::int64_t batch_size = 128;
  double rate = 0.1;  ///< rises for a twentieth of the steps, then falls to 0 like a cosine
  double weight_decay = 5e-4;
  /// Times weight_decay for the filters of depthwise convolutions: nine numbers a channel have
  /// nothing to spare (MobileNet, section 3.2: "little or no weight decay" there).
  double depthwise_decay = 0;
  int side = FashionMnist::kSide;  ///< of the images the network sees, in pixels: MobileNet's rho
  std::uint64_t seed = 0;          ///< the order of the images
};

/// Images [N, side, side, 1] as FashionMnist::images() normalises them, shrunk by resize_area.
/// Throws std::invalid_argument unless 1 <= side <= 28.
Tensor fashion_images(const FashionMnist& data, std::span<const std::int64_t> indices, int side);

/// Trains a network that takes those images and returns logits [N, 10], by SGD with momentum 0.9
/// and cross entropy. Returns the seconds it took. Throws std::invalid_argument for steps or
/// batch_size < 1 or a batch larger than the data, std::runtime_error when the loss is not finite.
double train_on_fashion(nn::Module& net, const FashionMnist& data,
                        const FashionTrainingOptions& options = {});

/// The share of the first `count` images (-1: all) that the network, in evaluation mode, names
/// rightly: 0 to 1. The network is in the mode it was in afterwards.
double fashion_accuracy(nn::Module& net, const FashionMnist& data, int side = FashionMnist::kSide,
                        std::int64_t count = -1);

}  // namespace boxgrad::detection
