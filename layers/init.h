#pragma once

#include <cstdint>

#include "core/tensor.h"

/// Initialisers: each overwrites a tensor's numbers, drawing from default_random(). The numbers
/// are the same for any number of threads.
namespace boxgrad::nn::init {

/// How many inputs one output is a sum of, and how many outputs one input goes into.
struct Fans {
  std::int64_t in, out;
};

/// Of a linear weight [in, out] or filters [KH, KW, C_in/groups, C_out]: in = KH KW C_in/groups,
/// out = KH KW C_out, groups or not, as in torch. Throws std::invalid_argument for another rank or
/// an empty weight.
Fans fans(const Shape& weight);

/// Which of the two the variance is fitted to: forward or backward signals keep their size.
enum class FanMode { in, out };

void constant(Tensor t, double value);
void uniform(Tensor t, double low, double high);  ///< in [low, high)
/// Normal with this standard deviation: .01 for the new layers of Fast R-CNN and RetinaNet. Throws
/// unless std >= 0.
void gaussian(Tensor t, double std, double mean = 0);

/// Variance gain^2 * 2 / (fan_in + fan_out), for layers that are nearly linear around 0; uniform
/// in +-gain sqrt(6 / (fan_in + fan_out)), or normal.
/// Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks",
/// AISTATS 2010, eq. (16). Equals torch.nn.init.xavier_uniform_ and xavier_normal_. (Caffe's
/// "xavier" has variance 1 / fan_in.)
void xavier_uniform(Tensor weight, double gain = 1);
void xavier_normal(Tensor weight, double gain = 1);

/// Variance 2 / fan, for layers followed by ReLU; uniform in +-sqrt(6 / fan), or normal.
/// He, Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV 2015, eq. (10) and (14). Equals
/// torch.nn.init.kaiming_uniform_ and kaiming_normal_ with nonlinearity="relu".
void kaiming_uniform(Tensor weight, FanMode mode = FanMode::in);
void kaiming_normal(Tensor weight, FanMode mode = FanMode::in);

/// The bias with which a sigmoid starts at `probability`: -ln((1 - pi) / pi). Keeps the many
/// background anchors from swamping the first steps. Throws unless 0 < probability < 1.
/// Lin et al., "Focal loss for dense object detection", ICCV 2017, section 4.1 (pi = .01).
double prior_bias(double probability);

}  // namespace boxgrad::nn::init
