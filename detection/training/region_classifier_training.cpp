#include "detection/training/region_classifier_training.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "core/progress.h"
#include "core/stopwatch.h"
#include "detection/boxes.h"
#include "detection/data/batch.h"
#include "detection/regions.h"
#include "detection/ridge.h"
#include "detection/training/feature_store.h"

namespace boxgrad::detection {

namespace {

using RowList = std::vector<Scalar>;  // rows of D numbers, one after the other

/// The regions of one image and what they overlap.
struct ImageRegions {
  Target target;                 ///< usable truths
  Tensor iou;                    ///< [G, R]
  std::int64_t truths_from = 0;  ///< rows from here on are the truths
};

/// Of each region the largest IoU with a truth of class `label`, 0 without one.
std::vector<Scalar> class_overlaps(const ImageRegions& image, std::int64_t label) {
  const std::int64_t regions = image.iou.size(1);
  std::vector<Scalar> largest(static_cast<std::size_t>(regions), 0);
  for (std::size_t g = 0; g < image.target.labels.size(); ++g)
    if (image.target.labels[g] == label)
      for (std::size_t r = 0; r < largest.size(); ++r)
        largest[r] =
            std::max(largest[r], image.iou.data()[g * static_cast<std::size_t>(regions) + r]);
  return largest;
}

/// The sum of the lengths of the rows of `features`.
double sum_of_lengths(const Tensor& features) {
  const std::int64_t width = features.size(1);
  double sum = 0;
  for (std::int64_t r = 0; r < features.size(0); ++r) {
    const Scalar* row = features.data().data() + r * width;
    double squares = 0;
    for (std::int64_t k = 0; k < width; ++k)
      squares += static_cast<double>(row[k]) * static_cast<double>(row[k]);
    sum += std::sqrt(squares);
  }
  return sum;
}

/// One class's examples and the SVM that they made.
struct ClassSvm {
  RowList positives, negatives;
  std::int64_t fresh = 0;        ///< negatives since the last training
  LinearSvm svm = {.bias = -1};  ///< says no until it is trained

  void train(std::int64_t width, const RegionClassifierOptions& options) {
    fresh = 0;
    if (positives.empty() || negatives.empty()) return;
    RowList rows = positives;
    rows.insert(rows.end(), negatives.begin(), negatives.end());
    const auto d = static_cast<std::size_t>(width);
    std::vector<bool> positive(rows.size() / d, false);
    std::fill_n(positive.begin(), positives.size() / d, true);
    svm = train_linear_svm(Tensor({static_cast<std::int64_t>(positive.size()), width}, rows),
                           positive, options.svm);
  }

