// Fast R-CNN or Faster R-CNN on a folder of labelled photos, measured. README.md says how.
#include <cstdio>
#include <iostream>

#include "core/charts.h"
#include "core/files.h"
#include "core/program.h"
#include "core/progress.h"
#include "core/report.h"
#include "detection/data/fashion_scenes.h"
#include "detection/data/voc.h"
#include "detection/models/faster_rcnn.h"
#include "detection/proposals/proposal_cache.h"
#include "detection/proposals/proposals.h"
#include "detection/proposals/with_proposals.h"
#include "detection/training/propose.h"
#include "detection/training/region_recipe.h"
#include "detection/training/run_report.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

struct Settings {
  std::string data, system = "faster", train = "train", split = "val";
  std::filesystem::path cache;
  bool resume = false;
  bool only_flips = false;
};

std::unique_ptr<Dataset> open(const Settings& settings, bool learn,
                              const std::vector<std::string>& classes) {
  if (settings.data.empty())  // --quick without photos
    return std::make_unique<FashionScenes>(
        learn ? FashionScenes::Split::train : FashionScenes::Split::val, 7, 12);
  auto photos = std::make_unique<VocDataset>(
      settings.data,
      VocOptions{.split = learn ? settings.train : settings.split, .classes = classes});
  for (const std::string& line : photos->summary())
    std::cout << (learn ? settings.train : settings.split) << ": " << line << "\n";
  return photos;
}

/// The mean over IoU .50, .55, ..., .95 of AP, in the manner of COCO (whose AP is read off at 101
/// recalls and comes out lower by about .002).
double mean_over_ious(const Answers& answers, std::int64_t classes) {
  double sum = 0;
  for (int i = 0; i < 10; ++i)
    sum += evaluate_detections(answers.detections, answers.targets, classes,
                               {.iou_threshold = 0.5 + 0.05 * i})
               .mean_ap.value_or(0);
  return sum / 10;
}

