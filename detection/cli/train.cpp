#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <optional>

#include "core/check.h"
#include "core/files.h"
#include "core/memory.h"
#include "core/printable.h"
#include "core/program.h"
#include "core/progress.h"
#include "core/random.h"
#include "core/report.h"
#include "core/stopwatch.h"
#include "detection/cli/figures.h"
#include "detection/cli/photos_for.h"
#include "detection/cli/run_photos.h"
#include "detection/cli/subcommand.h"
#include "detection/data/dataset_hash.h"
#include "detection/training/augmentation_sheet.h"
#include "detection/training/checkpoint.h"
#include "detection/training/memory_estimate.h"
#include "detection/training/photo_fit.h"
#include "detection/training/run_folder.h"
#include "detection/training/run_report.h"

namespace boxgrad::detection {

namespace {

using Path = std::filesystem::path;

constexpr const char* kAugmented = "images/augmented.png";
constexpr const char* kPage = "index.html";  // what a run writes last
constexpr std::int64_t kQuickSteps = 4;

/// How often a training looks at the validation photos; a function of the config alone, so that a
/// resumed run looks where the whole one would have.
std::int64_t looks_of(PhotoRecipe& recipe) {
  return recipe.minutes() <= 0 && recipe.iterations() <= kQuickSteps ? 1 : 5;
}

struct TrainSettings {
  std::string model, data, train_split, val_split, augmentation;
  Path pretrained, config, out, resume;
  double minutes = 0, epochs = 0;
  int checkpoint_every = 100;
  bool vertical_flips = false;
};

/// What a run was started with stays; only --threads, which changes no bit, may be another.
void check_resume_options(const Program& program) {
  for (const char* option : {"--model", "--data", "--train", "--val", "--pretrained", "--config",
                             "--out", "--minutes", "--epochs", "--seed", "--quick",
                             "--augmentation", "--vertical-flips", "--checkpoint-every"})
    check(!program.given(option), "--resume goes on with what the run's ", kConfigFile, " says; ",
          option, " cannot be changed");
}

/// What the command line and a --config say together.
RunConfig new_config(const Program& program, const TrainSettings& settings) {
  std::string models;
  for (const std::string& name : detector_models()) models += (models.empty() ? "" : ", ") + name;
  check(!settings.model.empty() || !settings.config.empty(), "--model: name one of ", models);
  RunConfig config;
  if (settings.config.empty()) {
    config.recipe = PhotoRecipe::of(settings.model);
    config.recipe.minutes() = kDefaultMinutes;
  } else {
    config = read_user_config(settings.config, settings.model);
  }
  PhotoRecipe& recipe = config.recipe;
  if (!settings.data.empty()) config.data = settings.data;
  check(!config.data.empty(), "--data: name the folder of photos");
  kept_path(config.data);  // an error now, not when it is written down
  if (program.given("--train")) config.train_split = settings.train_split;
  if (program.given("--val")) config.val_split = settings.val_split;
  if (!settings.pretrained.empty()) recipe.pretrained = settings.pretrained;
  check(!(program.given("--minutes") && program.given("--epochs")),
        "--minutes and --epochs exclude each other");
  if (program.given("--minutes")) recipe.minutes() = settings.minutes;
  check(program.seed() <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()),
        "--seed: the command takes seeds up to 2^63 - 1");
  if (program.given("--seed")) recipe.seed() = program.seed();
  if (program.given("--checkpoint-every")) recipe.checkpoint_every() = settings.checkpoint_every;
  if (program.given("--augmentation")) {
    const bool known = recipe.set_augmentation(augmentation_named(settings.augmentation));
    check(known, "--augmentation: ", recipe.model, " has one way to change photos; ssd-mobilenet, ",
          "ssd-small and retinanet have two");
  }
  if (settings.vertical_flips)
    std::visit([](auto& r) { r.vertical_flips = true; }, recipe.settings);
  return config;
}

/// Steps instead of minutes where the command line counts epochs, or wants to be quick.
void set_length(const Program& program, const TrainSettings& settings, std::int64_t photos,
                PhotoRecipe& recipe) {
  if (program.given("--epochs")) {
    recipe.minutes() = 0;
    recipe.iterations() = std::max<std::int64_t>(
        1, std::llround(std::ceil(settings.epochs * static_cast<double>(photos) /
                                  static_cast<double>(recipe.batch_size()))));
  } else if (program.quick()) {
    recipe.minutes() = 0;
    recipe.iterations() = kQuickSteps;
  }
}

std::int64_t peak_megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss >> 10;
}

