// Tutorial 17: your own photos. The numbers of the sections are the README's.
#include <cstdio>
#include <iostream>

#include "core/draw.h"
#include "core/files.h"
#include "core/program.h"
#include "core/progress.h"
#include "core/report.h"
#include "detection/coco_evaluation.h"
#include "detection/data/fashion_scenes.h"
#include "detection/data/open_photos.h"
#include "detection/training/augmentation_sheet.h"
#include "detection/training/run_report.h"
#include "detection/training/ssd_recipe.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

struct Settings {
  std::string data, train = "train", val = "val", test, augmentation = "photos";
  std::string pretrained = "out/face-api/package";
  bool scratch = false, frozen = false, resume = false;
};

std::unique_ptr<Dataset> open(const Settings& settings, const std::string& list,
                              const std::vector<std::string>& classes = {}) {
  if (settings.data.empty())
    return std::make_unique<FashionScenes>(
        list == settings.train ? FashionScenes::Split::train : FashionScenes::Split::val, 7, 200);
  auto photos = open_photos(settings.data, {.split = list, .classes = classes});
  for (const std::string& line : photos->summary()) std::cout << list << ": " << line << "\n";
  return photos;
}

std::string text(const std::optional<double>& figure) {
  char buffer[32] = "n/a";
  if (figure) std::snprintf(buffer, sizeof buffer, "%.3f", *figure);
  return buffer;
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "17_your_own_photos",
                   .about = "Fine-tunes a pretrained network on a folder of labelled photos."});
  Settings settings;
  SsdRecipe recipe;
  int iterations = 0;
  recipe.minutes = 5;
  program.option("--data", settings.data, "a folder annotated like PASCAL VOC or COCO");
  program.option("--train", settings.train, "the list to learn from");
  program.option("--val", settings.val, "the list that AP is followed on");
  program.option("--test", settings.test, "a list to measure once at the end (else --val)");
  program.option("--pretrained", settings.pretrained, "the unpacked package of make faces");
  program.flag("--scratch", settings.scratch, "start from random weights");
  program.flag("--frozen", settings.frozen,
               "the pretrained trunk, which must be there, stays as it is");
  program.option("--minutes", recipe.minutes, "training time", 0);
  program.option("--iterations", iterations, "training steps instead", 0);
  program.option("--size", recipe.longer_px, "the photos' longer side in training", 32);
  program.option("--rate", recipe.rate, "learning rate of what is new", 0);
  program.option("--trunk-rate", recipe.trunk_rate, "learning rate of a pretrained trunk", 0);
  program.choice("--augmentation", settings.augmentation, augmentation_names(),
                 "how photos are changed: a little, or all that SSD does to them");
  program.flag("--vertical-flips", recipe.vertical_flips, "photos have no up and down");
  program.flag("--resume", settings.resume, "go on from the checkpoint in --out");
  return program.run(argc, argv, [&] {
    if (settings.data.empty())
      std::cout << "without --data: two hundred rendered scenes stand in for photos\n";
    const bool found = std::filesystem::exists(settings.pretrained);
    check(found || settings.scratch || !program.given("--pretrained"), "--pretrained: there is no ",
          settings.pretrained);
    if (!found && !settings.scratch)
      std::cout << "no pretrained network in " << settings.pretrained
                << " (make faces fetches one): starting from random weights\n";
    if (found && !settings.scratch) recipe.pretrained = settings.pretrained;
    check(!settings.frozen || !recipe.pretrained.empty(),
          "--frozen: random weights would stay random; ",
          settings.scratch ? "leave --scratch out" : "make faces fetches a pretrained trunk");
    if (settings.frozen) recipe.trunk = Trunk::frozen;
    recipe.changes = augmentation_named(settings.augmentation);
    if (iterations == 0 && program.quick()) iterations = 4;
    if (iterations > 0) {
      recipe.iterations = iterations;
      recipe.minutes = 0;
    }
    recipe.seed = program.seed();
    const auto out = program.out();

    // 1. The folder, and what is wrong with it.
    const auto train = open(settings, settings.train);
    const std::vector<std::string> names = train->class_names();
    const auto val = open(settings, settings.val, names);
    std::filesystem::create_directories(out / "images");
    truth_sheet(*train, 12).write_png(out / "images/photos.png");
    augmentation_sheet(*train, recipe.augmentation(), recipe.seed)
        .write_png(out / "images/augmented.png");

    // 2. A network that fits it.
    const Preparation preparation = ssd_preparation(recipe, *train);
    const auto model = make_ssd_mobilenet(recipe, *train, preparation);
    for (const AnchorLevel& level : model->options().levels) {
      std::printf("stride %2.0f px, anchors", double(level.stride_px));
      for (const BoxSize& size : level.sizes)
        std::printf(" %.0fx%.0f", double(size.width), double(size.height));
      std::printf("\n");
    }

    // 3. Training.
    RunResult result;
    result.training = train_ssd_mobilenet(*model, recipe, preparation, *train, val.get(),
                                          program.quick() ? 1 : 5, out, settings.resume);
    if (result.training.interrupted) {
      std::cout << "interrupted after " << result.training.iterations << " of "
                << result.training.total_iterations << " steps; --resume goes on from there\n";
      return;
    }

    // 4. How good, and how fast? One photo at a time, decoding included.
    const auto test = settings.test.empty() ? nullptr : open(settings, settings.test, names);
    const Dataset& asked = test ? *test : *val;
    Progress progress("test", asked.size());
    result.answers = detect_all(*model, asked, preparation, -1, 1,
                                [&](std::int64_t done) { progress.update(done); });
    const double ms = 1e3 * progress.seconds() / double(asked.size());
    progress.clear();
    const auto classes = std::int64_t(names.size());
    result.class_names = names;
    result.evaluation =
        evaluate_detections(result.answers.detections, result.answers.targets, classes);
    const CocoResult coco =
        evaluate_coco(result.answers.detections, result.answers.targets, classes);
    result.parameters = model->parameter_count();
    result.batch_size = recipe.batch_size;
    result.figures = {{"ms_per_image", ms}, {"seed", program.seed()}};
    for (const auto& [name, figure] : coco.all.named())
      if (figure) result.figures.emplace_back("coco_" + name, *figure);
    std::printf("AP50 %s", text(result.evaluation.mean_ap).c_str());
    for (std::size_t k = 0; k < names.size(); ++k)
      std::printf("  %s %s", names[k].c_str(), result.evaluation.classes[k].ap_text().c_str());
    std::printf("\nCOCO");
    for (const auto& [name, figure] : coco.all.named())
      std::printf("  %s %s", name.c_str(), text(figure).c_str());
    std::printf("\n%lld steps in %.0f s, %.0f ms an image\n",
                static_cast<long long>(result.training.iterations), result.training.seconds, ms);
    write_file_atomically(out / "metrics.json", metrics_json(result));

    // 5. Look at it.
    write_file_atomically(out / "images/ap.svg", ap_chart(result.training.log));
    const std::vector<Image> worst = worst_pictures(result, asked, 6, 256);
    if (!worst.empty()) image_grid(worst).write_png(out / "images/worst_six.png");
    Report report("Your own photos", settings.data.empty() ? "FashionScenes" : settings.data);
    add_run_sections(report, result, asked, out);
    report.section("What it learned from")
        .picture({"images/photos.png", "Photos and their boxes."})
        .picture({"images/augmented.png", "As they are, and as the training sees them."});
    report.write(out / "index.html");
    std::cout << "pictures: " << (out / "index.html").string() << "\n";
  });
}
