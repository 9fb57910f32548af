// Tutorial 09: Fast R-CNN. The sections are the README's.
#include <cstdio>
#include <iostream>

#include "core/draw.h"
#include "core/ops.h"
#include "core/program.h"
#include "core/progress.h"
#include "core/report.h"
#include "core/serialize.h"
#include "detection/draw.h"
#include "detection/models/fast_rcnn.h"
#include "detection/proposals/proposals.h"
#include "detection/training/evaluate.h"
#include "detection/training/fast_rcnn_presets.h"
#include "detection/training/region_task.h"
#include "detection/training/run_report.h"
#include "layers/sgd.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

struct Settings {
  int scenes = 2000, iterations = 3000;
  double rate = 0.01, lambda = 1;
  std::string selection = "sampled", freeze = "conv1_2";
};

/// The regions of a step on their images: chosen objects green, chosen background red.
Image regions_sheet(const RegionStep& step, const std::vector<Sample>& samples) {
  std::vector<Image> sheet;
  for (std::size_t n = 0; n < samples.size(); ++n) {
    auto [canvas, factor] = enlarged(samples[n].image);
    for (const bool object : {false, true})
      for (const std::int64_t r : step.chosen)
        if (step.rois.at({r, 0}) == Scalar(n) && (step.labels[std::size_t(r)] > 0) == object)
          draw_boxes(canvas, slice(slice(step.rois, 0, r, r + 1), 1, 1, 5),
                     object ? kPositiveColor : kNegativeColor,
                     {.scale = double(factor), .thickness = 1});
    sheet.push_back(std::move(canvas));
  }
  return image_grid(sheet);
}

}  // namespace

int main(int argc, char** argv) {
  Program program(
      {.name = "09_fast_rcnn", .about = "One map for all regions of an image, trained whole."});
  Settings settings;
  program.option("--scenes", settings.scenes, "training scenes", 2);
  program.option("--iterations", settings.iterations, "training steps of two images", 1);
  program.option("--rate", settings.rate, "learning rate", 0);
  program.option("--lambda", settings.lambda, "weight of the box loss", 0);
  program.choice("--selection", settings.selection, {"sampled", "ohem", "all"},
                 "which regions learn");
  program.choice("--freeze", settings.freeze, {"none", "conv1_2", "conv4_3"},
                 "the last layer that stays as it is");
  return program.run(argc, argv, [&] {
    const bool quick = program.quick();
    if (quick) settings.iterations = 10;
    const auto out = program.out();
    std::filesystem::create_directories(out / "images");

    // 1. Scenes, where objects may be, and (2.) a network that has seen such things before.
    const RegionTask task(
        out.parent_path() / "region_task",
        quick ? RegionTaskOptions::quick() : RegionTaskOptions{.train_scenes = settings.scenes});
    std::cout << task.seconds_text() << "\n";
    const auto score = proposal_scores(task.val.proposals(), targets_of(task.val),
                                       std::vector<std::int64_t>{1000});
    std::printf("selective search: %.0f boxes an image, recall %.3f\n", score[0].mean_boxes,
                score[0].recall);
    const auto backbone = task.backbone();

    // 3. Fast R-CNN on top of it.
    if (settings.freeze != "none") backbone->freeze_through(settings.freeze);
    FastRcnnPreset preset = fast_rcnn_preset("narrow", task.num_classes());
    preset.iterations = settings.iterations;
    preset.sgd.rate = settings.rate;
    FastRcnnOptions& options = preset.model;
    options.lambda = settings.lambda;
    if (settings.selection == "all") options.selection = RegionSelection::all;
    if (settings.selection == "ohem") {
      options.selection = RegionSelection::ohem;
      options.regions.negative_low = 0;
    }
    FastRcnn model(backbone, options);
    model.set_target_statistics(dataset_target_statistics(task.train, options.regions));
    const std::vector<Sample> two{task.train.get(0), task.train.get(1)};
    Random random(program.seed());
    const DetectorLoss first = model.loss(collate(two), random);
    std::cout << "two images: " << model.last_step().labels.size() << " labelled regions, "
              << first.positives << " + " << first.negatives << " of them learn\n";
    regions_sheet(model.last_step(), two).write_png(out / "images/regions.png");

    // 4. Training.
    nn::SGD sgd(model, preset.sgd);
    TrainerOptions training = preset.training();
    training.seed = program.seed();
    training.validations = quick ? 1 : 4;
    training.checkpoint_every = 0;
    training.out = out;
    RunResult result;
    result.training = train(model, sgd, task.train, preset.augmentation(), {}, training, &task.val);

    // 5. How good is it, and how fast?
    Progress progress("validation", task.val.size());
    result.answers =
        detect_all(model, task.val, {}, -1, 8, [&](std::int64_t done) { progress.update(done); });
    const double ms = 1e3 * progress.seconds() / double(task.val.size());
    result.class_names = task.val.class_names();
    result.evaluation =
        evaluate_detections(result.answers.detections, result.answers.targets, options.num_classes);
    result.parameters = model.parameter_count();
    result.batch_size = 2;
    std::printf("AP50 %.3f, whatever the class %s, after %.0f s of training; %.1f ms an image\n",
                result.evaluation.mean_ap.value_or(0),
                result.evaluation.class_agnostic.ap_text().c_str(), result.training.seconds, ms);
    // Saved as the published models are: offsets need no statistics.
    model.fold_target_statistics();
    save_safetensors(out / "model.safetensors", {.tensors = model.state_dict(), .metadata = {}});

    Report report("09 Fast R-CNN");
    add_run_sections(report, result, task.val, out);
    report.section("What it learned from")
        .picture({"images/regions.png", "The regions of one step: objects green, background red."})
        .write(out / "index.html");
    std::cout << "pictures: " << (out / "index.html").string() << "\n";
  });
}
