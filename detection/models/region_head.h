#pragma once

#include <cstdint>
#include <vector>

#include "layers/module.h"

namespace boxgrad::detection {

struct RegionHeadOptions {
  std::vector<std::int64_t> hidden = {4096, 4096};  ///< fc6, fc7, ...
  double dropout = 0.5;                             ///< behind each of them; 0: none
  double class_std = 0.01, box_std = 0.001;  ///< Gaussians that the last two layers start from
  bool boxes = true;                         ///< false: classes alone, as in R-CNN and SPPnet
};

/// What Fast R-CNN says of a region: fully connected layers on its pooled features, then two
/// sibling layers (section 2.1),
///
///   "fc6", "fc7", ...   Linear with ReLU, then dropout
///   "cls_score"         [1 + K] logits of the classes, background first
///   "bbox_pred"         [4 (1 + K)] offsets, four for each class
///
/// The columns of background's box are there, as published, and never used. Without `boxes` there
/// is no bbox_pred.
class RegionHead : public nn::Module {
 public:
  /// in_features  numbers of a pooled region, pool * pool * C; num_classes (K) is without background
  /// throws       std::invalid_argument for sizes < 1, a dropout outside [0, 1), and deviations < 0
  RegionHead(std::int64_t in_features, std::int64_t num_classes, const RegionHeadOptions& options);

  struct Output {
    Tensor logits;   ///< [R, 1 + K]
    Tensor offsets;  ///< [R, 1 + K, 4]; none without `boxes`
  };
  /// What the last hidden layer says, [R, D] with D = hidden_width(): SVMs are fitted to it.
  /// features [R, ...] are flattened here. Throws std::invalid_argument unless a region has
  /// in_features numbers.
  Tensor hidden(const Tensor& features) const;
  /// What the sibling layers say of hidden(): [R, D].
  Output classify(const Tensor& hidden) const;
  /// Both.
  Output operator()(const Tensor& features) const { return classify(hidden(features)); }
  std::int64_t hidden_width() const { return hidden_width_; }

 private:
  std::vector<nn::Child> hidden_;  ///< fc_layers()
  std::int64_t hidden_width_ = 0;
  bool has_boxes_ = true;
  nn::Child cls_score_, bbox_pred_;
};

/// Fast R-CNN's multi-task loss over R regions (section 2.3, equations 1 to 3), with u the true
/// class:
///
///   L = (1 / R) sum over regions of  -ln softmax(logits)_u
///                                    + lambda [u >= 1] sum smooth_L1(t^u - v)
///
/// Both parts are divided by all R regions, not by the positive ones, as in the code. Without
/// regions they are 0.
///
/// logits   [R, 1 + K]
/// offsets  [R, 1 + K, 4]: those of class u count; not read, and may be missing, where no region has
///          an object or lambda is 0
/// labels   [R], 0..K
/// targets  [R, 4], normalised as the network should say them; constants, and rows of background
///          are not read
/// lambda   weight of the box loss
/// throws   std::invalid_argument for other shapes, and for a label outside 0..K
struct RegionLoss {
  Tensor classification, boxes;  ///< [1] each; boxes already times lambda
};
RegionLoss multi_task_loss(const RegionHead::Output& output,
                           const std::vector<std::int64_t>& labels, const Tensor& targets,
                           double lambda = 1);

/// The same for each region by itself, not divided by R and without a graph: what OHEM ranks by.
/// [R]. Throws as multi_task_loss().
std::vector<Scalar> multi_task_losses(const RegionHead::Output& output,
                                      const std::vector<std::int64_t>& labels,
                                      const Tensor& targets, double lambda = 1);

}  // namespace boxgrad::detection
