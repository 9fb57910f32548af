#pragma once

#include "core/tensor.h"
#include "layers/module.h"

namespace boxgrad {

/// Every position's vector of channels brought to length 1, then each channel scaled:
///
///   r[p]    = 1 / sqrt(sum over c of x[p, c]^2 + eps),   xh = x r
///   y[p, c] = weight[c] xh[p, c]
///
///   g  = dy weight,   dw[c] = sum over p of dy xh
///   dx[p, c] = r[p] (g[p, c] - xh[p, c] sum over k of g[p, k] xh[p, k])
///
/// x        [..., C], e.g. a feature map [N, H, W, C]
/// weight   [C]
/// eps      > 0; inside the root, so that a position of zeros has the gradient g / sqrt(eps)
///          instead of NaN
/// returns  the shape of x: (3, 4) with weights 20 becomes (12, 16)
/// throws   std::invalid_argument when weight does not fit or eps is not > 0
///
/// Liu, Rabinovich, Berg, "ParseNet", 2015, section 3.3; Liu et al., "SSD", ECCV 2016, section 3.1,
/// for conv4_3, whose numbers are much larger than those of the later maps. eps = 1e-10 inside the
/// sum follows the authors' Caffe code. Equals weight * torch.nn.functional.normalize(x, dim=-1)
/// up to eps.
Tensor l2_norm(const Tensor& x, const Tensor& weight, Scalar eps = Scalar(1e-10));

namespace nn {

/// l2_norm with its learned "weight" [C], which starts at `scale`.
class L2Norm : public Module {
 public:
  explicit L2Norm(std::int64_t channels, Scalar scale = 20, Scalar eps = Scalar(1e-10));
  Tensor forward(const Tensor& x) override { return l2_norm(x, weight, eps); }

  Tensor weight;
  Scalar eps;
};

}  // namespace nn
}  // namespace boxgrad
