// detection/training/region_classifier_training.h by hand: one feature, so that each SVM is two
// numbers. test_rcnn.cpp trains whole systems.
#include <unistd.h>

#include <cmath>
#include <set>

#include "core/check.h"
#include "core/ops.h"
#include "detection/ridge.h"
#include "detection/training/region_classifier_training.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

/// The box whose feature is `f`: where it stands says it.
std::vector<Scalar> box_of(double f) {
  const auto x = static_cast<Scalar>(100 + 20 * f);
  return {x, 0, x + 16, 16};
}

/// Images that are nothing but the features of their truths, all of class 1, and proposals.
class Features : public Dataset {
 public:
  struct Row {
    std::vector<double> truths, proposals;
    std::vector<double> difficult = {};  ///< further truths
    std::int64_t difficult_label = 1;
  };
  explicit Features(std::vector<Row> rows) : rows_(std::move(rows)) {}
  std::int64_t size() const override { return static_cast<std::int64_t>(rows_.size()); }
  Sample get(std::int64_t index) const override {
    const Row& row = rows_[static_cast<std::size_t>(index)];
    const auto boxes = [](const std::vector<double>& features) {
      std::vector<Scalar> numbers;
      for (const double f : features)
        for (const Scalar v : box_of(f)) numbers.push_back(v);
      return Tensor({static_cast<std::int64_t>(features.size()), 4}, numbers);
    };
    std::vector<double> truths = row.difficult;  // first: numbers of truths are not those of rows
    truths.insert(truths.end(), row.truths.begin(), row.truths.end());
    std::vector<std::int64_t> labels(row.difficult.size(), row.difficult_label);
    labels.resize(truths.size(), 1);
    std::vector<bool> difficult(row.difficult.size(), true);
    difficult.resize(truths.size(), false);
    return {.image = Image(400, 16),
            .target = {.boxes = boxes(truths), .labels = labels, .difficult = difficult},
            .proposals = boxes(row.proposals)};
  }
  const std::vector<std::string>& class_names() const override { return names_; }

 private:
  std::vector<Row> rows_;
  std::vector<std::string> names_{"thing"};
};

struct Fitted {
  double weight, bias;
  RegionClassifierReport report;
  std::vector<Scalar> box_weight, box_bias;
};

/// `unit`: what a feature of 1 is in the network's numbers.
Fitted fit(const std::vector<Features::Row>& rows, const RegionClassifierOptions& options,
           double unit = 1) {
  const fs::path folder = fs::temp_directory_path() / concat("boxgrad_classifiers_", getpid());
  RegionClassifiers classifiers(1, 1, 1);
  const auto report = train_region_classifiers(
      classifiers, Features(rows), {},
      [&](const Tensor&, const Tensor& boxes) {
        Tensor features({boxes.size(0), 1});
        for (std::int64_t r = 0; r < boxes.size(0); ++r)
          features.set({r, 0}, (boxes.at({r, 0}) - 100) / 20 * static_cast<Scalar>(unit));
        return ClassifierFeatures{features, features.clone()};
      },
      folder, options);
  fs::remove_all(folder);
  return {double(classifiers.svm_weight.item()), double(classifiers.svm_bias.item()), report,
          classifiers.box_weight.to_vector(), classifiers.box_bias.to_vector()};
}

/// No violated margin pays: the widest gap between the kinds.
const LinearSvmOptions kHard{.c = 1e3, .tolerance = 1e-7, .max_passes = 100000};

}  // namespace

