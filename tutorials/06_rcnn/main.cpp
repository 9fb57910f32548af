// Tutorial 06: R-CNN. The sections are the README's.
#include <cmath>
#include <cstdio>
#include <functional>
#include <iostream>

#include "core/autograd.h"
#include "core/check.h"
#include "core/draw.h"
#include "core/ops.h"
#include "core/program.h"
#include "core/progress.h"
#include "core/report.h"
#include "core/serialize.h"
#include "core/stopwatch.h"
#include "detection/boxes.h"
#include "detection/data/transforms.h"
#include "detection/draw.h"
#include "detection/models/fast_rcnn.h"
#include "detection/models/rcnn.h"
#include "detection/ridge.h"
#include "detection/training/region_classifier_training.h"
#include "detection/training/region_task.h"
#include "detection/training/run_report.h"
#include "layers/schedule.h"
#include "layers/sgd.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

struct Settings {
  int iterations = 1500, scenes = 500, context = 2;
  double positive_weight = 20, negative_iou = 0.3, lambda = 1000;
  std::string mode = "warp";
  std::filesystem::path network;
};

/// What sections 1, 3 and 4 do, on numbers that fit on a fingernail.
void by_hand() {
  Tensor map({4, 4, 1});
  for (std::size_t i = 0; i < 16; ++i) map.data()[i] = Scalar(i + 1);
  const Tensor boxes({3, 4}, {1, 1, 3, 3, 0, 0, 2, 2, 0, 0, 4, 4});
  const Tensor windows = warp_regions(map, boxes, {.size = 4, .context = 1});
  for (std::size_t i = 0; i < windows.data().size(); ++i)
    std::printf("%s%g%s",
                i % 16 == 0  ? "window: "
                : i % 4 == 0 ? "/ "
                             : "",
                double(windows.data()[i]), i % 16 == 15 ? "\n" : " ");

  const LinearSvm svm =
      train_linear_svm(Tensor({4, 1}, {0, 1, 3, 4}), {false, false, true, true},
                       {.c = 100, .positive_weight = 1, .tolerance = 1e-4, .max_passes = 10000});
  std::printf("SVM: score(x) = %.2f x - %.2f; alpha", double(svm.weight[0]), -double(svm.bias));
  for (const Scalar alpha : svm.dual) std::printf(" %.2f", double(alpha));

  for (const std::int64_t n : {2, 200, 20000}) {
    Tensor x({n, 1});
    for (std::size_t i = 0; i < x.data().size(); ++i) x.data()[i] = i % 2 == 0 ? -1 : 1;
    std::printf("\n%d examples of y = x: ridge says y = %.3f x", int(n),
                double(fit_ridge(x, x, 1000).weight.item()));
  }
  std::printf("\n");
}

/// The window of one box, as the network gets it.
Image window_of(const Sample& sample, const Tensor& box, const WarpOptions& warp) {
  const Tensor window = warp_regions(sample.image.to_tensor(), box, warp);
  return enlarge_pixels(Image::from_tensor(reshape(window, {warp.size, warp.size, 3})), 4);
}

/// A proposal of each of six scenes, and three ways to make a window of it.
Image windows_sheet(const Dataset& data, const WarpOptions& warp) {
  const WarpOptions bare{.size = warp.size, .context = 0};
  WarpOptions square = warp;
  square.mode = WarpMode::square;
  std::vector<Image> sheet(24);
  for (std::size_t i = 0; i < 6; ++i) {
    const Sample sample = data.get(std::int64_t(i));
    const auto best = argmax(box_iou(sample.target.boxes, sample.proposals)).front();
    const Tensor box = slice(sample.proposals, 0, best, best + 1);
    sheet[i] = sample.image;
    draw_boxes(sheet[i], box, kPositiveColor);
    sheet[6 + i] = window_of(sample, box, bare);
    sheet[12 + i] = window_of(sample, box, warp);
    sheet[18 + i] = window_of(sample, box, square);
  }
  return image_grid(sheet, {}, {.columns = 6});
}

