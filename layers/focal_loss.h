#pragma once

#include <cstdint>
#include <vector>

#include "layers/losses.h"

/// Focal loss: cross entropy in which what is easy counts little. Lin, Goyal, Girshick, He, Dollár,
/// "Focal loss for dense object detection", ICCV 2017, section 3.
namespace boxgrad {

struct FocalLossOptions {
  double gamma = 2;     ///< 0: cross entropy
  double alpha = 0.25;  ///< weight of positives, 1 - alpha of negatives; negative: both 1
  Reduction reduction = Reduction::mean;
};

/// For every logit a yes or no of its own, with z = x where the target is 1 and -x where it is 0,
/// and p_t = sigmoid(z) the probability of the truth:
///
///   loss  = -alpha_t (1 - p_t)^gamma ln p_t
///   dloss/dz = alpha_t (1 - p_t)^gamma (gamma p_t ln p_t - (1 - p_t))
///   mean  = sum of loss / n, where n counts elements; detectors take the sum over their positives
///
/// logits, target  the same shape; targets 0 or 1
/// throws          std::invalid_argument if the shapes differ, for another target, gamma < 0 or
///                 alpha > 1, or for the mean of nothing
///
/// Finite for logits of any size. Equals torchvision.ops.sigmoid_focal_loss.
Tensor sigmoid_focal_loss(const Tensor& logits, const Tensor& target,
                          const FocalLossOptions& options = {});

/// The same for classes that exclude each other, class 0 being background: with p = softmax(x) and
/// the row's label u,
///
///   loss  = -alpha_u (1 - p_u)^gamma ln p_u,   alpha_0 = 1 - alpha, the others alpha
///   dloss/dx_l = alpha_u (1 - p_u)^gamma (1 - gamma p_u ln p_u / (1 - p_u)) (p_l - [l = u])
///   mean  = sum of loss / rows that are not ignored; 0 if there are none
///
/// logits  [..., L];  labels  one per row, 0..L-1, or -1: such rows have loss and gradient 0
/// throws  std::invalid_argument as cross_entropy and sigmoid_focal_loss do
Tensor softmax_focal_loss(const Tensor& logits, const std::vector<std::int64_t>& labels,
                          const FocalLossOptions& options = {});

}  // namespace boxgrad
