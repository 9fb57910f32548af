// The figures of docs/proposals.md: build/bin/tests "[.proposal_figures]" prints the tables and
// draws the pictures anew. Hidden: a plain run of the tests leaves it out.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>

#include "core/charts.h"
#include "core/files.h"
#include "core/parallel.h"
#include "detection/data/fashion_scenes.h"
#include "detection/proposals/draw_proposals.h"
#include "detection/proposals/proposals.h"
#include "detection/proposals/selective_search.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

constexpr std::int64_t kScenes = 100;
constexpr std::int64_t kLimits[] = {10, 50, 100, 200, 500, 1000, 2000};

/// One row of a table; the method's curve goes into `recall`.
std::vector<Tensor> measure(const char* name, const std::vector<Sample>& samples,
                            const std::function<Tensor(const Sample&, std::int64_t)>& propose,
                            std::vector<Series>& recall) {
  using Clock = std::chrono::steady_clock;
  std::vector<Tensor> proposals;
  std::vector<Target> targets;
  std::vector<double> ms;
  double boxes = 0;
  for (const Sample& sample : samples) {
    const auto start = Clock::now();
    proposals.push_back(propose(sample, static_cast<std::int64_t>(proposals.size())));
    ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    boxes += static_cast<double>(proposals.back().size(0));
    targets.push_back(sample.target);
  }
  std::ranges::sort(ms);
  Series curve{.name = name, .markers = true};
  std::printf("| %-28s | %5.0f | %5.1f |", name, boxes / static_cast<double>(samples.size()),
              ms[ms.size() / 2]);
  for (const ProposalScore& s : proposal_scores(proposals, targets, kLimits)) {
    std::printf(" %.2f / %.2f |", s.recall, s.mabo);
    if (!curve.x.empty() && s.mean_boxes == curve.x.back()) continue;  // no more boxes
    curve.x.push_back(s.mean_boxes);
    curve.y.push_back(s.recall);
  }
  std::printf("\n");
  recall.push_back(curve);
  return proposals;
}

void measure_all(const std::string& preset, bool pictures) {
  const FashionScenes scenes = FashionScenes::val(FashionScenesOptions::preset(preset));
  std::vector<Sample> samples;
  for (std::int64_t i = 0; i < kScenes; ++i) samples.push_back(scenes.get(i));
  std::printf("\n%s: boxes, median ms, recall / MABO of the first", preset.c_str());
  for (const std::int64_t limit : kLimits) std::printf(" %d", static_cast<int>(limit));
  std::printf("\n");

  std::vector<Series> recall;
  const auto search = [&](const char* name, const char* options_name, int width) {
    SelectiveSearchOptions options = SelectiveSearchOptions::preset(options_name);
    options.resize_width_px = width;
    return measure(
        name, samples,
        [&](const Sample& sample, std::int64_t) { return selective_search(sample.image, options); },
        recall);
  };
  search("selective search, single", "single", 0);
  const std::vector<Tensor> fast = search("selective search, fast", "fast", 0);
  search("fast, at twice the size", "fast", 256);
  search("selective search, quality", "quality", 0);
  measure(
      "grid", samples,
      [](const Sample& s, std::int64_t) {
        return grid_proposals(s.image.width(), s.image.height());
      },
      recall);
  measure(
      "random", samples,
      [](const Sample& s, std::int64_t i) {
        Random random(0, static_cast<std::uint64_t>(i));
        return random_proposals(s.image.width(), s.image.height(), 2000, random);
      },
      recall);
  if (!pictures) return;
  write_file_atomically("docs/images/proposals_recall.svg",
                        line_chart(recall, {.x_label = "boxes per picture",
                                            .y_label = "recall at IoU 0.5",
                                            .log_x = true,
                                            .y_min = 0,
                                            .y_max = 1}));
  best_proposals_sheet(std::span(samples).first(6), std::span(fast).first(6))
      .write_png("docs/images/proposals_best.png");
}

}  // namespace

TEST_CASE("figures of docs/proposals.md", "[.proposal_figures]") {
  const int before = num_threads();
  set_num_threads(1);
  measure_all("pinned", true);
  measure_all("colour", false);
  set_num_threads(before);

  const Image scene = FashionScenes::val(FashionScenesOptions::preset("colour")).get(3).image;
  const auto hierarchy =
      selective_search_hierarchies(scene, SelectiveSearchOptions::preset("fast")).front();
  const std::int32_t levels[] = {hierarchy.segmentation.count, 40, 20, 10, 5};
  draw_hierarchy(scene, hierarchy, levels, RegionPaint::distinct)
      .write_png("docs/images/proposals_hierarchy.png");
}
