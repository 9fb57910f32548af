#include "detection/coco_evaluation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/check.h"
#include "core/ops.h"
#include "detection/evaluation.h"

namespace boxgrad::detection {
namespace {

constexpr int kThresholds = 10, kRecalls = 101;
constexpr std::size_t kMostDetections = 100;  // of an image and class

/// .50, .55, ..., .95 with the bits of numpy.linspace(.5, .95, 10), which the published code uses.
double threshold(int t) { return t == kThresholds - 1 ? 0.95 : 0.5 + t * ((0.95 - 0.5) / 9); }
double recall_point(int r) { return r == kRecalls - 1 ? 1 : r * 0.01; }

struct AreaRange {
  double low, high;
  bool contains(double area) const { return area >= low && area <= high; }
};
constexpr std::array<AreaRange, 4> kAreas{
    {{0, 1e10}, {0, 32 * 32}, {32 * 32, 96 * 96}, {96 * 96, 1e10}}};

double area_of(const Scalar* box) {
  return (static_cast<double>(box[2]) - static_cast<double>(box[0])) *
         (static_cast<double>(box[3]) - static_cast<double>(box[1]));
}

double coco_iou(const Scalar* detection, const Scalar* truth, bool crowd) {
  const auto both = [&](int low, int high) {
    return static_cast<double>(std::min(detection[high], truth[high])) -
           static_cast<double>(std::max(detection[low], truth[low]));
  };
  const double w = both(0, 2), h = both(1, 3);
  if (!(w > 0 && h > 0)) return 0;
  return w * h / (crowd ? area_of(detection) : area_of(detection) + area_of(truth) - w * h);
}

/// One class's truths and detections in one image.
struct ClassInImage {
  struct Truth {
    double area;
    bool crowd, ignored;
  };
  std::vector<Truth> truths;
  std::vector<Scalar> scores;       // of the detections, best first
  std::vector<double> areas, ious;  // of the detections; [detections, truths]
};

/// What became of a detection; bit t is about threshold t.
struct Judged {
  Scalar score = 0;
  std::size_t rank = 0;  ///< in its image
  std::uint16_t hit = 0, ignored = 0;
};

/// All that one figure is made of.
struct Pool {
  std::vector<Judged> detections;
  std::int64_t truths = 0;  ///< that are not ignored
};

ClassInImage gather(const Detections& found, const Target& target, std::int64_t label) {
  ClassInImage result;
  std::vector<std::size_t> truths, own;
  for (std::size_t g = 0; g < target.labels.size(); ++g) {
    if (target.labels[g] != label) continue;
    truths.push_back(g);
    const bool crowd = g < target.crowd.size() && target.crowd[g];
    const bool difficult = g < target.difficult.size() && target.difficult[g];
    result.truths.push_back(
        {g < target.areas.size() ? target.areas[g] : area_of(&target.boxes.data()[4 * g]), crowd,
         crowd || difficult});
  }
  std::vector<Scalar> scores;
  for (std::size_t d = 0; d < found.labels.size(); ++d)
    if (found.labels[d] == label) {
      own.push_back(d);
      scores.push_back(std::isnan(found.scores[d]) ? -std::numeric_limits<Scalar>::infinity()
                                                   : found.scores[d]);
    }
  std::vector<std::int64_t> order = argsort_descending(scores);
  order.resize(std::min(order.size(), kMostDetections));
  for (const std::int64_t i : order) {
    const Scalar* box = &found.boxes.data()[4 * own[static_cast<std::size_t>(i)]];
    result.scores.push_back(scores[static_cast<std::size_t>(i)]);
    result.areas.push_back(area_of(box));
    for (std::size_t g = 0; g < truths.size(); ++g)
      result.ious.push_back(
          coco_iou(box, &target.boxes.data()[4 * truths[g]], result.truths[g].crowd));
  }
  return result;
}

/// Matches one image's detections to its truths for one range of areas, and adds them to the pool.
void match(const ClassInImage& image, const AreaRange& range, Pool& pool) {
  const std::size_t truths = image.truths.size(), first = pool.detections.size();
  std::vector<bool> ignored(truths);
  std::vector<std::size_t> order;  // those that count, then the others
  for (std::size_t g = 0; g < truths; ++g)
    ignored[g] = image.truths[g].ignored || !range.contains(image.truths[g].area);
  for (const bool pass : {false, true})
    for (std::size_t g = 0; g < truths; ++g)
      if (ignored[g] == pass) order.push_back(g);
  pool.truths += std::ranges::count(ignored, false);

  for (std::size_t d = 0; d < image.scores.size(); ++d)
    pool.detections.push_back({.score = image.scores[d], .rank = d});
  for (int t = 0; t < kThresholds; ++t) {
    const auto bit = static_cast<std::uint16_t>(1u << t);
    std::vector<bool> taken(truths, false);
    for (std::size_t d = 0; d < image.scores.size(); ++d) {
      double best = std::min(threshold(t), 1 - 1e-10);
      std::size_t chosen = truths;
      for (const std::size_t g : order) {
        if (taken[g] && !image.truths[g].crowd) continue;
        // A truth that counts is kept, whatever the overlap with those that do not.
        if (chosen < truths && !ignored[chosen] && ignored[g]) break;
        if (image.ious[d * truths + g] < best) continue;
        best = image.ious[d * truths + g];
        chosen = g;
      }
      Judged& judged = pool.detections[first + d];
      if (chosen < truths) {
        taken[chosen] = true;
        (ignored[chosen] ? judged.ignored : judged.hit) |= bit;
      } else if (!range.contains(image.areas[d])) {
        judged.ignored |= bit;
      }
    }
  }
}

struct Curve {
  double ap = 0, recall = 0;
};

/// AP and recall at threshold t of the best `most` detections of each image.
Curve curve(const Pool& pool, int t, std::size_t most) {
  std::vector<double> recall, precision;
  std::int64_t hits = 0, wrong = 0;
  for (const Judged& judged : pool.detections) {  // best score first
    if (judged.rank >= most) continue;
    if (!(judged.ignored >> t & 1)) ++(judged.hit >> t & 1 ? hits : wrong);
    recall.push_back(static_cast<double>(hits) / static_cast<double>(pool.truths));
    precision.push_back(static_cast<double>(hits) / (static_cast<double>(hits + wrong) +
                                                     std::numeric_limits<double>::epsilon()));
  }
  for (std::size_t k = precision.size(); k > 1; --k)
    precision[k - 2] = std::max(precision[k - 2], precision[k - 1]);
  Curve result{.recall = recall.empty() ? 0 : recall.back()};
  for (int r = 0; r < kRecalls; ++r) {
    const auto at = std::ranges::lower_bound(recall, recall_point(r));
    if (at != recall.end())
      result.ap += precision[static_cast<std::size_t>(at - recall.begin())] / kRecalls;
  }
  return result;
}

/// The mean over all thresholds.
Curve mean_curve(const Pool& pool, std::size_t most) {
  Curve mean;
  for (int t = 0; t < kThresholds; ++t) {
    const Curve one = curve(pool, t, most);
    mean.ap += one.ap / kThresholds;
    mean.recall += one.recall / kThresholds;
  }
  return mean;
}

CocoFigures class_figures(const std::vector<ClassInImage>& images) {
  std::array<Pool, kAreas.size()> pools;
  for (std::size_t a = 0; a < kAreas.size(); ++a) {
    for (const ClassInImage& image : images) match(image, kAreas[a], pools[a]);
    std::ranges::stable_sort(pools[a].detections, std::greater{}, &Judged::score);
  }
  CocoFigures figures;
  const auto& [all, small, medium, large] = pools;
  if (all.truths > 0) {
    const Curve mean = mean_curve(all, kMostDetections);
    figures.ap = mean.ap;
    figures.ap50 = curve(all, 0, kMostDetections).ap;
    figures.ap75 = curve(all, 5, kMostDetections).ap;
    figures.ar1 = mean_curve(all, 1).recall;
    figures.ar10 = mean_curve(all, 10).recall;
    figures.ar100 = mean.recall;
  }
  const auto by_area = [](const Pool& pool, std::optional<double>& ap, std::optional<double>& ar) {
    if (pool.truths == 0) return;
    const Curve mean = mean_curve(pool, kMostDetections);
    ap = mean.ap;
    ar = mean.recall;
  };
  by_area(small, figures.ap_small, figures.ar_small);
  by_area(medium, figures.ap_medium, figures.ar_medium);
  by_area(large, figures.ap_large, figures.ar_large);
  return figures;
}

constexpr std::array kFigures{
    std::pair{"AP", &CocoFigures::ap},         std::pair{"AP50", &CocoFigures::ap50},
    std::pair{"AP75", &CocoFigures::ap75},     std::pair{"APs", &CocoFigures::ap_small},
    std::pair{"APm", &CocoFigures::ap_medium}, std::pair{"APl", &CocoFigures::ap_large},
    std::pair{"AR1", &CocoFigures::ar1},       std::pair{"AR10", &CocoFigures::ar10},
    std::pair{"AR100", &CocoFigures::ar100},   std::pair{"ARs", &CocoFigures::ar_small},
    std::pair{"ARm", &CocoFigures::ar_medium}, std::pair{"ARl", &CocoFigures::ar_large}};

}  // namespace

std::vector<std::pair<std::string, std::optional<double>>> CocoFigures::named() const {
  std::vector<std::pair<std::string, std::optional<double>>> result;
  for (const auto& [name, member] : kFigures) result.emplace_back(name, this->*member);
  return result;
}

CocoResult evaluate_coco(const std::vector<Detections>& detections,
                         const std::vector<Target>& targets, std::int64_t num_classes) {
  check_answers("evaluate_coco", detections, targets, num_classes);
  for (std::size_t n = 0; n < targets.size(); ++n)
    check((targets[n].crowd.empty() || targets[n].crowd.size() == targets[n].labels.size()) &&
              (targets[n].areas.empty() || targets[n].areas.size() == targets[n].labels.size()),
          "evaluate_coco: crowd flags and areas of image ", n, " must be one per truth or none");
  CocoResult result;
  for (std::int64_t label = 1; label <= num_classes; ++label) {
    std::vector<ClassInImage> images;
    for (std::size_t n = 0; n < targets.size(); ++n)
      images.push_back(gather(detections[n], targets[n], label));
    result.classes.push_back(class_figures(images));
  }
  for (const auto& [name, member] : kFigures) {
    double sum = 0;
    int count = 0;
    for (const CocoFigures& figures : result.classes)
      if (const std::optional<double>& value = figures.*member) {
        sum += *value;
        ++count;
      }
    if (count > 0) result.all.*member = sum / count;
  }
  return result;
}

}  // namespace boxgrad::detection