  /// Forgets what is far from being wrong.
  void evict(std::int64_t width, Scalar below) {
    const auto d = static_cast<std::size_t>(width);
    RowList kept;
    for (std::size_t i = 0; i < negatives.size(); i += d)
      if (svm.score(negatives.data() + i) >= below)
        kept.insert(kept.end(), negatives.begin() + static_cast<std::ptrdiff_t>(i),
                    negatives.begin() + static_cast<std::ptrdiff_t>(i + d));
    negatives = std::move(kept);
  }
};

/// The truths that regions are compared with: not the difficult ones, nor any without an area,
/// which label_regions would not have among its boxes.
Target usable(const Target& target) {
  std::vector<std::int64_t> kept;
  Target result;
  for (std::size_t g = 0; g < target.labels.size(); ++g) {
    const Scalar* box = target.boxes.data().data() + 4 * g;
    const bool area = box[2] - box[0] > Scalar(1e-3) && box[3] - box[1] > Scalar(1e-3);
    if (area && (g >= target.difficult.size() || !target.difficult[g])) {
      kept.push_back(static_cast<std::int64_t>(g));
      result.labels.push_back(target.labels[g]);
      result.difficult.push_back(false);
    }
  }
  result.boxes = index_select(target.boxes, 0, kept);
  return result;
}

/// Examples for one class's box regressor.
struct BoxExamples {
  RowList features, offsets;
};

}  // namespace

RegionClassifierReport train_region_classifiers(
    RegionClassifiers& classifiers, const Dataset& dataset, const Preparation& preparation,
    const std::function<ClassifierFeatures(const Tensor& image, const Tensor& boxes)>& features,
    const std::filesystem::path& folder, const RegionClassifierOptions& options) {
  check(dataset.size() > 0, "train_region_classifiers: the dataset is empty");
  const NoGradGuard guard;
  const std::int64_t images = dataset.size(), classes = classifiers.num_classes();
  const std::int64_t width = classifiers.svm_weight.size(0),
                     pooled_width = classifiers.box_weight.size(0);
  const auto all_classes = static_cast<std::size_t>(classes);
  RegionClassifierReport report;
  Stopwatch watch;

  // Features of every region of every image.
  FeatureStore store(folder);
  std::vector<ImageRegions> regions(static_cast<std::size_t>(images));
  std::vector<BoxExamples> box_examples(all_classes);
  double hidden_lengths = 0, pooled_lengths = 0;
  Progress progress("features", images);
  for (std::int64_t i = 0; i < images; ++i) {
    const Batch batch = preparation.make_batch({dataset.get(i)});
    ImageRegions& image = regions[static_cast<std::size_t>(i)];
    image.target = usable(batch.targets[0]);
    const Regions labelled =
        label_regions(batch.proposals[0], image.target,
                      {.positive = options.box_iou, .negative_low = 0, .negative_high = 0});
    image.iou = box_iou(image.target.boxes, labelled.boxes);
    image.truths_from = labelled.boxes.size(0) - image.target.boxes.size(0);
    const ClassifierFeatures found = features(image_of(batch, 0), labelled.boxes);
    const std::int64_t count = labelled.boxes.size(0);
    check(found.hidden.shape() == Shape{count, width} &&
              found.pooled.shape() == Shape{count, pooled_width},
          "train_region_classifiers: features of ", count, " regions must be [", count, ", ", width,
          "] and [", count, ", ", pooled_width, "], got ", found.hidden.shape(), " and ",
          found.pooled.shape());
    store.write(i, found.hidden);
    report.regions += count;
    hidden_lengths += sum_of_lengths(found.hidden);
    pooled_lengths += sum_of_lengths(found.pooled);
    // Those that teach boxes are few: they stay in memory.
    std::vector<std::int64_t> teachers;
    for (std::size_t r = 0; r < labelled.truth.size(); ++r)
      if (labelled.truth[r] >= 0) teachers.push_back(static_cast<std::int64_t>(r));
    const Tensor offsets = region_targets(labelled, teachers);
    for (std::size_t k = 0; k < teachers.size(); ++k) {
      BoxExamples& own = box_examples[static_cast<std::size_t>(
          labelled.labels[static_cast<std::size_t>(teachers[k])] - 1)];
      const auto from = found.pooled.data().begin() + teachers[k] * pooled_width;
      own.features.insert(own.features.end(), from, from + pooled_width);
      const auto to = offsets.data().begin() + static_cast<std::ptrdiff_t>(4 * k);
      own.offsets.insert(own.offsets.end(), to, to + 4);
    }
    progress.update(i + 1);
  }
  report.seconds_features = watch.lap();
  report.megabytes = store.megabytes();

  // C and lambda mean something only for features of a known length. The scale goes into the
  // weights at the end.
  const auto to_norm = [&](double lengths) {
    return static_cast<Scalar>(
        lengths > 0 ? options.feature_norm * static_cast<double>(report.regions) / lengths : 1);
  };

  // SVMs.
  const Scalar scale = to_norm(hidden_lengths);
  std::vector<ClassSvm> svms(all_classes);
  const auto scaled = [&](std::int64_t i) {
    Tensor rows = store.read(i);
    for (Scalar& value : rows.data()) value *= scale;
    return rows;
  };
  for (std::int64_t i = 0; i < images; ++i) {  // positives first: they are in every training
    const ImageRegions& image = regions[static_cast<std::size_t>(i)];
    if (image.target.labels.empty()) continue;
    const Tensor rows = scaled(i);
    for (std::size_t g = 0; g < image.target.labels.size(); ++g) {
      RowList& own = svms[static_cast<std::size_t>(image.target.labels[g] - 1)].positives;
      const auto from =
          rows.data().begin() + (image.truths_from + static_cast<std::int64_t>(g)) * width;
      own.insert(own.end(), from, from + width);
    }
  }
  Progress mining("hard negatives", images);
  for (std::int64_t i = 0; i < images; ++i) {
    const ImageRegions& image = regions[static_cast<std::size_t>(i)];
    const Tensor rows = scaled(i);
    parallel_for(classes, 1, [&](std::int64_t k, std::int64_t) {
      const NoGradGuard here_too;
      ClassSvm& own = svms[static_cast<std::size_t>(k)];
      if (own.positives.empty()) return;  // there will be no SVM for this class
      const std::vector<Scalar> overlap = class_overlaps(image, k + 1);
      for (std::size_t r = 0; r < overlap.size(); ++r) {
        if (overlap[r] >= options.negative_iou) continue;
        const Scalar* row = rows.data().data() + static_cast<std::int64_t>(r) * width;
        if (!own.svm.weight.empty() && own.svm.score(row) <= options.hard_above) continue;
        own.negatives.insert(own.negatives.end(), row, row + width);
        ++own.fresh;
      }
      const bool last = i + 1 == images;
      if (i == 0 || own.fresh > options.retrain_after || (last && own.fresh > 0)) {
        own.train(width, options);
        if (!last) own.evict(width, options.evict_below);
      }
    });
    mining.update(i + 1);
  }
  for (std::size_t k = 0; k < all_classes; ++k) {
    const auto& [positives, negatives, fresh, svm] = svms[k];
    for (std::size_t d = 0; d < static_cast<std::size_t>(width); ++d)
      classifiers.svm_weight.data()[d * all_classes + k] =
          svm.weight.empty() ? Scalar{0} : svm.weight[d] * scale;
    classifiers.svm_bias.data()[k] = svm.bias;
    report.positives.push_back(static_cast<std::int64_t>(positives.size()) / width);
    report.negatives.push_back(static_cast<std::int64_t>(negatives.size()) / width);
  }
  report.seconds_svms = watch.lap();

  // Boxes.
  const Scalar pooled_scale = to_norm(pooled_lengths);
  for (std::size_t k = 0; k < all_classes; ++k) {
    BoxExamples& own = box_examples[k];
    const auto count = static_cast<std::int64_t>(own.offsets.size() / 4);
    LinearMap map{Tensor({pooled_width, 4}), Tensor({4})};
    if (count > 0) {
      for (Scalar& value : own.features) value *= pooled_scale;
      map = fit_ridge(Tensor({count, pooled_width}, own.features), Tensor({count, 4}, own.offsets),
                      options.ridge_lambda);
      for (Scalar& value : map.weight.data()) value *= pooled_scale;
    }
    for (std::size_t e = 0; e < static_cast<std::size_t>(pooled_width); ++e)
      std::copy_n(map.weight.data().begin() + static_cast<std::ptrdiff_t>(4 * e), 4,
                  classifiers.box_weight.data().begin() +
                      static_cast<std::ptrdiff_t>(4 * (e * all_classes + k)));
    std::copy_n(map.bias.data().begin(), 4,
                classifiers.box_bias.data().begin() + static_cast<std::ptrdiff_t>(4 * k));
  }
  report.seconds_boxes = watch.lap();
  return report;
}

}  // namespace boxgrad::detection
