#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"

/// Losses. Every one takes per-element weights and a reduction, as the normaliser differs from
/// paper to paper (number of boxes, of matched boxes, of images) and belongs to the detector.
/// Targets, labels and weights are constants: they get no gradient.
namespace boxgrad {

/// What becomes of the per-element losses: kept, added up, or averaged. A sum is shape [1].
enum class Reduction { none, sum, mean };

struct CrossEntropyOptions {
  std::int64_t ignore_index = -1;          ///< rows with this label have loss and gradient 0
  std::vector<Scalar> class_weights = {};  ///< one per class; empty: 1
  std::vector<Scalar> weights = {};        ///< one per row; empty: 1
  Reduction reduction = Reduction::mean;
};

/// Cross entropy of the softmax over the last axis with a label per row.
///
///   loss_r = w_r (ln sum_l e^(x_rl) - x_r,label),   w_r = class_weights[label_r] * weights[r]
///   dloss_r/dx_rl = w_r (softmax(x_r)_l - [l = label_r])
///   mean   = sum_r loss_r / sum_r w_r over the rows that are not ignored; 0 if there are none
///
/// logits   [..., L], unnormalised
/// labels   one per row, 0..L-1 or ignore_index
/// returns  [1], or logits' shape without its last axis for Reduction::none ([1] if none is left)
/// throws   std::invalid_argument for a label outside the range, or sizes that do not fit
///
/// Stable for logits of any size: the row's maximum is subtracted first.
/// Equals torch.nn.functional.cross_entropy (whose ignore_index starts as -100), which keeps the
/// classes on axis 1, knows no weights per row and gives NaN when all rows are ignored.
Tensor cross_entropy(const Tensor& logits, const std::vector<std::int64_t>& labels,
                     const CrossEntropyOptions& options = {});

/// The unweighted loss of each row without a graph, 0 where the label is `ignore_index`: what
/// hard example mining ranks by.
std::vector<Scalar> cross_entropy_values(const Tensor& logits,
                                         const std::vector<std::int64_t>& labels,
                                         std::int64_t ignore_index = -1);

struct LossOptions {
  Reduction reduction = Reduction::mean;
  /// One per element, or one per row of the last axis (per box of [..., 4]); empty: 1.
  std::vector<Scalar> weights = {};
};

/// Binary cross entropy between sigmoid(x) and t, computed without the sigmoid:
///
///   loss_i  = w_i (max(x_i, 0) - x_i t_i + ln(1 + e^-|x_i|))
///   dloss_i/dx_i = w_i (sigmoid(x_i) - t_i)
///   mean    = sum_i loss_i / n, where n counts elements, whatever their weights
///
/// logits, target  the same shape; targets in [0, 1]
/// throws          std::invalid_argument if the shapes differ, or for the mean of nothing
///
/// Equals torch.nn.functional.binary_cross_entropy_with_logits.
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target,
                                        const LossOptions& options = {});

/// Smooth L1 loss.
///
///   d_i    = input_i - target_i
///   loss_i = w_i { 0.5 d_i^2 / beta   if |d_i| < beta
///                { |d_i| - 0.5 beta   otherwise
///   dloss_i/dinput_i = w_i clamp(d_i / beta, -1, 1)
///   mean   = sum_i loss_i / n, where n counts elements, whatever their weights
///
/// input, target  the same shape, e.g. box offsets (tx, ty, tw, th)
/// throws         std::invalid_argument if the shapes differ, beta <= 0, or for the mean of nothing
///
/// Girshick, "Fast R-CNN", ICCV 2015, section 2.3, eq. (3), where beta = 1.
/// Equals torch.nn.functional.smooth_l1_loss.
Tensor smooth_l1_loss(const Tensor& input, const Tensor& target, Scalar beta = 1,
                      const LossOptions& options = {});

/// Squared error (without a factor 1/2).
///
///   loss_i = w_i (input_i - target_i)^2,   dloss_i/dinput_i = 2 w_i (input_i - target_i)
///   mean   = sum_i loss_i / n, where n counts elements, whatever their weights
///
/// throws  std::invalid_argument if the shapes differ, or for the mean of nothing
///
/// Equals torch.nn.functional.mse_loss.
Tensor mse_loss(const Tensor& input, const Tensor& target, const LossOptions& options = {});

}  // namespace boxgrad