/// A row for each class: its six best answers that are right, and the six best that are not.
Image ranked_sheet(const RunResult& result, const Dataset& data, const WarpOptions& warp) {
  std::vector<Image> sheet;
  for (const ClassResult& c : result.evaluation.classes)
    for (const bool right : {true, false}) {
      std::vector<Image> row;
      for (const DetectionOutcome& o : c.outcomes) {
        if ((o.outcome == Outcome::hit) != right || row.size() == 6) continue;
        const Tensor& boxes = result.answers.detections[std::size_t(o.image)].boxes;
        const Tensor box = slice(boxes, 0, o.detection, o.detection + 1);
        row.push_back(window_of(data.get(o.image), box, warp));
        const Color wrong = o.outcome == Outcome::duplicate ? kIgnoredColor : kNegativeColor;
        draw_rectangle(row.back(), 0, 0, row.back().width(), row.back().height(),
                       right ? kPositiveColor : wrong, {.thickness = 14});
      }
      row.resize(6, Image(1, 1, kWhite));
      sheet.insert(sheet.end(), row.begin(), row.end());
    }
  return image_grid(sheet, {}, {.columns = 12, .cell_width = 64, .cell_height = 64, .padding = 4});
}

/// The first stage's weights, if `file` has them: SVMs and regressors are then tried without
/// training the network once more. It must have been trained as `settings` say.
bool read_network(nn::Module& model, const std::filesystem::path& file,
                  const std::string& settings) {
  if (file.empty() || !std::filesystem::exists(file)) return false;
  const TensorFile stored = load_safetensors(file);
  const auto found = stored.metadata.find("settings");
  check(found != stored.metadata.end() && found->second == settings, "--network: ", file,
        " is not of a first stage with ", settings, "; name another file to train one");
  model.load_state_dict(stored.tensors);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "06_rcnn", .about = "A network that names pictures finds things."});
  Settings settings;
  program.option("--iterations", settings.iterations, "steps of fine-tuning, 128 windows each", 1);
  program.option("--scenes", settings.scenes, "training scenes whose features are stored", 1, 2000);
  program.option("--context", settings.context, "border of a window, px", 0, 15);
  program.choice("--mode", settings.mode, {"warp", "square"}, "how a box becomes a window");
  program.option("--positive-weight", settings.positive_weight, "of positives in the SVMs", 1e-6);
  program.option("--negative-iou", settings.negative_iou, "regions below are negatives", 1e-6, 1);
  program.option("--lambda", settings.lambda, "of the ridge regression", 1e-6);
  program.option("--network", settings.network, "keep the first stage here: written, then read");
  return program.run(argc, argv, [&] {
    const bool quick = program.quick();
    if (quick) settings.iterations = 4, settings.scenes = 10;
    const auto out = program.out();
    std::filesystem::create_directories(out / "images");

    // 1. Windows.
    by_hand();
    const RegionTask task(out.parent_path() / "region_task",
                          quick ? RegionTaskOptions::quick() : RegionTaskOptions{});
    std::cout << task.seconds_text() << "\n";
    const WarpOptions warp{
        .size = 32,
        .context = settings.context,
        .mode = settings.mode == "warp" ? WarpMode::warp : WarpMode::square,
        .fill = std::vector<Scalar>(3, Scalar(0.35))};  // the scenes' mean colour
    windows_sheet(task.val, warp).write_png(out / "images/windows.png");

    // 2. First stage: the network learns to name windows.
    const std::int64_t classes = task.num_classes();
    const RegionHeadOptions layers{.hidden = {256, 256}, .dropout = 0};
    Rcnn model(task.backbone(), {.num_classes = classes, .warp = warp, .head = layers});
    nn::SGD sgd(model, {.rate = 0.01,
                        .momentum = 0.9,
                        .weight_decay = 5e-4,
                        .groups = {{.pattern = ".*[.]bias", .rate = 2, .decay = 0}}});
    const auto schedule = [](std::int64_t n) {
      return nn::warm_up(n / 20 + 1, 0.1) * nn::multistep({n * 3 / 4}, 0.1);
    };
    const Transform flips = random_horizontal_flip();
    RunResult result;
    const std::string stage =
        concat(settings.iterations, " steps, seed ", program.seed(), ", windows by ", settings.mode,
               ", ", settings.context, " px of context");
    if (!read_network(model, settings.network, stage)) {
      result.training = train(model, sgd, task.train, flips, {},
                              {.iterations = settings.iterations,
                               .batch_size = 8,
                               .seed = program.seed(),
                               .schedule = schedule,
                               .clip_norm = 10,
                               .checkpoint_every = 0,
                               .out = out});
      if (!settings.network.empty() && !result.training.interrupted)
        save_safetensors(settings.network,
                         {.tensors = model.state_dict(), .metadata = {{"settings", stage}}});
    }

    // 3. Second stage: features to disk, SVMs from there. 4. Third stage: box regressors.
    model.eval();
    const FashionScenes scenes(FashionScenes::Split::train, RegionTaskOptions{}.train_seed,
                               settings.scenes);
    const auto lists = task.train.proposals().begin();
    const RegionClassifierReport stages = train_region_classifiers(
        model.classifiers(), WithProposals(scenes, {lists, lists + settings.scenes}), {},
        [&](const Tensor& image, const Tensor& boxes) {
          return model.region_features(image, boxes);
        },
        out / "features",
        {.svm = {.positive_weight = settings.positive_weight},
         .negative_iou = Scalar(settings.negative_iou),
         .ridge_lambda = settings.lambda});
    std::printf("first stage:  network %.0f s\nsecond stage: features %.0f s, SVMs %.0f s\n",
                result.training.seconds, stages.seconds_features, stages.seconds_svms);
    std::printf("third stage:  box regressors %.1f s\n", stages.seconds_boxes);
    std::cout << "on disk:      " << stages.regions << " regions of " << settings.scenes
              << " scenes, " << std::lround(stages.megabytes) << " MB\n"
              << scenes.class_names()[0] << ": " << stages.positives[0] << " positives, "
              << stages.negatives[0] << " negatives in the last SVM\n";

    // 5. How good is it, and how slow? `shared` has the same layers, but one map for all regions.
    FastRcnn shared(task.backbone(),
                    {.num_classes = classes, .pool = 4, .scale = 1. / 8, .head = layers});
    struct Reading {
      const char* name;
      RegionScoring scoring;
      bool regress_boxes;
      Answers answers = {};
    };
    std::vector<Reading> readings{{"softmax", RegionScoring::softmax, false},
                                  {"softmax, boxes regressed", RegionScoring::softmax, true},
                                  {"SVMs", RegionScoring::svm, false},
                                  {"SVMs, boxes regressed", RegionScoring::svm, true}};
    double apart = 0, together = 0, windows = 0;
    Progress progress("validation", task.val.size());
    for (std::int64_t i = 0; i < task.val.size(); ++i) {
      const NoGradGuard guard;
      const Batch batch = collate(std::vector{task.val.get(i)});
      const Tensor& regions = batch.proposals[0];
      ClassifierFeatures features;
      apart += seconds_of([&] { features = model.region_features(batch.images, regions); });
      together +=
          seconds_of([&] { shared.classify(shared.features(batch.images), to_rois({regions})); });
      windows += double(regions.size(0));
      for (auto& [name, scoring, regress_boxes, answers] : readings) {
        answers.detections.push_back(classify_regions(
            model.head(), model.classifiers(), features, regions, scoring, regress_boxes,
            batch.infos[0].width, batch.infos[0].height, model.options().postprocess));
        answers.targets.push_back(batch.targets[0]);
      }
      progress.update(i + 1);
    }
    const double n = double(task.val.size());
    std::printf(
        "an image: %.0f windows, %.0f ms; with one map for all %.1f ms, %.0f times faster\n",
        windows / n, 1e3 * apart / n, 1e3 * together / n, apart / together);
    for (const Reading& r : readings) {
      result.answers = r.answers;
      result.evaluation = evaluate_detections(r.answers.detections, r.answers.targets, classes);
      std::printf("%-24s  AP50 %.3f, whatever the class %s\n", r.name,
                  result.evaluation.mean_ap.value_or(0),
                  result.evaluation.class_agnostic.ap_text().c_str());
    }
    result.class_names = task.val.class_names();
    ranked_sheet(result, task.val, warp).write_png(out / "images/ranked.png");

    // 6. At full size.
    std::printf("2000 windows of 227 x 227 read each pixel of 500 x 375 %.0f times\n",
                2000. * 227 * 227 / (500 * 375));
    for (const double width : {4096., 9216., 25088.})
      std::printf("%.0f features of 2000 regions of 5011 images: %.0f GB\n", width,
                  width * 4 * 2000 * 5011 / 1e9);

    result.parameters = model.parameter_count();
    result.batch_size = 8;
    Report report("06 R-CNN");
    add_run_sections(report, result, task.val, out);
    report.section("Windows")
        .picture({"images/windows.png", "Proposals; their pixels; with context; as squares."})
        .picture({"images/ranked.png", "By class: right answers green, wrong red, second amber."})
        .write(out / "index.html");
    std::cout << "pictures: " << (out / "index.html").string() << "\n";
  });
}