/// The best AP50 of the looks that a run had so far.
double best_so_far(const TrainingLog& log) {
  double best = -1;
  for (const ValidationRecord& look : log.validations) best = std::max(best, look.ap50);
  return best;
}

/// The end of a training whose last checkpoint was written: the mean of its weights, if it has one.
TrainingSummary finish_from(Detector& detector, const Checkpoint& checkpoint) {
  nn::StateDict weights;
  for (const std::string prefix : {"average/", "model/"}) {
    if (!weights.empty()) break;
    for (const auto& [name, tensor] : checkpoint.tensors)
      if (name.starts_with(prefix)) weights.emplace_back(name.substr(prefix.size()), tensor);
  }
  detector.load_state_dict(weights);
  return {.log = checkpoint.log,
          .iterations = checkpoint.iteration,
          .total_iterations = checkpoint.total_iterations,
          .seconds = checkpoint.seconds};
}

/// Figures, pictures and curves of the end.
void write_results(const TrainedDetector& trained, const PhotoRecipe& recipe,
                   const TrainingSummary& summary, const RunPhotos& photos, Measurement measured,
                   const Path& out) {
  const Dataset& asked = photos.measured().set();
  RunResult result;
  result.training = summary;
  const Stopwatch watch;
  result.answers = detect_all(*trained.detector, asked, trained.preparation, -1, 1);
  measured.took(asked.size(), watch.seconds(), photos.measured().proposals_took());
  result.class_names = trained.spec.classes;
  const auto classes = static_cast<std::int64_t>(result.class_names.size());
  result.evaluation =
      evaluate_detections(result.answers.detections, result.answers.targets, classes);
  const FigureTable figures = coco_figures(result.answers, classes);
  result.parameters = trained.detector->parameter_count();
  result.batch_size = recipe.batch_size();
  const TrainingFigures training{.seconds = summary.seconds,
                                 .iterations = summary.iterations,
                                 .images = summary.iterations * result.batch_size,
                                 .parameters = result.parameters};
  write_file_atomically(out / "metrics.json",
                        figures_json(figures, result.class_names, measured, &training));

  const auto figure = [](const Figures& of, const char* name) {
    return figure_text(figure_of(of, name));
  };
  std::cout << "on " << measured.split << ": AP " << figure(figures.all, "AP") << ", AP50 "
            << figure(figures.all, "AP50");
  for (std::size_t k = 0; k < result.class_names.size() && k < 10; ++k)
    std::cout << (k == 0 ? " (" : ", ") << printable(result.class_names[k]) << " "
              << figure(figures.classes[k], "AP50");
  std::cout << (classes > 10 ? ", ...)\n" : ")\n");

  std::filesystem::create_directories(out / "images");
  truth_sheet(*photos.learned.photos, 12).write_png(out / "images/photos.png");
  Report report(trained.spec.model, "figures on " + measured.split);
  add_run_sections(report, result, asked, out);
  report.section("What it learned from").picture({"images/photos.png", "Photos and their boxes."});
  report.picture(
      {kAugmented, "Left as they are, then as a training sees them: the boxes must follow."});
  report.section("Settings").preformatted(read_text_file(out / kConfigFile, 1 << 24));
  report.write(out / kPage);
}

/// A run that begins, or one that goes on.
struct Run {
  Path out;
  RunConfig config;
  std::optional<Checkpoint> checkpoint = {};  ///< what it goes on from
  bool new_config = true;                     ///< made from the command line, not found in `out`
};

Run new_run(const Program& program, const TrainSettings& settings) {
  Run run{.out = settings.out, .config = new_config(program, settings)};
  if (run.out.empty()) run.out = Path("out") / run.config.recipe.model;
  check(!is_run_folder(run.out), "--out: ", run.out, " holds a run already; boxgrad train ",
        "--resume goes on with it, or name another folder");
  return run;
}

