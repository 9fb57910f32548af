#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "layers/module.h"

namespace boxgrad::detection {

/// The hidden layers of AlexNet's and VGG16's classifiers, in their order and under their names:
/// "fc6", "drop6", "fc7", "drop7", ... Each fc is a Linear with ReLU, from Gaussians of variance
/// 2 / inputs (He et al. 2015) and biases of 0; without dropout there are no drop layers.
///
/// in_features  numbers of an input
/// hidden       outputs of fc6, fc7, ...; may be empty
/// throws       std::invalid_argument for sizes < 1 and for a dropout outside [0, 1)
std::vector<std::pair<std::string, std::shared_ptr<nn::Module>>> fc_layers(
    std::int64_t in_features, const std::vector<std::int64_t>& hidden, double dropout);

}  // namespace boxgrad::detection
