// Tutorial 14: SSD. The sections are the README's.
#include <cstdio>
#include <iostream>

#include "core/charts.h"
#include "core/draw.h"
#include "core/program.h"
#include "core/report.h"
#include "detection/data/fashion_scenes.h"
#include "detection/data/transforms.h"
#include "detection/data/zoom.h"
#include "detection/draw.h"
#include "detection/evaluation.h"
#include "detection/models/ssd300.h"
#include "detection/models/ssd_inspect.h"
#include "detection/models/ssd_small.h"
#include "detection/training/run_report.h"
#include "detection/training/small_recipe.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// Section 4: a detector that differs from the first in one thing.
struct Way {
  std::string name;
  AnchorSampling sampling = AnchorSampling::ssd;
  int only_stride = 0;
  std::vector<Scalar> ratios{Scalar(0.5), 1, 2};
  bool zoom = false;
};

std::shared_ptr<Ssd> network(const Way& way, std::uint64_t seed) {
  manual_seed(seed);
  SsdSmallOptions options{.ratios = way.ratios, .only_stride = way.only_stride};
  options.ssd.num_classes = 10;
  options.ssd.sampling = way.sampling;
  return make_ssd_small(options);
}

/// Half of the scenes on a canvas of up to 1.6 times their sides, shrunk to theirs.
Sample zoomed(const Sample& sample, Random& random) {
  return resize(zoom_out(sample, random, {.max_ratio = 1.6, .fill = {89, 89, 89}}),
                sample.image.width(), sample.image.height());
}