TEST_CASE("train_region_classifiers: one pass of hard negatives, by hand", "[rcnn][svm]") {
  // 1. {+1} against {-1, -5}: the widest gap is between +1 and -1, so score(f) = f. Then -5, with
  //    a score below -1.2, is forgotten; -1 is a support vector and stays.
  // 2. The second image's -3 scores -3: easy, not taken. 0 scores 0: hard.
  // 3. {+1} against {-1, 0}: score(f) = 2 f - 1.
  const Fitted mined = fit({{{1}, {-1, -5}}, {{}, {-3, 0}}}, {.svm = kHard});
  CHECK(mined.weight == Approx(2).epsilon(1e-3));
  CHECK(mined.bias == Approx(-1).epsilon(1e-3));
  CHECK(mined.report.positives == std::vector<std::int64_t>{1});
  CHECK(mined.report.negatives == std::vector<std::int64_t>{2});

  SECTION("what overlaps a truth by 0.3 is no negative, however hard") {
    // 10 px beside a truth of 16: IoU 6 / 26; 8 px beside it: 8 / 24 = 1/3.
    const Fitted near = fit({{{1}, {-1, -5}}, {{1}, {0.6, -3}}}, {.svm = kHard});
    CHECK(near.weight == Approx(1).epsilon(1e-3));
    CHECK(near.report.positives == std::vector<std::int64_t>{2});
    CHECK(near.report.negatives == std::vector<std::int64_t>{1});
    const Fitted far = fit({{{1}, {-1, -5}}, {{1}, {0.5, -3}}}, {.svm = kHard});
    CHECK(far.weight == Approx(4).epsilon(1e-3));  // the gap from 0.5 to 1
    CHECK(far.bias == Approx(-3).epsilon(1e-3));
  }
  SECTION("nor is what overlaps a difficult one, which is no positive either") {
    // As before: 8 px beside it are an IoU of 1/3, 10 px 6 / 26.
    const Fitted near = fit({{{1}, {-1, -5}}, {{}, {0.6, 0.2, -3}, {0.2}}}, {.svm = kHard});
    CHECK(near.weight == Approx(1).epsilon(1e-3));
    CHECK(near.bias == Approx(0).margin(1e-3));
    CHECK(near.report.positives == std::vector<std::int64_t>{1});
    CHECK(near.report.negatives == std::vector<std::int64_t>{1});
    const Fitted far = fit({{{1}, {-1, -5}}, {{}, {0.5, -3}, {0}}}, {.svm = kHard});
    CHECK(far.weight == Approx(4).epsilon(1e-3));
    // Of another class it is a thing like any other.
    const Fitted other = fit({{{1}, {-1, -5}}, {{}, {0.5, -3}, {0.5}, 2}}, {.svm = kHard});
    CHECK(other.weight == Approx(4).epsilon(1e-3));
    // Beside a truth that counts.
    const Fitted both = fit({{{1}, {-1, -5}}, {{1}, {0.1, -3}, {0.1}}}, {.svm = kHard});
    CHECK(both.weight == Approx(1).epsilon(1e-3));
    CHECK(both.report.positives == std::vector<std::int64_t>{2});
  }
  SECTION("without forgetting, all of the first image stay") {
    RegionClassifierOptions all{.svm = kHard, .evict_below = Scalar(-1e9)};
    const Fitted kept = fit({{{1}, {-1, -5}}, {{}, {-3, 0}}}, all);
    CHECK(kept.report.negatives == std::vector<std::int64_t>{3});
    CHECK(kept.weight == Approx(2).epsilon(1e-3));
  }
  SECTION("trained again on the way after so many new ones") {
    // Two hard ones in the second image; after them score(f) = 2 f - 1, for which the third image's
    // -0.2 (-1.4) is easy. At the end alone it would have been hard: -0.2 by score(f) = f.
    const std::vector<Features::Row> rows{{{1}, {-1}}, {{}, {0, -0.1}}, {{}, {-0.2}}};
    RegionClassifierOptions often{.svm = kHard, .retrain_after = 1};
    CHECK(fit(rows, often).report.negatives == std::vector<std::int64_t>{2});  // -1 went, too
    CHECK(fit(rows, {.svm = kHard}).report.negatives == std::vector<std::int64_t>{4});
  }
}

TEST_CASE("train_region_classifiers: features of a mean length of 20", "[rcnn][svm]") {
  // So small a C that both examples are inside the margin: alpha = 2 C for the positive, C for the
  // negative. Features are +-20 there and the bias's feature is 10, so
  //   w = 2 C 20 + C 20 = 60 C,   bias = 10 (2 C 10 - C 10) = 100 C;
  // the weight for features as they are is w 20 / |f|.
  const RegionClassifierOptions soft{.svm = {.c = 1e-4, .tolerance = 1e-9}};
  const std::vector<Features::Row> rows{{{1}, {-1}}};
  for (const double unit : {1., 2., 7.}) {
    const Fitted fitted = fit(rows, soft, unit);
    CHECK(fitted.weight == Approx(60e-4 * 20 / unit).epsilon(1e-4));
    CHECK(fitted.bias == Approx(100e-4).epsilon(1e-4));
  }
  RegionClassifierOptions as_they_are = soft;
  as_they_are.feature_norm = 1;  // w = 3 C
  CHECK(fit(rows, as_they_are).weight == Approx(3e-4).epsilon(1e-4));
}

