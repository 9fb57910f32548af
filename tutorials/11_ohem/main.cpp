// Tutorial 11: online hard example mining. The sections are the README's.
#include <algorithm>
#include <cstdio>
#include <iostream>

#include "core/charts.h"
#include "core/files.h"
#include "core/program.h"
#include "core/report.h"
#include "detection/evaluation.h"
#include "detection/models/region_inspect.h"
#include "detection/training/claims.h"
#include "detection/training/fast_rcnn_presets.h"
#include "detection/training/region_recorder.h"
#include "detection/training/region_task.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

struct Run {
  const char* name;
  RegionSelection selection;
  Scalar negative_low;
  OhemOptions ohem = {.size = 128};
};

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "11_ohem", .about = "Which regions are worth a step, and who decides."});
  int iterations = 800;
  std::string only = "each";
  program.option("--iterations", iterations, "training steps of two images, for each run", 1);
  program.choice("--only", only, {"each", "sampled", "bg_lo_0", "all", "ohem", "notes", "no_nms"},
                 "one of the runs; each: all but no_nms");
  return program.run(argc, argv, [&] {
    const bool quick = program.quick();
    if (quick) iterations = 6;
    const auto out = program.out();
    std::filesystem::create_directories(out / "images");

    // 1. Five steps on six regions: the authors' own example.
    const Tensor six({6, 4}, {0, 0, 10, 10, 1,  0,  11, 10, 20, 20, 30, 30,
                              0, 0, 10, 10, 40, 40, 50, 50, 60, 60, 70, 70});
    const auto pick = [&](const char* name, const OhemOptions& options) {
      std::string letters;
      for (const std::int64_t r :
           ohem_select(six, std::vector<std::int64_t>(6, 0), {1, 1, 0, 0, 0, 2},
                       {2, 1.9, .5, 1.5, .1, .9}, options))
        letters += concat(' ', "abcdef"[r]);
      std::cout << name << letters << "\n";
    };
    pick("suppress, then take 3:", {.size = 3});
    pick("take 3, then suppress:", {.size = 3, .suppress_first = false});
    pick("take 3:", {.size = 3, .suppress = false});

    // 3. The same task and the same number of steps for every way to choose.
    const RegionTask task(out.parent_path() / "region_task",
                          quick ? RegionTaskOptions::quick() : RegionTaskOptions{});
    std::cout << task.seconds_text() << "\n";
    const std::vector<Run> runs{
        {"sampled", RegionSelection::sampled, Scalar(0.1)},
        {"bg_lo_0", RegionSelection::sampled, 0},
        {"all", RegionSelection::all, 0},
        {"ohem", RegionSelection::ohem, 0},
        {"notes", RegionSelection::ohem, 0, {.size = 128, .suppress_first = false}},
        {"no_nms", RegionSelection::ohem, 0, {.size = 128, .suppress = false}}};
    std::vector<Series> ratios, losses;
    std::vector<Picture> pictures;
    std::string table;
    for (const Run& run : runs) {
      if (only == "each" ? run.name == std::string("no_nms") : only != run.name) continue;
      manual_seed(program.seed());
      const auto backbone = task.backbone();
      backbone->freeze_through("conv1_2");
      FastRcnnPreset preset = fast_rcnn_preset("narrow", task.num_classes());  // lesson 09's
      preset.iterations = iterations;
      preset.model.regions.negative_low = run.negative_low;
      preset.model.selection = run.selection;
      preset.model.ohem = run.ohem;
      FastRcnn model(backbone, preset.model);
      model.set_target_statistics(dataset_target_statistics(task.train, {}));
      nn::SGD sgd(model, preset.sgd);
      RegionRecorder recorder(model, std::max(1, iterations / 30));
      Series loss{.name = run.name};
      const std::int64_t looks = std::max(1, iterations / 8);
      TrainerOptions options = preset.training();
      options.seed = program.seed();
      options.checkpoint_every = 0;
      options.on_step = [&](std::int64_t iteration, const DetectorLoss& step) {
        recorder(iteration, step);
        if (iteration % looks != 0) return;
        loss.x.push_back(double(iteration));  // 3. The loss of all regions, whoever learns.
        loss.y.push_back(mean_region_loss(model, task.val, {}, 50).mean);
      };
      const TrainingSummary training =
          train(model, sgd, task.train, preset.augmentation(), {}, options);
      const Answers answers = detect_all(model, task.val, {});
      const EvaluationResult result =
          evaluate_detections(answers.detections, answers.targets, task.num_classes());
      const RegionLosses all = mean_region_loss(model, task.val, {});
      char row[200];
      std::snprintf(row, sizeof row,
                    "%-8s AP50 %.3f, whatever the class %.3f; loss of all regions "
                    "%.3f (objects %.2f, background %.3f); %.0f s",
                    run.name, result.mean_ap.value_or(0), result.class_agnostic.ap.value_or(0),
                    all.mean, all.objects, all.background, training.seconds);
      std::cout << row << std::endl;
      table += concat(row, "\n");

      // 4. Who was chosen.
      Series ratio{.name = run.name};
      for (const RegionRecord& r : recorder.records()) {
        ratio.x.push_back(double(r.iteration));
        ratio.y.push_back(r.chosen_ratio());
      }
      const RegionRecord& last = recorder.records().back();
      const std::size_t fifth = std::max<std::size_t>(1, ratio.y.size() / 5);
      std::printf(
          "         a step: %.0f read, %.0f suppressed, %.0f chosen; background for each object: "
          "%.1f read, %.1f chosen in the first fifth, %.1f in the last\n",
          last.read, last.suppressed, last.chosen, last.read_ratio(),
          mean_of({ratio.y.begin(), ratio.y.begin() + std::ptrdiff_t(fifth)}),
          mean_of({ratio.y.end() - std::ptrdiff_t(fifth), ratio.y.end()}));
      ratios.push_back(std::move(ratio));
      losses.push_back(std::move(loss));
      write_file_atomically(out / concat(run.name, ".csv"), recorder.to_csv());

      // 2. One step, region by region, through the eyes of the network that was trained by it.
      if (run.selection != RegionSelection::ohem) continue;
      const std::vector<Sample> two{task.train.get(0), task.train.get(1)};
      Random random(program.seed());
      model.loss(collate(two), random);
      pictures.push_back({concat("images/strip_", run.name, ".png"),
                          concat(run.name, ": each region's loss, hardest first")});
      region_loss_strip(model.last_step()).write_png(out / pictures.back().path);
      pictures.push_back({concat("images/regions_", run.name, ".png"), "The same on the images"});
      region_sheet(model.last_step(), two).write_png(out / pictures.back().path);
    }
    Report report(
        "11 Online hard example mining",
        "green: chosen object, red: chosen background, amber: suppressed, grey: too easy");
    report.section("Every way to choose").preformatted(table);
    report.svg(
        line_chart(ratios, {.x_label = "step", .y_label = "background for each object, chosen"}));
    report.svg(line_chart(losses, {.x_label = "step", .y_label = "mean loss of all regions"}));
    report.section("One step").pictures(pictures, 600).write(out / "index.html");
    std::cout << "pictures: " << (out / "index.html").string() << "\n";
  });
}
