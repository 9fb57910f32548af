#pragma once

#include <cstdint>
#include <vector>

#include "core/random.h"
#include "core/tensor.h"
#include "detection/boxes.h"
#include "detection/sampler.h"
#include "detection/target.h"

/// From proposals to what a region classifier learns: which region is which class, where its box
/// should go, and which regions a step looks at.
namespace boxgrad::detection {

struct RegionOptions {
  /// IoU >= positive: an object, of the class it overlaps most.
  Scalar positive = Scalar(0.5);
  /// negative_low <= IoU < negative_high: background. Fast R-CNN's 0.1 leaves out regions that
  /// overlap nothing, a guess at which negatives are hard; OHEM needs no guess and takes 0.
  Scalar negative_low = Scalar(0.1), negative_high = Scalar(0.5);
  bool add_truths = true;  ///< the true boxes stand among the proposals, as in all published code
};

/// The labelled regions of one image.
struct Regions {
  Tensor boxes = Tensor({0, 4});        ///< [P, 4], proposals, then the truths if they were added
  std::vector<std::int64_t> truth;      ///< [P]: a truth's number, kUnmatched, or kIgnored
  std::vector<std::int64_t> labels;     ///< [P]: its class, 0 for background, -1 for ignored
  std::vector<Scalar> iou;              ///< [P]: largest with any truth
  Tensor truth_boxes = Tensor({0, 4});  ///< [G, 4]
};

/// Labels proposals by the truths they overlap. Regions that overlap a difficult truth most, and by
/// IoU >= `positive`, are neither positive nor negative. Proposals thinner than a thousandth of a
/// pixel are left out.
///
/// proposals  [P, 4] in pixels of the image that `target` speaks of, P may be 0
/// returns    at most P + G regions
/// throws     std::invalid_argument for boxes of another shape, and unless
///            0 <= negative_low <= negative_high <= positive and positive > 0
///
/// Girshick, "Fast R-CNN", section 2.3, "Mini-batch sampling".
Regions label_regions(const Tensor& proposals, const Target& target,
                      const RegionOptions& options = {});

/// What the box branch should say for some regions: encode_boxes(truth, region) with unit weights
/// for positives, zeros for the others; without a graph.
///
/// chosen   [n], numbers of regions
/// returns  [n, 4]
/// throws   std::out_of_range for a number that is no region's, std::invalid_argument for a positive
///          whose truth has no area
Tensor region_targets(const Regions& regions, const std::vector<std::int64_t>& chosen);

/// Regions of one image that something is asked of, and their classes.
struct LabelledRegions {
  Tensor boxes = Tensor({0, 4});          ///< [R, 4]
  std::vector<std::int64_t> labels = {};  ///< [R], 0 for background
};

/// label_regions without the ignored ones. Throws what label_regions throws.
LabelledRegions labelled_regions(const Tensor& proposals, const Target& target,
                                 const RegionOptions& options = {});

/// One balanced sample over the regions of several images together: what a step of R-CNN's and
/// SPPnet's fine-tuning looks at. An image may give many of them or none, so that those rich in
/// objects make up for others, and the share of objects does not depend on how many images there
/// are. (Fast R-CNN draws from each image by itself.)
///
/// images   [N]
/// returns  [N], the chosen ones of each image in their order, sampling.size together at most
/// throws   std::invalid_argument as sample_balanced does
std::vector<LabelledRegions> sample_regions(const std::vector<LabelledRegions>& images,
                                            const BalancedOptions& sampling, Random& random);

/// The same from proposals [N] of [P, 4] and targets [N]: labelled_regions of each image, then the
/// sample. Throws std::invalid_argument for lengths that differ, too, and what label_regions throws.
std::vector<LabelledRegions> sample_regions(const std::vector<Tensor>& proposals,
                                            const std::vector<Target>& targets,
                                            const RegionOptions& options,
                                            const BalancedOptions& sampling, Random& random);

/// Mean and standard deviation of region_targets over all positive regions, per class [1 + K, 4]:
/// what targets are normalised by (section 2.3: "zero mean and unit variance"). A class with fewer
/// than two positives, or one that does not vary, gets the mean 0 and the deviations (.1 .1 .2 .2)
/// that later code uses for every class. Rows of class 0 are 0 and 1.
///
/// images       all of the data set, or as many as describe it
/// num_classes  K, without background
/// throws       std::invalid_argument for a label > num_classes, and what region_targets throws
struct TargetStatistics {
  Tensor mean, std;
};
TargetStatistics target_statistics(const std::vector<Regions>& images, std::int64_t num_classes);

/// Which regions a step looks at.
enum class RegionSelection {
  sampled,  ///< at random, a quarter of them positive (section 2.3)
  all,      ///< every labelled region
  ohem,     ///< the hardest, after suppression among them (ohem_select)
};

struct OhemOptions {
  std::int64_t size = 64;  ///< B, regions of the batch
  double nms_iou = 0.7;    ///< regions that overlap a harder one more than this are left out
  bool suppress = true;    ///< false: the B hardest, however much they overlap
  /// The authors' code suppresses, then takes B. The lecture notes take B, then suppress, which
  /// leaves fewer than B. (They take B / N of each of N images; here B are of the whole batch, so
  /// that the two differ in their order alone.)
  bool suppress_first = true;
};

/// Online hard example mining: regions in order of their loss, without those that overlap a harder
/// one of the same image and the same label, at most B of them. Equal losses: the lower number
/// first. A loss that is NaN counts as the hardest, so that it is seen.
///
/// boxes   [R, 4];  images, labels, losses  [R]
/// returns the chosen numbers, hardest first; those left out for overlapping a harder one go into
/// `suppressed`, if given, hardest first
/// throws  std::invalid_argument for lengths that differ, and a size < 1
///
/// Shrivastava, Gupta, Girshick, "Training region-based object detectors with online hard example
/// mining", CVPR 2016, section 4.1. That suppression is separate by image and label is in the
/// authors' code only.
std::vector<std::int64_t> ohem_select(const Tensor& boxes, const std::vector<std::int64_t>& images,
                                      const std::vector<std::int64_t>& labels,
                                      const std::vector<Scalar>& losses,
                                      const OhemOptions& options = {},
                                      std::vector<std::int64_t>* suppressed = nullptr);

}  // namespace boxgrad::detection
