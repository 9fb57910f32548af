#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace boxgrad::detection {

struct LinearSvmOptions {
  double c = 1e-3;             ///< C: how much a violated margin costs
  double positive_weight = 2;  ///< times C for positives, of which there are few
  /// The bias is the weight of one more feature with this value: the larger, the less it is held
  /// back by the regulariser.
  double bias_multiplier = 10;
  double tolerance = 0.01;  ///< of the optimality conditions
  int max_passes = 300;     ///< over the data
  std::uint64_t seed = 0;   ///< of the order in which examples are visited
};

/// score(x) = weight . x + bias
struct LinearSvm {
  std::vector<Scalar> weight = {};  ///< [D]
  Scalar bias = 0;
  std::vector<Scalar> dual = {};  ///< [R], alpha: 0 for examples outside the margin
  int passes = 0;
  bool converged = false;  ///< to the tolerance; if not, max_passes came first

  Scalar score(const Scalar* x) const;
};

/// A linear support vector machine with the hinge loss: with y = +1 for positives and -1 for
/// others,
///
///   min over w   1/2 |w|^2 + sum_i C_i max(0, 1 - y_i w . x_i)
///   x_i = (features_i, bias_multiplier)
///
/// by coordinate descent on its dual, one example at a time in random order:
///
///   min over 0 <= alpha_i <= C_i   1/2 |w|^2 - sum_i alpha_i,   w = sum_i alpha_i y_i x_i
///   alpha_i <- clamp(alpha_i - (y_i w . x_i - 1) / |x_i|^2, 0, C_i),   w follows
///
/// until the largest projected gradient of a pass and the smallest differ by less than `tolerance`
/// (`converged`), or max_passes are over.
///
/// features  [R, D];  positive  [R]
/// returns   weight [D], dual [R]
/// throws    std::invalid_argument for lengths that differ, features that are not finite or so large
///           that their squares are not, no examples of either kind, or options that are not > 0
///
/// Hsieh, Chang, Lin, Keerthi, Sundararajan, "A dual coordinate descent method for large-scale
/// linear SVM", ICML 2008, algorithm 1: what liblinear does, with which R-CNN was trained.
LinearSvm train_linear_svm(const Tensor& features, const std::vector<bool>& positive,
                           const LinearSvmOptions& options = {});

}  // namespace boxgrad::detection