/// Four scenes side by side, with what zoom_out and zoom_in made of them below.
Image zoom_sheet(const Dataset& scenes) {
  std::vector<Image> sheet(12);
  for (std::size_t i = 0; i < 4; ++i) {
    Random random(i);
    const Sample sample = scenes.get(std::int64_t(i));
    const Sample out = zoom_out(sample, random, {.chance = 1, .max_ratio = 2}),
                 in = zoom_in(sample, random, {.min_ious = {0.1, 0.3}});
    for (const auto& [row, s] : {std::pair{0, &sample}, {1, &out}, {2, &in}}) {
      auto [canvas, factor] = enlarged(s->image);
      draw_truths(canvas, s->target, scenes.class_names(), {.scale = double(factor)});
      sheet[std::size_t(4 * row) + i] = std::move(canvas);
    }
  }
  return image_grid(sheet, {}, {.columns = 4, .cell_width = 256, .cell_height = 256});
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "14_ssd", .about = "One network, all boxes of all maps, at once."});
  int iterations = 1500;
  std::string only;
  program.option("--iterations", iterations, "training steps of 8 scenes, for each way", 1);
  program.option("--only", only, "one of the ways, by its name");
  return program.run(argc, argv, [&] {
    const bool quick = program.quick();
    if (quick && !program.given("--iterations")) iterations = 6;
    SmallRecipe recipe{
        .iterations = iterations, .rate = 0.016, .trunk_factor = 1, .seed = program.seed()};
    const auto out = program.out();
    std::filesystem::create_directories(out / "images");

    // 1. Default boxes: SSD300's table, and the formula.
    const std::vector<AnchorLevel> levels = ssd300_levels();
    const std::vector<MapSize> maps = ssd300_maps();
    std::int64_t boxes = 0;
    for (std::size_t k = 0; k < levels.size(); ++k) {
      const auto count = std::int64_t(levels[k].sizes.size());
      boxes += maps[k].height * maps[k].width * count;
      std::printf("%2lld x %-2lld cells of %3.0f px, %lld boxes:", (long long)maps[k].height,
                  (long long)maps[k].width, double(levels[k].stride_px), (long long)count);
      for (const BoxSize& size : levels[k].sizes)
        std::printf(" %.0fx%.0f", double(size.width), double(size.height));
      std::printf("\n");
    }
    std::printf("together %lld\n", (long long)boxes);
    for (const Scalar s : ssd_scales(5, Scalar(.2), Scalar(.9))) std::printf("%.3f ", double(s));
    std::printf("of the side by the formula, five maps\n");
    const int step = (90 - 20) / 4;  // the published script's, in whole percents
    for (int percent = 20; percent <= 90; percent += step) std::printf("%5.2f ", .01 * percent);
    std::printf("with a step of whole percents\n");
    Image cell(600, 600, Color{255, 255, 255});
    const Color colors[] = {kPositiveColor, kNegativeColor, kIgnoredColor};
    for (const std::size_t k : {1, 2, 3}) {  // the boxes of a middle cell of three maps
      std::vector<Scalar> corners;
      for (const BoxSize& s : levels[k].sizes)
        corners.insert(corners.end(),
                       {300 - s.width, 300 - s.height, 300 + s.width, 300 + s.height});
      draw_boxes(cell, Tensor({std::int64_t(corners.size() / 4), 4}, corners), colors[k - 1]);
    }
    cell.write_png(out / "images/cell.png");

    // 2. Matching: two truths that want the same box.
    const Tensor iou({2, 3}, {.6, .45, .1, .7, .2, .1});
    const Matches matched = ssd_match(iou);
    std::printf("truth of each box:");
    for (const std::int64_t truth : matched.truth) std::printf(" %lld", (long long)truth);
    std::printf("\n");

    // 3. Mining by hand: two positives, five negatives.
    const std::vector<std::int64_t> truth{0, -1, -1, 1, -1, -1, -1};
    const std::vector<Scalar> losses{9, .1, .7, 9, .3, 2, .2};
    const Selection chosen = mine_hard_negatives(truth, losses, {.negatives_per_positive = 1.5});
    std::printf("negatives that learn:");
    for (const std::int64_t a : chosen.negatives) std::printf(" %lld", (long long)a);
    std::printf("\n");

    // 4. One thing at a time.
    const FashionScenes train_scenes = FashionScenes::train(program.seed() + 100),
                        val(FashionScenes::Split::val, FashionScenes::kValSeed, quick ? 20 : 500);
    zoom_sheet(train_scenes).write_png(out / "images/zoom.png");
    const std::vector<Way> ways{{"ssd"},
                                {"no_mining", AnchorSampling::all},
                                {"mean", AnchorSampling::mean},
                                {"stride_8", AnchorSampling::ssd, 8},
                                {"stride_16", AnchorSampling::ssd, 16},
                                {"squares", AnchorSampling::ssd, 0, {1}},
                                {"zoom_out", AnchorSampling::ssd, 0, {Scalar(0.5), 1, 2}, true}};
    std::shared_ptr<Ssd> first;
    for (const Way& way : ways) {
      if (!only.empty() && only != way.name) continue;
      const auto model = network(way, program.seed());
      nn::AdamW optimizer(*model, recipe.optimizer());
      const TrainingSummary summary =
          train(*model, optimizer, train_scenes, way.zoom ? Transform(zoomed) : Transform(),
                recipe.preparation(), recipe.training());
      const Answers answers = detect_all(*model, val, recipe.preparation());
      const EvaluationResult result = evaluate_detections(answers.detections, answers.targets, 10);
      std::printf("%-10s %5lld boxes, AP50 %.3f, whatever the class %.3f; %.0f s\n",
                  way.name.c_str(), (long long)model->last_anchors().size(0),
                  result.mean_ap.value_or(0), result.class_agnostic.ap.value_or(0),
                  summary.seconds);
      std::fflush(stdout);
      if (!first) first = model;
    }
    if (!first) throw std::invalid_argument("--only: there is no way \"" + only + "\"");

    // 5. Which map finds which size?
    std::vector<Sample> samples;
    for (std::int64_t i = 0; i < std::min<std::int64_t>(200, val.size()); ++i)
      samples.push_back(val.get(i));
    const std::vector<std::string> sizes{"16-24", "24-32", "32-40", "40-48", "48-56", "56-64"};
    std::vector<Bars> bars{{"stride 8", {}}, {"stride 16", {}}, {"not found", {}}};
    for (Bars& group : bars) group.values.assign(sizes.size(), 0);
    const std::vector<AnchorLevel>& strides = first->options().levels;  // one map or both
    for (const FoundBy& found : found_by(*first, recipe.preparation().make_batch(samples))) {
      const auto bin = std::clamp<int>(int(found.side_px / 8) - 2, 0, int(sizes.size()) - 1);
      const int row = found.level < 0 ? 2 : strides[std::size_t(found.level)].stride_px > 8;
      bars[std::size_t(row)].values[std::size_t(bin)] += 1;
    }
    std::printf("side, px   stride 8  stride 16  not found\n");
    for (std::size_t bin = 0; bin < sizes.size(); ++bin)
      std::printf("%-9s %9.0f %10.0f %10.0f\n", sizes[bin].c_str(), bars[0].values[bin],
                  bars[1].values[bin], bars[2].values[bin]);

    Report report("14 SSD");
    report.section("Default boxes")
        .picture({"images/cell.png", "The boxes of one cell of 19 x 19, 10 x 10 and 5 x 5."});
    report.section("Zoom").picture({"images/zoom.png", "Scenes; zoomed out; zoomed in."});
    report.section("Which map finds which size")
        .svg(bar_chart(sizes, bars, {.x_label = "side of the truth, px", .y_label = "truths"}));
    report.write(out / "index.html");
    std::cout << "pictures: " << (out / "index.html").string() << "\n";
  });
}
