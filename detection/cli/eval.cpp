#include <algorithm>
#include <iomanip>
#include <iostream>
#include <optional>

#include "core/check.h"
#include "core/files.h"
#include "core/printable.h"
#include "core/program.h"
#include "core/progress.h"
#include "core/report.h"
#include "detection/cli/figures.h"
#include "detection/cli/photos_for.h"
#include "detection/cli/subcommand.h"
#include "detection/data/dataset_hash.h"
#include "detection/data/first_images.h"
#include "detection/data/open_photos.h"
#include "detection/result_files.h"
#include "detection/training/explain_report.h"
#include "detection/training/run_folder.h"
#include "detection/training/run_report.h"
#include "layers/inference.h"

namespace boxgrad::detection {

namespace {

using Path = std::filesystem::path;

struct EvalSettings {
  Path run, out;
  std::string data, split, style = "coco";
  bool best = false, explain = false, results = false;
};

/// The columns that tell classes apart; all twelve would not fit into a line.
bool is_column(const std::string& name) {
  return name == "AP" || name == "AP50" || name == "AP75" || name == "AP50_11_points" ||
         name == "AR100";
}

void print_table(const FigureTable& table, const EvaluationResult& evaluation,
                 const std::vector<std::string>& names) {
  std::size_t widest = 5;
  for (const std::string& name : names) widest = std::max(widest, printable(name).size());
  std::cout << std::left << std::setw(static_cast<int>(widest)) << "class" << std::right
            << std::setw(8) << "truths";
  for (const auto& [name, figure] : table.classes.front())
    if (is_column(name)) std::cout << "  " << std::setw(6) << name;
  std::cout << "\n";
  for (std::size_t k = 0; k < names.size(); ++k) {
    std::cout << std::left << std::setw(static_cast<int>(widest)) << printable(names[k])
              << std::right << std::setw(8) << evaluation.classes[k].num_truths;
    for (const auto& [name, figure] : table.classes[k])
      if (is_column(name))
        std::cout << "  " << std::setw(std::max(6, static_cast<int>(name.size())))
                  << figure_text(figure);
    std::cout << "\n";
  }
  for (const auto& [name, figure] : table.all)
    std::cout << name << " " << figure_text(figure) << "\n";
}

std::string split_to_measure(const EvalSettings& settings) {
  if (!settings.split.empty()) return settings.split;
  for (const char* split : {"test", "val"})
    if (has_photo_split(settings.data, split)) return split;
  throw std::invalid_argument(concat("--split: ", settings.data,
                                     " has neither \"test\" nor \"val\"; name what to measure"));
}

/// The answers in VOC's files and in COCO's, for other programs.
void write_results(const EvalSettings& settings, const PhotoDataset& photos, const Answers& answers,
                   const std::vector<std::string>& names) {
  std::vector<std::string> ids;
  for (const PhotoEntry& entry : photos.entries()) ids.push_back(entry.id);
  const Path folder = settings.out / "results";
  write_voc_results(folder, settings.split, answers.detections, voc_result_ids(ids), names);
  const std::int64_t left_out = write_coco_results(folder / "coco_results.json", answers.detections,
                                                   ids, photos.class_ids(), photos.string_ids());
  std::cout << "results: " << folder.string() << "\n";
  if (left_out > 0)
    std::cout << left_out << " answers of classes that the annotations lack are not in "
              << "coco_results.json\n";
}

/// What a detector, as it was loaded, says of the first photos when no score is too low.
Answers answers_of_any_score(const TrainedDetector& trained, const Dataset& asked) {
  constexpr std::int64_t kEnough = 20;
  DetectorSpec lower = trained.spec;
  lower.answers.score_threshold = 0;
  const auto twin = make_detector(lower);
  twin->load_state_dict(trained.detector->state_dict());
  nn::prepare_for_inference(*twin);
  return detect_all(*twin, asked, trained.preparation, kEnough, 1);
}

/// The photos that a run learned from, or why they cannot be opened any more.
struct LearnedPhotos {
  std::unique_ptr<PhotoDataset> photos;
  std::optional<std::string> error = {};
};

LearnedPhotos learned_photos(const RunConfig& config, const std::vector<std::string>& classes) {
  LearnedPhotos learned;
  learned.error = input_error([&] {
    learned.photos = open_photos(
        config.data, {.split = config.train_split, .classes = classes, .cut = config.cut});
  });
  return learned;
}

/// Says how many of the photos that are about to be measured the run learned from. Nothing where
/// what it learned from is no longer there: it cannot be compared.
void say_what_was_learned(const RunConfig& config, const PhotoDataset* learned,
                          const PhotoDataset& asked, const std::string& split) {
  if (learned == nullptr) return;
  if (const std::int64_t both = photos_in_both(*learned, asked); both > 0)
    std::cout << both << " of the " << asked.size() << " photos of \"" << printable(split)
              << "\" were learned from (\"" << printable(config.train_split) << "\" in "
              << config.data << "): AP on them says little of new photos\n";
  // Above, it is what they are today that was compared.
  if (!config.learned_hash.empty() && hash_annotations(*learned) != config.learned_hash)
    std::cout << "\"" << printable(config.train_split) << "\" in " << config.data
              << " is not what the run learned from, photos or annotations have changed since: it "
                 "may have learned from some of those that are measured\n";
}

/// AP50 on some of the photos that a run learned from; nothing, after a line that says why, where
/// they are not as they were.
std::optional<LearnedFigures> on_learned_photos(const TrainedDetector& trained,
                                                const LearnedPhotos& learned_from,
                                                const EvalSettings& settings) {
  constexpr std::int64_t kSome = 50;
  const std::vector<std::string>& names = trained.spec.classes;
  std::optional<LearnedFigures> figures;
  const auto measure = [&] {
    const FirstImages some(*learned_from.photos, kSome);
    const auto proposed = with_proposals(trained.spec, some, settings.out / "proposals", "learned");
    const Dataset& learned = proposed ? static_cast<const Dataset&>(*proposed) : some;
    const Answers answers = detect_all(*trained.detector, learned, trained.preparation, -1, 1);
    figures = LearnedFigures{.photos = learned.size(),
                             .ap50 = evaluate_detections(answers.detections, answers.targets,
                                                         static_cast<std::int64_t>(names.size()))
                                         .mean_ap};
  };
  if (const auto error = learned_from.error ? learned_from.error : input_error(measure))
    std::cout << "AP on the photos it learned from is not known: " << *error << "\n";
  return figures;
}

void eval_run(EvalSettings settings) {
  check(!settings.run.empty(), "name the run's folder (boxgrad eval --help)");
  check(!settings.data.empty(), "--data: name the folder of photos");
  const TrainedDetector trained = load_run(settings.run, settings.best);
  const std::int64_t parameters = trained.detector->parameter_count();
  nn::prepare_for_inference(*trained.detector);  // whose layers hold no parameters any more
  const std::optional<RunConfig> config =
      is_run_folder(settings.run) ? std::optional(load_run_config(settings.run / kConfigFile))
                                  : std::nullopt;
  const PhotoCut cut = config ? config->cut : PhotoCut::by_name;
  say_how_it_is_split(settings.data, cut);
  settings.split = split_to_measure(settings);
  const std::vector<std::string>& names = trained.spec.classes;
  const auto photos = photos_for(settings.data, settings.split, names, settings.explain, cut);
  const LearnedPhotos learned_from = config ? learned_photos(*config, names) : LearnedPhotos();
  if (config) say_what_was_learned(*config, learned_from.photos.get(), *photos, settings.split);
  // A file of weights is itself and no run's best.
  const bool is_run = std::filesystem::is_directory(settings.run), best = is_run && settings.best;
  const bool own_folder = settings.out.empty();
  if (own_folder)
    settings.out = (is_run ? settings.run : settings.run.parent_path()) /
                   concat("eval_", settings.split, best ? "_best" : "");
  double proposing = 0;  // seconds, or what they were when the cache was made
  const auto proposed =
      with_proposals(trained.spec, *photos, settings.out / "proposals", settings.split, &proposing);
  const Dataset& asked = proposed ? static_cast<const Dataset&>(*proposed) : *photos;

  RunResult result;
  Progress progress("photos", asked.size());
  result.answers = detect_all(*trained.detector, asked, trained.preparation, -1, 1,
                              [&](std::int64_t done) { progress.update(done); });
  const Path weights = is_run ? Path(best ? kBestFile : kModelFile) : settings.run.filename();
  Measurement measured{.run = settings.run.string(),
                       .weights = weights.string(),
                       .data = settings.data,
                       .split = settings.split,
                       .style = settings.style};
  measured.took(asked.size(), progress.seconds(),
                proposed ? std::optional(proposing) : std::nullopt);
  progress.clear();
  const auto classes = static_cast<std::int64_t>(names.size());
  result.evaluation =
      evaluate_detections(result.answers.detections, result.answers.targets, classes);
  const FigureTable table = settings.style == "coco" ? coco_figures(result.answers, classes)
                                                     : voc_figures(result.answers, classes);
  print_table(table, result.evaluation, names);
  std::cout << ms_text(measured) << "\n";

  std::filesystem::create_directories(settings.out);
  if (own_folder)  // of figures before these, which may be of other photos
    for (const char* old : {"metrics.json", "explain.json", "index.html", "images", "results"})
      std::filesystem::remove_all(settings.out / old);
  write_file_atomically(settings.out / "metrics.json", figures_json(table, names, measured));
  result.class_names = names;
  result.parameters = parameters;
  Report report(trained.spec.model + " on " + settings.split, settings.data);
  add_run_sections(report, result, asked, settings.out);
  if (settings.explain) {
    const auto& own = photos->annotated_names();
    Explained explained =
        explain(result.answers, asked, names,
                {.data_class_names = {own.begin(), own.end()},
                 .score_threshold = trained.spec.answers.score_threshold,
                 .all_answers = [&] {
                   return answers_of_any_score(load_run(settings.run, settings.best), asked);
                 }});
    std::cout << "\n";
    // Weights by themselves do not know what they learned from.
    if (config) explained.learned = on_learned_photos(trained, learned_from, settings);
    for (const std::string& line : explained_lines(explained, names)) std::cout << line << "\n";
    write_file_atomically(settings.out / "explain.json", explained_json(explained));
    add_explained_sections(report, explained, result.answers, asked, names, settings.out);
  }
  report.write(settings.out / "index.html");
  std::cout << "pictures: " << (settings.out / "index.html").string() << "\n";
  // Last: other programs' files are no reason to be without our own.
  if (settings.results) write_results(settings, *photos, result.answers, names);
  // It is explained, but nothing was measured.
  const std::string why = why_empty(*photos, settings.data, settings.split, names);
  check(why.empty(), why);
}

}  // namespace

int run_eval(int argc, char** argv) {
  Program program({.name = "boxgrad eval",
                   .about = "Measures a trained detector on annotated photos.",
                   .out = false,
                   .quick = false,
                   .examples = "Examples:\n"
                               "  boxgrad eval out/cells --data photos\n"
                               "  boxgrad eval out/cells --data photos --split val --style voc\n"
                               "  boxgrad eval out/cells --data photos --explain\n"
                               "  boxgrad eval out/cells --data photos --results\n"
                               "  boxgrad eval out/cells --data photos --best\n"});
  EvalSettings settings;
  program.option("run", settings.run, "a run's folder, or its weights (.safetensors)");
  program.option("--data", settings.data, "a folder annotated like PASCAL VOC or COCO");
  program.option("--split", settings.split, "the list to measure on (test, else val)");
  program.choice("--style", settings.style, {"coco", "voc"}, "whose figures");
  program.flag("--best", settings.best, "the weights of the best look during training");
  program.flag("--explain", settings.explain, "what the errors are, what each kind costs, and why");
  program.flag("--results", settings.results, "the answers as VOC's and COCO's result files");
  program.option("--out", settings.out,
                 "where figures and pictures go (RUN/eval_SPLIT, _best behind it with --best)");
  return program.run(argc, argv, [&] { eval_run(settings); });
}

}  // namespace boxgrad::detection
