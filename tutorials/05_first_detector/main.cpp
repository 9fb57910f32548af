// Tutorial 05: the first detector. The numbers of the sections are the README's.
#include <iostream>
#include <memory>

#include "core/files.h"
#include "core/program.h"
#include "core/report.h"
#include "detection/data/fashion_scenes.h"
#include "detection/data/voc.h"
#include "detection/draw.h"
#include "detection/models/ssd_inspect.h"
#include "detection/models/ssd_small.h"
#include "detection/training/run_report.h"
#include "detection/training/trainer.h"
#include "layers/adamw.h"
#include "layers/count.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

struct Settings {
  std::string data, sampling = "ssd", box_loss = "smooth_l1";
  int iterations = 7600, batch = 8;
  double rate = 0.016, minutes = 0;
  bool resume = false;
};

/// What is learned from and what it is measured on.
struct Task {
  std::unique_ptr<Dataset> train, val;
  Preparation preparation;
  std::vector<Scalar> sides = SsdSmallOptions().sides;
};

Task make_task(const Settings& settings, std::uint64_t seed, bool quick) {
  Task task;
  task.preparation.batch = {.mean = {0.35, 0.35, 0.35}, .std = {0.25, 0.25, 0.25}};
  if (settings.data.empty()) {
    task.train = std::make_unique<FashionScenes>(FashionScenes::train(seed + 100));
    task.val = std::make_unique<FashionScenes>(FashionScenes::Split::val, FashionScenes::kValSeed,
                                               quick ? 50 : FashionScenes::kValSize);
    return task;
  }
  auto train = std::make_unique<VocDataset>(settings.data, VocOptions{.split = "train"});
  for (const std::string& line : train->summary()) std::cout << line << "\n";
  task.preparation.resize = [](Sample sample, Random&) { return resize_longer_side(sample, 256); };
  task.sides = anchor_sides(*train, task.preparation, 6);
  task.val = std::make_unique<VocDataset>(
      settings.data, VocOptions{.split = "val", .classes = train->class_names()});
  task.train = std::move(train);
  return task;
}

std::shared_ptr<Ssd> make_model(const Settings& settings, const Task& task) {
  SsdSmallOptions options{.sides = task.sides};
  options.ssd.num_classes = static_cast<std::int64_t>(task.train->class_names().size());
  options.ssd.sampling = settings.sampling == "ssd"     ? AnchorSampling::ssd
                         : settings.sampling == "notes" ? AnchorSampling::notes
                         : settings.sampling == "all"   ? AnchorSampling::all
                                                        : AnchorSampling::mean;
  if (settings.sampling == "mean") options.ssd.prior = 0;
  options.ssd.box_loss =
      settings.box_loss == "smooth_l1" ? BoxLoss::smooth_l1 : BoxLoss::decoded_l2;
  return make_ssd_small(options);
}

std::vector<Sample> some(const Dataset& data, const Task& task, std::int64_t count) {
  std::vector<Sample> samples;
  for (std::int64_t i = 0; i < std::min(count, data.size()); ++i)
    samples.push_back(task.preparation.apply(data.get(i)));
  return samples;
}

}  // namespace