/// How many truths of each class some proposal overlaps: what no detector behind them can mend.
void print_recall(const std::vector<Tensor>& proposals, const std::vector<Target>& targets,
                  const std::vector<std::string>& names, std::vector<std::int64_t> limits) {
  for (const ProposalScore& score : proposal_scores(proposals, targets, limits)) {
    std::printf("recall of %.0f proposals: %.3f", score.mean_boxes, score.recall);
    for (const auto& [label, recall] : score.class_recall)
      std::printf("  %s %.3f", names[std::size_t(label - 1)].c_str(), recall);
    std::printf("\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "two_stage_photos",
                   .about = "Trains Fast or Faster R-CNN on a folder of labelled photos."});
  Settings settings;
  RegionRecipe recipe;
  int iterations = int(recipe.iterations);
  program.option("--data", settings.data, "a folder in PASCAL VOC's layout");
  program.choice("--system", settings.system, {"faster", "fast"},
                 "Faster R-CNN, or Fast R-CNN on selective search");
  program.option("--train", settings.train, "the list to learn from");
  program.option("--split", settings.split, "the list to measure on");
  program.option("--iterations", iterations, "training steps of eight photos", 1);
  program.option("--minutes", recipe.minutes, "training time instead of steps", 0);
  program.option("--size", recipe.longer_px, "the photos' longer side in training", 32);
  program.option("--rate", recipe.rate, "learning rate", 0);
  program.flag("--vertical-flips", recipe.vertical_flips, "photos have no up and down");
  program.flag("--only-flips", settings.only_flips, "mirror photos, but do not cut or light them");
  program.option("--cache", settings.cache, "where proposals are kept (the folder of --out)");
  program.flag("--resume", settings.resume, "go on from the checkpoint in --out");
  return program.run(argc, argv, [&] {
    check(!settings.data.empty() || program.quick(), "--data FOLDER is needed (or --quick)");
    if (settings.system == "fast") {
      const RegionRecipe other = RegionRecipe::fast_rcnn();
      recipe.own_proposals = other.own_proposals;
      recipe.regions = other.regions;
    }
    if (settings.only_flips) recipe.crop_chance = recipe.brightness = recipe.contrast = 0;
    recipe.seed = program.seed();
    recipe.iterations = program.quick() && !program.given("--iterations") ? 6 : iterations;
    const auto out = program.out();

    // 1. Photos, and for Fast R-CNN where objects may be on them.
    const auto photos = open(settings, true, {});
    const std::vector<std::string> names = photos->class_names();
    const auto test_photos = open(settings, false, names);
    const Dataset *train_set = photos.get(), *test_set = test_photos.get();
    std::unique_ptr<WithProposals> train_with, test_with;
    std::vector<Tensor> proposals;
    if (!recipe.own_proposals) {
      const auto search = selective_search_method(region_search(recipe));
      const auto folder = settings.cache.empty() ? out / "cache" : settings.cache;
      train_with = std::make_unique<WithProposals>(
          *photos, cached_proposals(*photos, search, folder, "train_proposals"), 2000);
      proposals = cached_proposals(*test_photos, search, folder, "test_proposals");
      test_with = std::make_unique<WithProposals>(*test_photos, proposals, 2000);
      train_set = train_with.get();
      test_set = test_with.get();
    }

    // 2. Training.
    const Preparation preparation = region_preparation(recipe, *photos);
    const auto model = make_region_detector(recipe, *train_set, preparation);
    RunResult result;
    result.training =
        train_region_detector(*model, recipe, preparation, *train_set,
                              settings.split == "test" ? nullptr : test_set, out, settings.resume);
    if (result.training.interrupted) {
      std::cout << "interrupted; --resume goes on from there\n";
      return;
    }

    // 3. How good, and how fast? One photo at a time, decoding included.
    Progress progress("test", test_set->size());
    result.answers = detect_all(*model, *test_set, preparation, -1, 1,
                                [&](std::int64_t done) { progress.update(done); });
    const double ms = 1e3 * progress.seconds() / double(test_set->size());
    progress.clear();
    result.class_names = names;
    result.evaluation = evaluate_detections(result.answers.detections, result.answers.targets,
                                            std::int64_t(names.size()));
    result.parameters = model->parameter_count();
    result.batch_size = recipe.batch_size;
    const double coco = mean_over_ious(result.answers, std::int64_t(names.size()));
    result.figures = {{"ms_per_image", ms}, {"ap_50_to_95", coco}, {"seed", program.seed()}};
    if (auto* faster = dynamic_cast<FasterRcnn*>(model.get())) {
      const RpnOptions& rpn = faster->rpn().options();
      proposals =
          propose_all(*faster, *test_set, preparation, rpn.test_before_nms, rpn.test_proposals, 1);
    }
    print_recall(proposals, result.answers.targets, names,
                 recipe.own_proposals ? std::vector<std::int64_t>{50, 100, recipe.proposals}
                                      : std::vector<std::int64_t>{500, 1000, 2000});
    std::printf("AP50 %.3f", result.evaluation.mean_ap.value_or(0));
    for (std::size_t k = 0; k < names.size(); ++k)
      std::printf("  %s %s", names[k].c_str(), result.evaluation.classes[k].ap_text().c_str());
    std::printf(
        "\nwhatever the class %s, mean over IoU .5 to .95 %.3f; %lld steps in %.0f s, "
        "%.1f ms an image\n",
        result.evaluation.class_agnostic.ap_text().c_str(), coco,
        static_cast<long long>(result.training.iterations), result.training.seconds, ms);
    write_file_atomically(out / "metrics.json", metrics_json(result));

    // 4. Look at it.
    Report report(recipe.own_proposals ? "Faster R-CNN" : "Fast R-CNN", settings.data);
    add_run_sections(report, result, *test_photos, out);
    report.write(out / "index.html");
    std::cout << "pictures: " << (out / "index.html").string() << "\n";
  });
}