/// A run that was killed before its first checkpoint begins again, with the same numbers. Where
/// somebody removed the checkpoints, or `boxgrad compress` wrote none, beginning again would train
/// random weights and put them in the place of good ones.
Run found_run(const Program& program, const Path& out) {
  check_resume_options(program);
  check(is_run_folder(out), "--resume: ", out, " is no run's folder: it has no ", kConfigFile);
  Run run{.out = out,
          .config = load_run_config(out / kConfigFile),
          .checkpoint = load_checkpoint(out),
          .new_config = false};
  const bool trained = std::filesystem::exists(out / kModelFile);
  if (run.checkpoint) {
    // Weights are written before the figures and pictures that take a while: finished is both.
    check(run.checkpoint->iteration < run.checkpoint->total_iterations || !trained ||
              !std::filesystem::exists(out / kPage),
          "--resume: the run in ", out, " has finished its ", run.checkpoint->iteration,
          " steps; there is nothing to resume");
  } else {
    check(!trained, "--resume: ", out,
          " holds a trained detector and no checkpoint; there is nothing to go on from");
    std::cout << out.string() << " has no checkpoint yet: begins again\n";
  }
  return run;
}

/// What a run learns from is written down when it begins. When it goes on with other photos, or
/// with other boxes on them, it would end as no run that was never stopped.
void settle_learned(const PhotoDataset& learned, Run& run) {
  const std::string now = hash_annotations(learned);
  std::string& then = run.config.learned_hash;
  check(run.new_config || then.empty() || now == then, "--resume: the photos of \"",
        printable(run.config.train_split), "\" in ", run.config.data,
        ", or what is annotated on them, are others than when the run began; put them back as they "
        "were, or begin a new run");
  if (run.new_config) then = now;
}

/// Says what is about to be trained, and what it takes.
void introduce(const Detector& detector, const DetectorSpec& spec, const RunPhotos& photos,
               std::int64_t batch_size) {
  std::cout << spec.model << ": " << detector.parameter_count() << " parameters, photos of "
            << spec.longer_px << " px\n";
  for (const AnchorLevel& level : spec.anchors) {
    std::cout << "  stride " << level.stride_px << " px, anchors";
    for (const BoxSize& size : level.sizes)
      std::cout << " " << std::lround(size.width) << "x" << std::lround(size.height);
    std::cout << "\n";
  }
  const std::int64_t asked_at_once = photos.has_val() ? TrainerOptions().validation_batch : 0;
  std::cout << "memory: "
            << estimate_memory(spec, photos.learned.set(), batch_size, asked_at_once).text() << "\n"
            << std::flush;
}

/// Trains, and keeps the weights of the best look. `spent`: seconds before.
TrainingSummary train_steps(Detector& detector, Run& run, const RunPhotos& photos, double spent) {
  if (run.checkpoint && run.checkpoint->iteration >= run.checkpoint->total_iterations)
    return finish_from(detector, *run.checkpoint);  // killed between that and its results
  PhotoRecipe& recipe = run.config.recipe;
  const DetectorSpec& spec = *run.config.detector;
  double best = run.checkpoint ? best_so_far(run.checkpoint->log) : -1;
  const auto keep_best = [&](const ValidationRecord& look) {
    if (look.ap50 <= best) return;
    best = look.ap50;
    save_trained(run.out / kBestFile, detector, spec);
  };
  TrainingSummary summary =
      train_on_photos(detector, recipe, spec, photos.learned.set(),
                      photos.has_val() ? &photos.looked.set() : nullptr, looks_of(recipe), run.out,
                      run.checkpoint.has_value(), keep_best, spent);
  if (summary.interrupted)
    throw std::runtime_error(concat("interrupted after ", summary.iterations, " of ",
                                    summary.total_iterations, " steps; boxgrad train --resume ",
                                    run.out.string(), " goes on from there"));
  return summary;
}