int main(int argc, char** argv) {
  Program program(
      {.name = "05_first_detector",
       .about = "Trains an anchor-based detector from nothing and draws what it finds."});
  Settings settings;
  program.option("--data", settings.data, "a VOC folder instead of FashionScenes");
  program.option("--iterations", settings.iterations, "training steps", 1);
  program.option("--minutes", settings.minutes, "training time instead of steps", 0);
  program.option("--batch", settings.batch, "images a step", 1);
  program.option("--rate", settings.rate, "learning rate", 0);
  program.choice("--sampling", settings.sampling, {"ssd", "notes", "all", "mean"},
                 "which anchors the loss looks at");
  program.choice("--box-loss", settings.box_loss, {"smooth_l1", "decoded_l2"},
                 "how boxes are compared");
  program.flag("--resume", settings.resume, "go on from the checkpoint in --out");
  return program.run(argc, argv, [&] {
    if (program.quick() && !program.given("--iterations")) settings.iterations = 30;
    // Photos differ in size and number: for a folder of one's own the time is fixed instead.
    if (!settings.data.empty() && !program.quick() && !program.given("--iterations") &&
        !program.given("--minutes"))
      settings.minutes = 1.5;

    // 1. A task: images with boxes.
    const Task task = make_task(settings, program.seed(), program.quick());
    const auto out = program.out();
    std::filesystem::create_directories(out / "images");
    truth_sheet(*task.train, 12).write_png(out / "images/scenes.png");

    // 2. A network that says, for every anchor, what it is and where.
    const auto model = make_model(settings, task);
    const Tensor first = task.preparation.make_batch({task.train->get(0)}).images;
    const nn::ModelCount count = nn::count_layers(*model, [&] { model->heads(first); });
    std::cout << count.parameters << " parameters, " << count.multiply_adds / 1000000
              << " million multiply-adds an image, " << model->last_anchors().size(0)
              << " anchors\n";

    // 3. Which anchor learns what.
    anchors_sheet(*model, some(*task.train, task, 6), task.preparation.batch,
                  task.train->class_names())
        .write_png(out / "images/anchors.png");

    // 4. Training.
    nn::AdamW optimizer(*model, {.rate = settings.rate,
                                 .beta2 = 0.99,
                                 .weight_decay = 0.01,
                                 .groups = {{.pattern = ".*\\.bias", .decay = 0}}});
    TrainerOptions training{
        .iterations = settings.iterations,
        .minutes = settings.minutes,
        .batch_size = settings.batch,
        .seed = program.seed(),
        .schedule =
            [](std::int64_t n) {
              const std::int64_t warm = std::max<std::int64_t>(1, n / 20);
              return nn::warm_up(warm, 0) * nn::cosine(warm, std::max(n, warm + 1));
            },
        .average_decay = 0.99,
        .validations = program.quick() ? 1 : 6,
        .checkpoint_every = 1000,
        .out = out,
        .resume = settings.resume,
        .config =
            concat("{\"data\": \"", settings.data, "\", \"sampling\": \"", settings.sampling,
                   "\", \"box_loss\": \"", settings.box_loss, "\", \"batch\": ", settings.batch,
                   ", \"rate\": ", settings.rate, ", \"seed\": ", program.seed(), "}")};
    const Transform flips = random_horizontal_flip();
    RunResult result;
    result.training =
        train(*model, optimizer, *task.train, settings.data.empty() ? Transform() : flips,
              task.preparation, training, task.val.get());
    if (result.training.interrupted) {
      std::cout << "interrupted after " << result.training.iterations << " of "
                << result.training.total_iterations << " steps; --resume goes on from there\n";
      return;
    }

    // 5. How good is it?
    result.answers = detect_all(*model, *task.val, task.preparation);
    result.class_names = task.train->class_names();
    result.evaluation = evaluate_detections(result.answers.detections, result.answers.targets,
                                            static_cast<std::int64_t>(result.class_names.size()));
    result.parameters = model->parameter_count();
    result.batch_size = settings.batch;
    std::cout << "AP50 " << result.evaluation.mean_ap.value_or(0)
              << ", of boxes whatever their class " << result.evaluation.class_agnostic.ap_text()
              << ", after " << result.training.seconds << " s of training on "
              << result.training.iterations * settings.batch << " images\n";
    const AnchorBeliefs beliefs =
        anchor_beliefs(*model, collate(some(*task.val, task, 32), task.preparation.batch));
    std::cout << 100 * beliefs.background_share << " % of all anchors say background; those of an "
              << "object say object with " << beliefs.object_on_positives << " on average\n";
    write_file_atomically(out / "metrics.json", metrics_json(result));

    // 6. Look at it.
    Report report("The first detector", settings.data.empty() ? "FashionScenes" : settings.data);
    add_run_sections(report, result, *task.val, out);
    report.section("What it learned from")
        .picture({"images/scenes.png", "Training images and their boxes."});
    report.picture({"images/anchors.png",
                    "Anchors of six images before training: positives green, the "
                    "hardest negatives red, truths dashed."});
    report.section("The network").preformatted(count.table());
    report.write(out / "index.html");
    std::cout << "pictures: " << (out / "index.html").string() << "\n";
  });
}
