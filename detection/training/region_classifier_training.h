#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "detection/data/dataset.h"
#include "detection/data/preparation.h"
#include "detection/linear_svm.h"
#include "detection/models/region_classifiers.h"

namespace boxgrad::detection {

/// R-CNN's values: "paper" is its CVPR 2014 version, "code" the authors' code, which knows more.
struct RegionClassifierOptions {
  LinearSvmOptions svm = {};  ///< C, the weight of positives and the bias: code
  /// Features are scaled so that their mean length is this. Code.
  double feature_norm = 20;
  /// Regions below it, with the class's truths, are negatives. Paper, section 2.3. With difficult
  /// truths, too: ours, as everywhere in boxgrad.
  Scalar negative_iou = Scalar(0.3);
  Scalar hard_above = Scalar(-1.0001);  ///< a negative with a larger score is hard; code
  Scalar evict_below = Scalar(-1.2);    ///< and one with a smaller score is forgotten; code
  std::int64_t retrain_after = 2000;    ///< new hard negatives of a class; code
  double ridge_lambda = 1000;           ///< paper, appendix C
  /// Regions that overlap a truth so much teach boxes. Paper, appendix C.
  Scalar box_iou = Scalar(0.6);
};

/// What it took.
struct RegionClassifierReport {
  double seconds_features = 0, seconds_svms = 0, seconds_boxes = 0;
  double megabytes = 0;                 ///< of all regions' hidden features on disk
  double box_megabytes = 0;             ///< and of the pooled ones that boxes are learned from
  std::int64_t regions = 0;             ///< whose features were computed
  std::vector<std::int64_t> positives;  ///< [K], truths of each class
  std::vector<std::int64_t> negatives;  ///< [K], examples in the last SVM
  std::int64_t not_converged = 0;       ///< classes whose last SVM ended at svm.max_passes
};

/// The second and third stage of R-CNN and SPPnet, behind a network that is trained:
///
///   features   of all proposals and truths of all images, to files in `folder`: the hidden ones of
///              all, the pooled ones of those that teach boxes
///   SVMs       one for each class. Positives are its truths; negatives are regions with IoU < 0.3
///              with any of them, more than memory holds: all of the first image, then, in one pass
///              over the others, those that the SVM of the moment gets wrong or nearly so. It is
///              trained again after 2000 new ones, and at the end
///   boxes      ridge regression for each class, from the pooled features of regions with
///              IoU >= 0.6 to their offsets. One class at a time is in memory, twice: 50 KB an
///              example with 12,800 pooled numbers
///
/// A difficult truth teaches nothing: it is no positive and has no box to learn, and what overlaps
/// it by IoU >= 0.3 is no negative of its class.
///
/// Both kinds of features are scaled to a mean length of `feature_norm` before, as C and lambda
/// depend on it; the weights come back for features as they are. A class without a truth gets an
/// SVM that always says -1, and one without a region for its boxes keeps them where they are.
///
/// dataset    with proposals
/// features   of boxes [R, 4] on an image [1, H, W, 3], without a graph
/// throws     std::invalid_argument when the dataset is empty, features do not fit `classifiers` or
///            are not finite, or a label is not one of its classes; std::runtime_error when the
///            folder cannot be written
///
/// Girshick et al., "Rich feature hierarchies ...", CVPR 2014, sections 2.3, appendices B and C,
/// and the authors' code for the constants. The same bits for any number of threads.
RegionClassifierReport train_region_classifiers(
    RegionClassifiers& classifiers, const Dataset& dataset, const Preparation& preparation,
    const std::function<ClassifierFeatures(const Tensor& image, const Tensor& boxes)>& features,
    const std::filesystem::path& folder, const RegionClassifierOptions& options = {});

}  // namespace boxgrad::detection
