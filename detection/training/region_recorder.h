#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "detection/data/dataset.h"
#include "detection/data/preparation.h"
#include "detection/models/fast_rcnn.h"

namespace boxgrad::detection {

/// What the selection of regions did, per step, as means over the steps since the record before.
struct RegionRecord {
  std::int64_t iteration = 0;             ///< steps done so far
  double read = 0, read_objects = 0;      ///< labelled regions of the batch
  double suppressed = 0;                  ///< that overlapped a harder one (OHEM)
  double chosen = 0, chosen_objects = 0;  ///< that learned
  /// Mean loss of a region in the read-only pass, over all, the suppressed and the chosen; 0
  /// without one.
  double read_loss = 0, suppressed_loss = 0, chosen_loss = 0;

  /// Background regions for each object, among those read and those chosen; 0 without objects.
  double read_ratio() const;
  double chosen_ratio() const;
};

/// Follows a training, step by step:
///
///   RegionRecorder recorder(model);
///   train(model, sgd, data, flips, {}, {.on_step = std::ref(recorder)});
///   recorder.records()
///
/// OHEM sets no ratio of objects to background: section 4.1 of its paper says that the losses see
/// to it, since a class that is neglected becomes hard.
class RegionRecorder {
 public:
  /// One record for `every` steps. The model must outlive it.
  explicit RegionRecorder(const FastRcnn& model, std::int64_t every = 20);

  void operator()(std::int64_t iteration, const DetectorLoss& loss);

  const std::vector<RegionRecord>& records() const { return records_; }
  /// One line per record: iteration,read,read_objects,suppressed,chosen,chosen_objects,read_loss,
  /// suppressed_loss,chosen_loss.
  std::string to_csv() const;

 private:
  const FastRcnn& model_;
  std::int64_t every_, steps_ = 0;
  RegionRecord sums_;
  std::vector<RegionRecord> records_;
};

/// Mean loss of regions, chosen or not.
struct RegionLosses {
  double mean = 0, objects = 0, background = 0;  ///< over all, and over either kind; 0 if none
  std::int64_t count = 0, object_count = 0;
};

/// The loss of *all* regions of the first images of a dataset (all images if count < 0), in eval
/// mode, whatever the selection in training: the curve by which OHEM's paper compares selections
/// (figure 3). `regions` must be the same for all that is compared.
/// Models with other target statistics have other box losses.
RegionLosses mean_region_loss(FastRcnn& model, const Dataset& dataset,
                              const Preparation& preparation, std::int64_t count = -1,
                              const RegionOptions& regions = {.negative_low = 0});

}  // namespace boxgrad::detection