void train_run(const Program& program, const TrainSettings& settings) {
  Run run =
      settings.resume.empty() ? new_run(program, settings) : found_run(program, settings.resume);
  RunConfig& config = run.config;
  PhotoRecipe& recipe = config.recipe;
  // Only the default may be absent; a run's config.json names that, too.
  if (run.new_config && (program.given("--val") || config.val_split != RunConfig().val_split))
    check_split_exists("--val", config.data, config.val_split);
  RunPhotos photos = photos_of(config);
  settle_learned(*photos.learned.photos, run);
  if (run.new_config) set_length(program, settings, photos.learned.size(), recipe);

  // The network: measured on the photos, unless the config has one.
  manual_seed(recipe.seed());
  if (!config.detector) config.detector = describe(recipe, *photos.learned.photos);
  const DetectorSpec& spec = *config.detector;
  const auto detector = make_detector(spec);
  // A run that goes on has its number of steps.
  const double minutes = run.checkpoint ? 0 : recipe.minutes();
  const double spent = add_proposals(photos, config, run.out / "proposals", minutes);
  if (run.checkpoint) {
    settle(*detector, recipe);
  } else {
    const std::string taken = start(*detector, recipe, spec, photos.learned.set());
    std::cout << "starts from " << (taken.empty() ? "random weights" : taken) << "\n";
    std::filesystem::create_directories(run.out);
    config.data = kept_path(config.data);
    save_run_config(run.out / kConfigFile, config);
  }
  introduce(*detector, spec, photos, recipe.batch_size());
  std::filesystem::create_directories(run.out / "images");
  augmentation_sheet(*photos.learned.photos, recipe.augmentation(), recipe.seed())
      .write_png(run.out / kAugmented);
  std::cout << "what augmentation does to them: " << (run.out / kAugmented).string() << "\n"
            << std::flush;

  const Stopwatch watch;
  const TrainingSummary summary = train_steps(*detector, run, photos, spent);
  release_free_memory();  // what follows is other work
  save_trained(run.out / kModelFile, *detector, spec);
  write_results({spec, detector, preparation_of(spec)}, recipe, summary, photos,
                {.run = run.out.string(),
                 .weights = kModelFile,
                 .data = config.data,
                 .split = photos.has_val() ? config.val_split : config.train_split,
                 .style = "coco"},
                run.out);
  std::cout << summary.iterations << " steps of " << recipe.batch_size() << " photos: ";
  if (!run.checkpoint) {  // the clock of a run with several parts stood still in between
    std::cout << Progress::duration(spent + watch.seconds());
    if (recipe.minutes() > 0) std::cout << " of " << Progress::duration(60 * recipe.minutes());
    std::cout << ", ";
  }
  std::cout << std::lround(summary.seconds) << " s in steps; " << peak_megabytes()
            << " MB at the most\n";
  std::cout << "run: " << run.out.string() << ", pictures: " << (run.out / kPage).string() << "\n";
}

}  // namespace

int run_train(int argc, char** argv) {
  Program program(
      {.name = "boxgrad train",
       .about = "Trains a detector on a folder of annotated photos.",
       .out = false,
       .examples =
           "Examples:\n"
           "  boxgrad train --model ssd-mobilenet --data photos --pretrained out/face-api/package\n"
           "  boxgrad train --model faster-rcnn --data photos --minutes 10 --out out/cells\n"
           "  boxgrad train --resume out/cells\n"
           "  boxgrad train --config out/cells/config.json --data photos --out out/again\n"});
  TrainSettings settings;
  settings.train_split = "train";
  settings.val_split = "val";
  settings.augmentation = "photos";
  program.choice("--model", settings.model, detector_models(), "what to train");
  program.option("--data", settings.data, "a folder annotated like PASCAL VOC or COCO");
  program.option("--train", settings.train_split, "the list to learn from");
  program.option("--val", settings.val_split, "the list that AP is followed on");
  program.option("--pretrained", settings.pretrained,
                 "start from the package of make faces (ssd-mobilenet), a run or .safetensors");
  program.option("--minutes", settings.minutes,
                 "training time (5, unless --epochs or --config says otherwise)", 0.01, 1e6);
  program.option("--epochs", settings.epochs, "passes over the photos instead", 0.001, 1e6);
  program.option("--checkpoint-every", settings.checkpoint_every,
                 "steps between checkpoints, of which there is one each minute, too; 0: that alone",
                 0);
  program.choice("--augmentation", settings.augmentation, augmentation_names(),
                 "how photos are changed: a little, or all that SSD does to them");
  program.flag("--vertical-flips", settings.vertical_flips, "photos have no up and down");
  program.option("--config", settings.config, "settings: a run's config.json, or some of its keys");
  program.option("--out", settings.out, "the run's folder (out/MODEL)");
  program.option("--resume", settings.resume, "go on with the run in this folder");
  return program.run(argc, argv, [&] { train_run(program, settings); });
}

}  // namespace boxgrad::detection
