#pragma once

#include "core/tensor.h"

namespace boxgrad::detection {

/// A linear map fitted to examples, y = x weight + bias.
struct LinearMap {
  Tensor weight;  ///< [D, T]
  Tensor bias;    ///< [T]
};

/// Ridge regression with whitened targets, as R-CNN fits its box regressors:
///
///   T = V diag(1 / sqrt(lambda_k + 0.001)) V^T    the targets' covariance is V diag(lambda_k) V^T
///   Y = (targets - mean) T,   X = (features, 1)
///   B = (X^T X + lambda I)^-1 X^T Y               the bias's column is regularised, too
///   y = X B T^-1 + mean
///
/// Whitening makes lambda weigh the same for targets that vary much and those that vary little.
///
/// features  [R, D];  targets  [R, T], e.g. the box offsets (tx, ty, tw, th)
/// throws    std::invalid_argument for shapes that do not fit, R = 0 or lambda <= 0
///
/// Girshick et al., "Rich feature hierarchies ...", CVPR 2014, appendix C (lambda = 1000), and the
/// authors' code for the whitening.
LinearMap fit_ridge(const Tensor& features, const Tensor& targets, double lambda = 1000);

}  // namespace boxgrad::detection