TEST_CASE("train_region_classifiers: boxes are ridge regression over all images", "[rcnn][ridge]") {
  // Regions 2 px beside a truth overlap it by 14 / 18, 4 px by 12 / 20 = .6; the second image has
  // none but its truth, the third nothing at all. A difficult truth has no box to learn.
  const std::vector<Features::Row> rows{
      {{1}, {1.1, -1}}, {{2}, {-3}}, {{}, {0}}, {{-1, 3}, {-1.1, 3.1, 0.9}, {1}}};
  RegionClassifierOptions options;
  options.feature_norm = 1;
  options.ridge_lambda = 0.1;
  const Fitted fitted = fit(rows, options);
  const std::vector<double> features{1.1, 1, 2, -1.1, 3.1, -1, 3};
  const double lengths = 1.1 + 1 + 1 + 3 + 2 + 0 + 1.1 + 3.1 + 0.9 + 1 + 3, scale = 11 / lengths;
  Tensor x({7, 1}), y({7, 4});
  for (std::int64_t i = 0; i < 7; ++i)
    x.set({i, 0}, Scalar(features[static_cast<std::size_t>(i)] * scale));
  y.set({0, 0}, Scalar(-2. / 16)), y.set({3, 0}, Scalar(2. / 16)), y.set({4, 0}, Scalar(-2. / 16));
  const LinearMap map = fit_ridge(x, y, 0.1);
  for (std::size_t k = 0; k < 4; ++k) {
    CHECK(double(fitted.box_weight[k]) ==
          Approx(double(map.weight.data()[k]) * scale).epsilon(1e-4).margin(1e-6));
    CHECK(double(fitted.box_bias[k]) ==
          Approx(double(map.bias.data()[k])).epsilon(1e-4).margin(1e-6));
  }
  CHECK(fitted.box_weight[0] != 0);
  CHECK(fitted.report.box_megabytes > 7 * sizeof(Scalar) / 1e6);
  CHECK(fitted.report.regions == 11);
}

TEST_CASE("train_region_classifiers: box examples wait on the disk", "[rcnn]") {
  const fs::path folder = fs::temp_directory_path() / concat("boxgrad_box_examples_", getpid());
  RegionClassifiers classifiers(1, 1, 1);
  const auto features = [](const Tensor&, const Tensor& boxes) {
    return ClassifierFeatures{Tensor({boxes.size(0), 1}, Scalar(1)), slice(boxes, 1, 0, 1)};
  };
  train_region_classifiers(classifiers, Features({{{1}, {1.1, -1}}, {{}, {0}}, {{2}, {}}}), {},
                           features, folder);
  std::set<std::string> files;
  for (const auto& entry : fs::directory_iterator(folder / "boxes"))
    files.insert(entry.path().filename().string());
  CHECK(files ==
        std::set<std::string>{"0.features.safetensors", "2.features.safetensors"});  // not 1
  fs::remove_all(folder);
}

TEST_CASE("train_region_classifiers says what did not converge or cannot", "[rcnn][svm][errors]") {
  const std::vector<Features::Row> rows{{{1}, {-1}}};
  CHECK(fit(rows, {}).report.not_converged == 0);
  const LinearSvmOptions cut{.c = 1e3, .tolerance = 1e-12, .max_passes = 1};
  CHECK(fit(rows, {.svm = cut}).report.not_converged == 1);
  CHECK(fit({{{}, {-1}}}, {.svm = cut}).report.not_converged == 0);  // there is no SVM
  CHECK_THROWS_WITH(fit(rows, {}, NAN),
                    "train_region_classifiers: features must be finite; those of image 0 are not");
}
