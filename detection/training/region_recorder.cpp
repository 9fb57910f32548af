#include "detection/training/region_recorder.h"

#include <algorithm>
#include <numeric>
#include <sstream>

#include "core/check.h"
#include "layers/module.h"

namespace boxgrad::detection {

namespace {

double background_per_object(double regions, double objects) {
  return objects > 0 ? (regions - objects) / objects : 0;
}

}  // namespace

double RegionRecord::read_ratio() const { return background_per_object(read, read_objects); }
double RegionRecord::chosen_ratio() const { return background_per_object(chosen, chosen_objects); }

RegionRecorder::RegionRecorder(const FastRcnn& model, std::int64_t every)
    : model_(model), every_(every) {
  check(every >= 1, "RegionRecorder: every must be >= 1, got ", every);
}

void RegionRecorder::operator()(std::int64_t iteration, const DetectorLoss&) {
  const RegionStep& step = model_.last_step();
  sums_.read += static_cast<double>(step.labels.size());
  sums_.read_objects +=
      static_cast<double>(std::ranges::count_if(step.labels, [](std::int64_t l) { return l > 0; }));
  sums_.suppressed += static_cast<double>(step.suppressed.size());
  sums_.chosen += static_cast<double>(step.chosen.size());
  sums_.chosen_objects += static_cast<double>(step.chosen_positives());
  if (!step.losses.empty()) {
    const double all = std::accumulate(step.losses.begin(), step.losses.end(), 0.0);
    const auto mean_of = [&](const std::vector<std::int64_t>& regions) {
      double sum = 0;
      for (const std::int64_t r : regions)
        sum += static_cast<double>(step.losses[static_cast<std::size_t>(r)]);
      return regions.empty() ? 0 : sum / static_cast<double>(regions.size());
    };
    sums_.read_loss += all / static_cast<double>(step.losses.size());
    sums_.suppressed_loss += mean_of(step.suppressed);
    sums_.chosen_loss += mean_of(step.chosen);
  }
  if (++steps_ < every_) return;
  const auto n = static_cast<double>(steps_);
  records_.push_back({.iteration = iteration,
                      .read = sums_.read / n,
                      .read_objects = sums_.read_objects / n,
                      .suppressed = sums_.suppressed / n,
                      .chosen = sums_.chosen / n,
                      .chosen_objects = sums_.chosen_objects / n,
                      .read_loss = sums_.read_loss / n,
                      .suppressed_loss = sums_.suppressed_loss / n,
                      .chosen_loss = sums_.chosen_loss / n});
  sums_ = {};
  steps_ = 0;
}

std::string RegionRecorder::to_csv() const {
  std::ostringstream text;
  text << "iteration,read,read_objects,suppressed,chosen,chosen_objects,read_loss,"
          "suppressed_loss,chosen_loss\n";
  for (const RegionRecord& r : records_)
    text << r.iteration << ',' << r.read << ',' << r.read_objects << ',' << r.suppressed << ','
         << r.chosen << ',' << r.chosen_objects << ',' << r.read_loss << ',' << r.suppressed_loss
         << ',' << r.chosen_loss << '\n';
  return text.str();
}

RegionLosses mean_region_loss(FastRcnn& model, const Dataset& dataset,
                              const Preparation& preparation, std::int64_t count,
                              const RegionOptions& regions) {
  const std::int64_t images = count < 0 ? dataset.size() : std::min(count, dataset.size());
  const nn::EvaluationMode mode(model);
  RegionLosses result;
  for (std::int64_t first = 0; first < images; first += 8) {
    std::vector<Sample> samples;
    for (std::int64_t i = first; i < std::min(first + 8, images); ++i)
      samples.push_back(dataset.get(i));
    const RegionStep step = model.read_regions(preparation.make_batch(std::move(samples)), regions);
    for (std::size_t r = 0; r < step.labels.size(); ++r) {
      const bool object = step.labels[r] > 0;
      (object ? result.objects : result.background) += static_cast<double>(step.losses[r]);
      ++result.count;
      result.object_count += object;
    }
  }
  const auto mean = [](double sum, std::int64_t n) {
    return n > 0 ? sum / static_cast<double>(n) : 0;
  };
  result.mean = mean(result.objects + result.background, result.count);
  result.objects = mean(result.objects, result.object_count);
  result.background = mean(result.background, result.count - result.object_count);
  return result;
}

}  // namespace boxgrad::detection
