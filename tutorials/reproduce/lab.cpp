#include "tutorials/reproduce/lab.h"

#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include "core/check.h"
#include "core/files.h"
#include "core/progress.h"
#include "core/random.h"
#include "core/serialize.h"
#include "core/stopwatch.h"
#include "detection/data/transforms.h"
#include "detection/evaluation.h"
#include "detection/models/ssd.h"
#include "detection/scale_pyramid.h"
#include "detection/training/evaluate.h"
#include "detection/training/fast_rcnn_presets.h"
#include "detection/training/region_recorder.h"
#include "detection/training/trainer.h"
#include "layers/sgd.h"

namespace boxgrad::reproduce {

namespace {

/// In a network's file, before the name of a curve.
constexpr std::string_view kCurve = "curve ";
constexpr std::int64_t kSceneClasses = 10;  // of Fashion-MNIST

}  // namespace

std::string FastRecipe::describe() const {
  return concat(five_scales ? "five scales, " : "", "freeze ", freeze, ", lambda ", lambda,
                ", flips ", flips, ", selection ", static_cast<int>(selection), ", negative_low ",
                negative_low, ", ohem ", ohem.size, "/", ohem.nms_iou, "/", ohem.suppress, "/",
                ohem.suppress_first, ", rate ", rate,
                ", choice recorded, statistics of all scenes");
}

Lab::Lab(const LabOptions& options)
    : options_(options), store_(options.out / "results"), report_("Reproduced?") {}

const RegionTask& Lab::task() {
  if (!task_)
    task_ =
        std::make_unique<RegionTask>(options_.out.parent_path() / "region_task", options_.task());
  return *task_;
}

std::string Lab::common_settings() const {
  // To be raised by whoever changes what a training computes, and no setting with it: figures of
  // before are then made again.
  constexpr int kVersion = 3;
  const RegionTaskOptions task = options_.task();
  return concat("version ", kVersion, ", ", task.train_scenes, " scenes of seed ", task.train_seed,
                ", ", task.val_scenes, " of ", task.val_seed, ", start ", task.start_steps, ", ",
                options_.steps, " steps", preset_text(our_fast_rcnn(options_).settings()));
}

std::vector<Result> Lab::by_seed(const std::string& name, const std::string& settings,
                                 const std::function<Result(std::uint64_t seed)>& compute) {
  std::vector<Result> runs;
  for (int seed = 0; seed < options_.seeds; ++seed)
    runs.push_back(store_.get(concat(name, "-seed_", seed), settings, [&] {
      std::cout << name << ", seed " << seed << std::endl;
      return compute(static_cast<std::uint64_t>(seed));
    }));
  return runs;
}

std::shared_ptr<FastRcnn> Lab::new_fast_rcnn(const FastRecipe& recipe, std::uint64_t seed) {
  const auto backbone = task().backbone();
  if (recipe.freeze != "none") backbone->freeze_through(recipe.freeze);
  manual_seed(seed);
  FastRcnnOptions options = our_fast_rcnn(options_).model;
  options.regions.negative_low = recipe.negative_low;
  options.selection = recipe.selection;
  options.ohem = recipe.ohem;
  options.lambda = recipe.lambda;
  auto model = std::make_shared<FastRcnn>(backbone, options);
  model->set_target_statistics(dataset_target_statistics(task().train, model->options().regions));
  return model;
}

double Lab::train_detector(Detector& model, const Dataset& data, std::uint64_t seed,
                           std::int64_t steps, double rate, const Transform& augmentation,
                           std::int64_t images,
                           const std::function<void(std::int64_t, const DetectorLoss&)>& on_step) {
  FastRcnnPreset preset = our_fast_rcnn(options_);
  preset.iterations = steps;
  preset.sgd.rate = rate;
  nn::SGD sgd(model, preset.sgd);
  TrainerOptions training = preset.training();
  training.batch_size = images;
  training.seed = seed;
  training.on_step = on_step;
  return seconds_to_train(model, sgd, data, augmentation, training);
}

double Lab::seconds_to_train(Detector& model, nn::Optimizer& optimizer, const Dataset& data,
                             const Transform& augmentation, TrainerOptions training) {
  training.checkpoint_every = 0;
  const TrainingSummary summary = train(model, optimizer, data, augmentation, {}, training);
  if (summary.interrupted)
    throw std::runtime_error("stopped; the same command goes on with what is missing");
  return summary.seconds;
}

Result Lab::measure(Detector& model, const Dataset& val) {
  Progress progress("validation", val.size());
  const Answers answers =
      detect_all(model, val, {}, -1, 8, [&](std::int64_t done) { progress.update(done); });
  Result result;
  const EvaluationResult evaluation = evaluate_detections(
      answers.detections, answers.targets, static_cast<std::int64_t>(val.class_names().size()));
  result.values["ap50"] = evaluation.mean_ap.value_or(0);
  result.values["ap50_any"] = evaluation.class_agnostic.ap.value_or(0);
  return result;
}

std::map<std::string, double> Lab::milliseconds(const std::string& name,
                                                const std::vector<Timed>& works) {
  constexpr int kRounds = 5;
  constexpr std::int64_t kScenes = 40;
  std::string settings = "in turn";
  for (const Timed& work : works) settings += concat("; ", work.name, ": ", work.settings);
  return store_
      .get("time-" + name, settings,
           [&] {
             std::cout << "times of " << name << std::endl;
             std::vector<std::function<void(std::int64_t)>> runs;
             for (const Timed& work : works) runs.push_back(work.make());
             const std::int64_t scenes = std::min(kScenes, options_.task().val_scenes);
             Result result;
             for (int round = 0; round < kRounds; ++round)
               for (std::size_t k = 0; k < works.size(); ++k) {
                 const double ms = 1e3 / static_cast<double>(scenes) * seconds_of([&] {
                                     for (std::int64_t i = 0; i < scenes; ++i) runs[k](i);
                                   });
                 const auto [best, is_new] = result.values.try_emplace(works[k].name, ms);
                 if (!is_new) best->second = std::min(best->second, ms);
               }
             return result;
           })
      .values;
}

Timed Lab::timed(const std::string& name, const std::string& settings,
                 std::function<std::shared_ptr<Detector>()> model) {
  return {name, settings, [this, make = std::move(model)]() -> std::function<void(std::int64_t)> {
            const auto detector = make();
            detector->eval();
            const auto batches = std::make_shared<std::map<std::int64_t, Batch>>();
            return [this, detector, batches](std::int64_t scene) {
              const auto [batch, is_new] = batches->try_emplace(scene);
              if (is_new) batch->second = collate(std::vector{task().val.get(scene)});
              detector->detect(batch->second);
            };
          }};
}

Timed Lab::timed_fast_rcnn(const std::string& name, const FastRecipe& recipe) {
  return timed(name, concat(common_settings(), ", ", recipe.describe()),
               [this, name, recipe] { return trained_fast_rcnn(name, recipe, 0).first; });
}

std::filesystem::path Lab::model_file(const std::string& run) const {
  return options_.out / "models" / (run + ".safetensors");
}

std::optional<Result> Lab::load_model(nn::Module& model, const std::string& run,
                                      const std::string& settings) const {
  if (!std::filesystem::exists(model_file(run))) return std::nullopt;
  TensorFile saved = load_safetensors(model_file(run));
  if (saved.metadata["settings"] != settings) return std::nullopt;
  saved.metadata.erase("settings");
  model.load_state_dict(saved.tensors);
  Result result;
  for (const auto& [name, text] : saved.metadata) {
    std::istringstream numbers(text);
    if (!name.starts_with(kCurve)) {
      numbers >> result.values[name];
      continue;
    }
    std::vector<double>& curve = result.curves[name.substr(kCurve.size())];
    for (double value; numbers >> value;) curve.push_back(value);
  }
  return result;
}

void Lab::save_model(const nn::Module& model, const std::string& run, const std::string& settings,
                     const Result& result) const {
  TensorFile file{.tensors = model.state_dict(), .metadata = {{"settings", settings}}};
  for (const auto& [name, value] : result.values) file.metadata[name] = concat(value);
  for (const auto& [name, curve] : result.curves) {
    std::string& text = file.metadata[std::string(kCurve) + name];
    for (const double value : curve) text += concat(text.empty() ? "" : " ", value);
  }
  std::filesystem::create_directories(model_file(run).parent_path());
  save_safetensors(model_file(run), file);
}

double Lab::megabytes(const std::string& name, std::uint64_t seed) const {
  return static_cast<double>(std::filesystem::file_size(model_file(concat(name, "-seed_", seed)))) /
         1e6;
}

void Lab::announce(const std::string& text) { std::cout << text << std::endl; }

std::pair<std::shared_ptr<FastRcnn>, Result> Lab::trained_fast_rcnn(const std::string& name,
                                                                    const FastRecipe& recipe,
                                                                    std::uint64_t seed) {
  Transform augmentation = recipe.flips ? random_horizontal_flip() : Transform{};
  if (recipe.five_scales) augmentation = chain({augmentation, random_scale(five_scales())});
  auto result = trained<FastRcnn>(
      name, common_settings() + ", " + recipe.describe(), seed,
      [&] { return new_fast_rcnn(recipe, seed); },
      [&](FastRcnn& untrained) {
        RegionRecorder recorder(untrained, std::max<std::int64_t>(1, options_.steps / 20));
        Result figures;
        figures.values["seconds"] =
            train_detector(untrained, task().train, seed, options_.steps, recipe.rate, augmentation,
                           2, std::ref(recorder));
        for (const RegionRecord& record : recorder.records()) {
          figures.curves["iteration"].push_back(static_cast<double>(record.iteration));
          figures.curves["read_ratio"].push_back(record.read_ratio());
          figures.curves["chosen_ratio"].push_back(record.chosen_ratio());
        }
        return figures;
      });
  if (recipe.five_scales) result.first->options().pyramid = five_scales();
  return result;
}

std::vector<Result> Lab::fast_rcnn(const std::string& name, const FastRecipe& recipe) {
  const std::string settings = common_settings() + ", " + recipe.describe();
  return by_seed(name, settings, [&](std::uint64_t seed) {
    const auto [model, figures] = trained_fast_rcnn(name, recipe, seed);
    Result result = measure(*model, task().val);
    result.values["seconds"] = figures.value("seconds");
    result.curves = figures.curves;
    result.values["mb"] = megabytes(name, seed);
    return result;
  });
}

FastRcnnPreset our_fast_rcnn(const LabOptions& options) {
  FastRcnnPreset preset = fast_rcnn_preset("narrow", kSceneClasses);
  preset.iterations = options.steps;
  return preset;
}

FasterRcnnPreset our_faster_rcnn(const LabOptions& options) {
  FasterRcnnPreset preset = faster_rcnn_preset("narrow", kSceneClasses);
  for (std::int64_t& steps : preset.four_steps)
    steps = std::max<std::int64_t>(1, steps * options.steps / preset.detector.iterations);
  preset.detector.iterations = options.steps;
  return preset;
}

SppNetPreset our_spp_net(const LabOptions& options, bool five) {
  SppNetPreset preset = spp_net_preset("narrow", kSceneClasses);
  preset.training.iterations = options.steps;
  if (five) preset.model.pyramid = five_scales();
  return preset;
}

std::string preset_text(const PresetSettings& settings) {
  std::string text;
  for (const auto& [name, value] : settings) text += concat(", ", name, ": ", value);
  return text;
}

ScalePyramid five_scales() { return ScalePyramid::five().resized(128. / 600); }

void Lab::describe_task() {
  const RegionTaskOptions task = options_.task();
  heading("How the task was shrunk");
  table(
      {"", "papers", "here"},
      {{"images", "VOC 2007: 5,011 to train, 4,952 to test, 500 px",
        concat(task.train_scenes, " scenes of 128 x 128 px to train, ", task.val_scenes,
               " to test, drawn from Fashion-MNIST items")},
       {"classes", "20", "10"},
       {"proposals", "selective search, 2,000 an image; their time excluded",
        "selective search, \"fast\", 275 an image; their time excluded"},
       {"starting weights", "trained on ImageNet, 1.28 million photos",
        concat("trained on crops of the training scenes, ", task.start_steps, " steps of 64")},
       {"network", "VGG16, 138 million weights",
        "VGG16 of a quarter of the width up to conv4_3, stride 8, fc6 and fc7 of 256"},
       {"training", "40,000 steps of two images", concat(options_.steps, " steps of two images")},
       {"R-CNN", "windows of 227 px with 16 px of context, all layers learn, rate .001, dropout",
        "windows of 32 px with 2 px, conv1_1 and conv1_2 stay as they are, rate .01 after a "
        "warm-up, gradients up to 10, no dropout"},
       {"SVMs", "positives weigh 2 C; anew after 2,000 hard negatives",
        "positives weigh 20 C; R-CNN's and Fast R-CNN's anew after 1,000"},
       {"answers",
        "Fast R-CNN's and RetinaNet's above a score of .05, SSD's above .01; at most 100 an image, "
        "SSD's 200 (400 a class before suppression)",
        concat("all above ", our_fast_rcnn(options_).model.postprocess.score_threshold,
               ", those of SVMs above a margin of -1; at most 100 an image, SSD's ",
               SsdOptions().postprocess.max_per_image, " (", SsdOptions().postprocess.max_per_class,
               " a class before suppression)")},
       {"five scales", "shorter sides of 480 to 1200 px",
        "the same divided by 600 / 128: 102 to 256 px"},
       {"seeds", "one", concat(options_.seeds)}});
  // What the presets list themselves; Faster R-CNN's without what it has from Fast R-CNN's.
  const std::vector<std::string> fast =
      departures(our_fast_rcnn(options_), fast_rcnn_preset("L", kSceneClasses));
  std::vector<std::string> faster =
      departures(our_faster_rcnn(options_), faster_rcnn_preset("L", kSceneClasses));
  std::erase_if(
      faster, [&](const std::string& line) { return std::ranges::find(fast, line) != fast.end(); });
  list("Fast R-CNN, what departs from the published model L and its training:", fast);
  list("Faster R-CNN, what does besides:", faster);
  list("SPPnet (with one scale it takes scenes as they are):",
       departures(our_spp_net(options_, true), spp_net_preset("L", kSceneClasses)));
  paragraph(
      "`mobilenet`, `focal` and `single_shot` have tasks of their own: "
      "tutorials/reproduce/README.md.");
}

void Lab::heading(const std::string& text) {
  std::cout << "\n" << text << "\n\n";
  report_.section(text);
  markdown_ += "\n## " + text + "\n\n";
}

void Lab::paragraph(const std::string& text) {
  std::cout << text << "\n";
  report_.paragraph(text);
  markdown_ += text + "\n\n";
}

void Lab::list(const std::string& introduction, const std::vector<std::string>& items) {
  paragraph(introduction);
  std::string text;
  for (const std::string& item : items) text += concat("- ", item, "\n");
  std::cout << text << "\n";
  report_.list(items);
  markdown_ += text + "\n";
}

void Lab::table(const std::vector<std::string>& header,
                const std::vector<std::vector<std::string>>& rows) {
  const std::string text = markdown_table(header, rows);
  std::cout << text << std::endl;
  report_.table(header, rows);
  markdown_ += text + "\n";
}

void Lab::claims(const std::vector<Claim>& claims) {
  table({"claim", "paper", "here", "verdict"}, claim_rows(claims));
}

void Lab::chart(const std::string& svg, const std::string& caption) { report_.svg(svg, caption); }

void Lab::write() {
  report_.write(options_.out / "index.html");
  write_file_atomically(options_.out / "table.md",
                        markdown_.substr(markdown_.find_first_not_of('\n')));
}

std::vector<double> values_of(const std::vector<Result>& runs, const std::string& name) {
  std::vector<double> values;
  for (const Result& run : runs) values.push_back(run.value(name));
  return values;
}

std::vector<std::string> row_of(const std::string& name, const std::vector<Result>& runs,
                                const std::vector<std::string>& figures) {
  std::vector<std::string> row{name};
  for (const std::string& figure : figures) {
    std::vector<double> values = values_of(runs, figure);
    if (figure == "seconds") values.resize(1);
    row.push_back(mean_and_spread(values, figure != "seconds" && mean_of(values) < 10 ? 3 : 1));
  }
  return row;
}

}  // namespace boxgrad::reproduce
