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
  Target truths;                 ///< what is learned from: not the difficult ones
  std::int64_t truths_from = 0;  ///< rows from here on are these truths
  /// [G]: of the truths and of the difficult ones. What overlaps one that is difficult is not an
  /// example of its class, and no counter-example either: label_regions ignores it, too.
  std::vector<std::int64_t> labels;
  Tensor iou;  ///< [G, R]
};

/// Of each region the largest IoU with a truth of class `label`, 0 without one.
std::vector<Scalar> class_overlaps(const ImageRegions& image, std::int64_t label) {
  const std::int64_t regions = image.iou.size(1);
  std::vector<Scalar> largest(static_cast<std::size_t>(regions), 0);
  for (std::size_t g = 0; g < image.labels.size(); ++g)
    if (image.labels[g] == label)
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

/// The truths with an area (label_regions has no others among its boxes), the difficult ones only
/// on request.
Target usable(const Target& target, bool difficult) {
  std::vector<std::int64_t> kept;
  Target result;
  for (std::size_t g = 0; g < target.labels.size(); ++g) {
    const Scalar* box = target.boxes.data().data() + 4 * g;
    const bool area = box[2] - box[0] > Scalar(1e-3) && box[3] - box[1] > Scalar(1e-3);
    if (area && (difficult || g >= target.difficult.size() || !target.difficult[g])) {
      kept.push_back(static_cast<std::int64_t>(g));
      result.labels.push_back(target.labels[g]);
    }
  }
  result.boxes = index_select(target.boxes, 0, kept);
  return result;
}

/// Which examples one class's box regressor has.
struct BoxExamples {
  std::vector<std::int64_t> files;  ///< of Examples::pooled
  RowList offsets;                  ///< [n, 4], of the rows of these files
};

/// What the stage of the features leaves for the other two.
struct Examples {
  FeatureStore hidden;  ///< of all regions, a file for each image
  /// Of the regions that teach boxes, a file for each image and class: with VGG16 on VOC they
  /// would be ten gigabytes in memory, and only one class is fitted at a time.
  FeatureStore pooled;
  std::vector<ImageRegions> images = {};
  std::vector<BoxExamples> boxes = {};  ///< [K]
  std::int64_t regions = 0;
  double hidden_lengths = 0, pooled_lengths = 0;  ///< sums over the regions

  /// C and lambda mean something only for features of a known length: what to multiply them by. It
  /// goes into the weights at the end.
  Scalar scale_to(double norm, double lengths) const {
    return static_cast<Scalar>(lengths > 0 ? norm * static_cast<double>(regions) / lengths : 1);
  }
};

using FeaturesOf = std::function<ClassifierFeatures(const Tensor& image, const Tensor& boxes)>;

/// Those of an image's regions that overlap a truth enough teach its class where boxes should go.
void store_box_examples(Examples& examples, const Regions& labelled, const Tensor& pooled) {
  const auto classes = static_cast<std::int64_t>(examples.boxes.size());
  const auto image = static_cast<std::int64_t>(examples.images.size()) - 1;
  for (std::int64_t k = 0; k < classes; ++k) {
    std::vector<std::int64_t> teachers;
    for (std::size_t r = 0; r < labelled.truth.size(); ++r)
      if (labelled.truth[r] >= 0 && labelled.labels[r] == k + 1)
        teachers.push_back(static_cast<std::int64_t>(r));
    if (teachers.empty()) continue;
    BoxExamples& own = examples.boxes[static_cast<std::size_t>(k)];
    own.files.push_back(image * classes + k);
    examples.pooled.write(own.files.back(), index_select(pooled, 0, teachers));
    const Tensor offsets = region_targets(labelled, teachers);
    own.offsets.insert(own.offsets.end(), offsets.data().begin(), offsets.data().end());
  }
}

/// Features of every region of every image, to the disk.
Examples store_features(const RegionClassifiers& classifiers, const Dataset& dataset,
                        const Preparation& preparation, const FeaturesOf& features,
                        const std::filesystem::path& folder,
                        const RegionClassifierOptions& options) {
  const std::int64_t width = classifiers.svm_weight.size(0),
                     pooled_width = classifiers.box_weight.size(0),
                     classes = classifiers.num_classes();
  Examples examples{.hidden = FeatureStore(folder), .pooled = FeatureStore(folder / "boxes")};
  examples.boxes.resize(static_cast<std::size_t>(classes));
  Progress progress("features", dataset.size());
  for (std::int64_t i = 0; i < dataset.size(); ++i) {
    const Batch batch = preparation.make_batch({dataset.get(i)});
    ImageRegions& image = examples.images.emplace_back();
    image.truths = usable(batch.targets[0], false);
    for (const std::int64_t label : image.truths.labels)
      check(label >= 1 && label <= classes, "train_region_classifiers: label ", label, " of ",
            classes, " classes");
    const Regions labelled =
        label_regions(batch.proposals[0], image.truths,
                      {.positive = options.box_iou, .negative_low = 0, .negative_high = 0});
    const std::int64_t count = labelled.boxes.size(0);
    image.truths_from = count - image.truths.boxes.size(0);
    const Target all = usable(batch.targets[0], true);
    image.labels = all.labels;
    image.iou = box_iou(all.boxes, labelled.boxes);
    const ClassifierFeatures found = features(image_of(batch, 0), labelled.boxes);
    check(found.hidden.shape() == Shape{count, width} &&
              found.pooled.shape() == Shape{count, pooled_width},
          "train_region_classifiers: features of ", count, " regions must be [", count, ", ", width,
          "] and [", count, ", ", pooled_width, "], got ", found.hidden.shape(), " and ",
          found.pooled.shape());
    examples.hidden.write(i, found.hidden);
    examples.regions += count;
    examples.hidden_lengths += sum_of_lengths(found.hidden);
    examples.pooled_lengths += sum_of_lengths(found.pooled);
    check(std::isfinite(examples.hidden_lengths) && std::isfinite(examples.pooled_lengths),
          "train_region_classifiers: features must be finite; those of image ", i, " are not");
    store_box_examples(examples, labelled, found.pooled);
    progress.update(i + 1);
  }
  return examples;
}

/// The rows of one image's hidden features at the length that C is meant for.
Tensor scaled_rows(const Examples& examples, std::size_t image, Scalar scale) {
  Tensor rows = examples.hidden.read(static_cast<std::int64_t>(image));
  for (Scalar& value : rows.data()) value *= scale;
  return rows;
}

/// The truths of all images: they are in every training.
void collect_positives(std::vector<ClassSvm>& svms, const Examples& examples, Scalar scale) {
  for (std::size_t i = 0; i < examples.images.size(); ++i) {
    const ImageRegions& image = examples.images[i];
    if (image.truths.labels.empty()) continue;
    const Tensor rows = scaled_rows(examples, i, scale);
    const std::int64_t width = rows.size(1);
    for (std::size_t g = 0; g < image.truths.labels.size(); ++g) {
      RowList& own = svms[static_cast<std::size_t>(image.truths.labels[g] - 1)].positives;
      const auto from =
          rows.data().begin() + (image.truths_from + static_cast<std::int64_t>(g)) * width;
      own.insert(own.end(), from, from + width);
    }
  }
}

/// One pass over the images for negatives that the SVMs of the moment get wrong or nearly so.
void mine_negatives(std::vector<ClassSvm>& svms, const Examples& examples, Scalar scale,
                    const RegionClassifierOptions& options) {
  const std::size_t images = examples.images.size();
  Progress progress("hard negatives", static_cast<std::int64_t>(images));
  for (std::size_t i = 0; i < images; ++i) {
    const Tensor rows = scaled_rows(examples, i, scale);
    const std::int64_t width = rows.size(1);
    parallel_for(std::ssize(svms), 1, [&](std::int64_t k, std::int64_t) {
      const NoGradGuard here_too;
      ClassSvm& own = svms[static_cast<std::size_t>(k)];
      if (own.positives.empty()) return;  // there will be no SVM for this class
      const std::vector<Scalar> overlap = class_overlaps(examples.images[i], k + 1);
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
    progress.update(static_cast<std::int64_t>(i) + 1);
  }
}

/// The second stage: an SVM for each class.
void fit_svms(RegionClassifiers& classifiers, const Examples& examples,
              const RegionClassifierOptions& options, RegionClassifierReport& report) {
  const auto width = static_cast<std::size_t>(classifiers.svm_weight.size(0));
  const Scalar scale = examples.scale_to(options.feature_norm, examples.hidden_lengths);
  std::vector<ClassSvm> svms(examples.boxes.size());
  collect_positives(svms, examples, scale);
  mine_negatives(svms, examples, scale, options);
  for (std::size_t k = 0; k < svms.size(); ++k) {
    const auto& [positives, negatives, fresh, svm] = svms[k];
    const bool trained = !svm.weight.empty();
    for (std::size_t d = 0; d < width; ++d)
      classifiers.svm_weight.data()[d * svms.size() + k] =
          trained ? svm.weight[d] * scale : Scalar{0};
    classifiers.svm_bias.data()[k] = svm.bias;
    report.positives.push_back(static_cast<std::int64_t>(positives.size() / width));
    report.negatives.push_back(static_cast<std::int64_t>(negatives.size() / width));
    report.not_converged += trained && !svm.converged;
  }
}

/// All rows of one class's examples, [n, E].
Tensor pooled_rows(const Examples& examples, const BoxExamples& own, std::int64_t width) {
  Tensor rows = Tensor::empty({static_cast<std::int64_t>(own.offsets.size() / 4), width});
  auto to = rows.data().begin();
  for (const std::int64_t file : own.files) {
    const Tensor some = examples.pooled.read(file);
    to = std::copy(some.data().begin(), some.data().end(), to);
  }
  return rows;
}

/// The third stage: a box regressor for each class.
void fit_boxes(RegionClassifiers& classifiers, const Examples& examples,
               const RegionClassifierOptions& options) {
  const std::int64_t width = classifiers.box_weight.size(0);
  const Scalar scale = examples.scale_to(options.feature_norm, examples.pooled_lengths);
  const std::size_t classes = examples.boxes.size();
  for (std::size_t k = 0; k < classes; ++k) {
    const BoxExamples& own = examples.boxes[k];
    LinearMap map{Tensor({width, 4}), Tensor({4})};
    if (!own.files.empty()) {
      Tensor rows = pooled_rows(examples, own, width);
      for (Scalar& value : rows.data()) value *= scale;
      map = fit_ridge(rows, Tensor({rows.size(0), 4}, own.offsets), options.ridge_lambda);
      for (Scalar& value : map.weight.data()) value *= scale;
    }
    for (std::size_t e = 0; e < static_cast<std::size_t>(width); ++e)
      std::copy_n(map.weight.data().begin() + static_cast<std::ptrdiff_t>(4 * e), 4,
                  classifiers.box_weight.data().begin() +
                      static_cast<std::ptrdiff_t>(4 * (e * classes + k)));
    std::copy_n(map.bias.data().begin(), 4,
                classifiers.box_bias.data().begin() + static_cast<std::ptrdiff_t>(4 * k));
  }
}

}  // namespace

RegionClassifierReport train_region_classifiers(
    RegionClassifiers& classifiers, const Dataset& dataset, const Preparation& preparation,
    const std::function<ClassifierFeatures(const Tensor& image, const Tensor& boxes)>& features,
    const std::filesystem::path& folder, const RegionClassifierOptions& options) {
  check(dataset.size() > 0, "train_region_classifiers: the dataset is empty");
  const NoGradGuard guard;
  RegionClassifierReport report;
  Stopwatch watch;
  const Examples examples =
      store_features(classifiers, dataset, preparation, features, folder, options);
  report.regions = examples.regions;
  report.megabytes = examples.hidden.megabytes();
  report.box_megabytes = examples.pooled.megabytes();
  report.seconds_features = watch.lap();
  fit_svms(classifiers, examples, options, report);
  report.seconds_svms = watch.lap();
  fit_boxes(classifiers, examples, options);
  report.seconds_boxes = watch.lap();
  return report;
}

}  // namespace boxgrad::detection
