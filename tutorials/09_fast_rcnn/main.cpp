// Tutorial 09: Fast R-CNN. The sections are the README's.
#include <cstdio>
#include <iostream>

#include "core/charts.h"
#include "core/draw.h"
#include "core/ops.h"
#include "core/program.h"
#include "core/progress.h"
#include "core/report.h"
#include "detection/data/fashion_scenes.h"
#include "detection/data/transforms.h"
#include "detection/draw.h"
#include "detection/models/fast_rcnn.h"
#include "detection/models/vgg16.h"
#include "detection/proposals/proposal_cache.h"
#include "detection/proposals/proposals.h"
#include "detection/proposals/with_proposals.h"
#include "detection/training/evaluate.h"
#include "detection/training/run_report.h"
#include "detection/training/starting_network.h"
#include "layers/count.h"
#include "layers/schedule.h"
#include "layers/sgd.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

struct Settings {
  int scenes = 2000, iterations = 3000;
  double rate = 0.01, lambda = 1;
  std::string selection = "sampled", freeze = "conv1_2";
};

std::vector<Target> targets_of(const Dataset& dataset) {
  std::vector<Target> targets;
  for (std::int64_t i = 0; i < dataset.size(); ++i) targets.push_back(dataset.get(i).target);
  return targets;
}

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
    if (quick) settings.scenes = 20, settings.iterations = 10;
    const auto out = program.out();
    std::filesystem::create_directories(out / "images");

    // 1. Scenes, and where objects may be.
    const FashionScenes scenes(FashionScenes::Split::train, 7, settings.scenes);
    const FashionScenes val(FashionScenes::Split::val, FashionScenes::kValSeed, quick ? 10 : 500);
    const auto search = selective_search_method(SelectiveSearchOptions::preset("fast"));
    const auto proposals = cached_proposals(val, search, out / "cache", "val");
    const WithProposals train_set(
        scenes, cached_proposals(scenes, search, out / "cache", concat("train", settings.scenes)));
    const WithProposals val_set(val, proposals);
    const auto score = proposal_scores(proposals, targets_of(val), std::vector<std::int64_t>{1000});
    std::printf("selective search: %.0f boxes an image, recall %.3f\n", score[0].mean_boxes,
                score[0].recall);

    // 2. A network that has seen such things before.
    const auto backbone =
        std::make_shared<Vgg16>(Vgg16Options{.width = 0.25, .outputs = {"conv4_3"}});
    const double start_s = starting_network(
        backbone, scenes, out / (quick ? "quick.safetensors" : "start.safetensors"),
        {.steps = quick ? 5 : 1500});
    if (start_s > 0) std::printf("starting network: %.0f s\n", start_s);

    // 3. Fast R-CNN on top of it.
    if (settings.freeze != "none") backbone->freeze_through(settings.freeze);
    FastRcnnOptions options{.num_classes = std::int64_t(scenes.class_names().size()),
                            .pool = 5,
                            .scale = 1. / 8,
                            .head = {.hidden = {256, 256}, .dropout = 0},
                            .lambda = settings.lambda};
    if (settings.selection == "all") options.selection = RegionSelection::all;
    if (settings.selection == "ohem") {
      options.selection = RegionSelection::ohem;
      options.regions.negative_low = 0;
    }
    FastRcnn model(backbone, options);
    std::vector<Regions> regions;  // of which class's boxes are how far off?
    for (std::int64_t i = 0; i < std::min<std::int64_t>(300, train_set.size()); ++i) {
      const Sample sample = train_set.get(i);
      regions.push_back(label_regions(sample.proposals, sample.target, options.regions));
    }
    model.set_target_statistics(target_statistics(regions, options.num_classes));
    const std::vector<Sample> two{train_set.get(0), train_set.get(1)};
    Random random(program.seed());
    const DetectorLoss first = model.loss(collate(two), random);
    std::cout << "two images: " << model.last_step().labels.size() << " labelled regions, "
              << first.positives << " + " << first.negatives << " of them learn\n";
    regions_sheet(model.last_step(), two).write_png(out / "images/regions.png");

    // 4. Training.
    nn::SGD sgd(model, {.rate = settings.rate,
                        .momentum = 0.9,
                        .weight_decay = 5e-4,
                        .groups = {{.pattern = ".*[.]bias", .rate = 2, .decay = 0}}});
    const TrainerOptions training{.iterations = settings.iterations,
                                  .batch_size = 2,
                                  .seed = program.seed(),
                                  .schedule =
                                      [](std::int64_t n) {
                                        return nn::warm_up(n / 20 + 1, 0.1) *
                                               nn::multistep({n * 3 / 4}, 0.1);
                                      },
                                  .clip_norm = 10,
                                  .validations = quick ? 1 : 4,
                                  .checkpoint_every = 0,
                                  .out = out};
    const Transform flips = [](Sample sample, Random& draw) {
      return draw.bernoulli(0.5) ? flip_horizontal(sample) : sample;
    };
    RunResult result;
    result.training = train(model, sgd, train_set, flips, {}, training, &val_set);

    // 5. How good is it, and how fast?
    Progress progress("validation", val.size());
    result.answers =
        detect_all(model, val_set, {}, -1, 8, [&](std::int64_t done) { progress.update(done); });
    const double ms = 1e3 * progress.seconds() / double(val.size());
    result.class_names = scenes.class_names();
    result.evaluation =
        evaluate_detections(result.answers.detections, result.answers.targets, options.num_classes);
    result.parameters = model.parameter_count();
    result.batch_size = 2;
    std::printf("AP50 %.3f, whatever the class %s, after %.0f s of training; %.1f ms an image\n",
                result.evaluation.mean_ap.value_or(0),
                result.evaluation.class_agnostic.ap_text().c_str(), result.training.seconds, ms);
    model.fold_target_statistics();  // the model as the published ones are saved

    Report report("09 Fast R-CNN");
    add_run_sections(report, result, val_set, out);
    report.section("What it learned from")
        .picture({"images/regions.png", "The regions of one step: objects green, background red."})
        .write(out / "index.html");
    std::cout << "pictures: " << (out / "index.html").string() << "\n";
  });
}
