// Tutorial 12: Faster R-CNN. The sections are the README's.
#include <algorithm>
#include <cstdio>
#include <iostream>

#include "core/charts.h"
#include "core/draw.h"
#include "core/program.h"
#include "core/random.h"
#include "core/report.h"
#include "core/stopwatch.h"
#include "detection/draw.h"
#include "detection/evaluation.h"
#include "detection/models/rpn_inspect.h"
#include "detection/proposals/proposal_cache.h"
#include "detection/proposals/proposals.h"
#include "detection/training/alternating.h"
#include "detection/training/faster_rcnn_presets.h"
#include "detection/training/propose.h"
#include "detection/training/region_task.h"

using namespace boxgrad;
using namespace boxgrad::detection;

int main(int argc, char** argv) {
  Program program(
      {.name = "12_faster_rcnn", .about = "Proposals from a network, on the map that is there."});
  int iterations = 1500;
  double negative = 0.3, positive = 0.6;
  std::string scheme = "both";
  program.option("--iterations", iterations, "steps of joint training", 4);
  program.option("--positive", positive, "IoU from which an anchor is an object", 0, 1);
  program.option("--negative", negative, "IoU below which it is background", 0, 1);
  program.choice("--scheme", scheme, {"both", "joint", "4-step"}, "which trainings");
  return program.run(argc, argv, [&] {
    const bool quick = program.quick();
    if (quick) iterations = 8;
    const auto out = program.out();
    std::filesystem::create_directories(out / "images");

    // 1. A truth that no anchor touches, beside one that some do.
    const Tensor iou({2, 3}, {0, 0, 0, 0.6, 0.2, 0.1});
    const auto show = [](const char* what, const std::vector<std::int64_t>& truth) {
      std::cout << what;
      for (const std::int64_t t : truth) std::cout << ' ' << t;
      std::cout << "\n";
    };
    const Matches golden = Matcher()(iou);
    show("truth of each anchor:", golden.truth);
    std::cout << "truths without an anchor: " << golden.unmatched_truths << "\n";
    std::vector<std::int64_t> everybody = golden.truth;
    for (std::size_t g = 0; g < 2; ++g)  // "anchors that attain the truth's best", unguarded
      for (std::size_t a = 0; a < 3; ++a)
        if (iou.data()[3 * g + a] ==
            *std::max_element(iou.data().begin() + 3 * g, iou.data().begin() + 3 * g + 3))
          everybody[a] = 1;  // each for the truth it overlaps most
    show("without the guard:", everybody);

    // 2. Anchors of three sides and three ratios in every cell of the map, and who they are for.
    const RegionTask task(out.parent_path() / "region_task",
                          quick ? RegionTaskOptions::quick() : RegionTaskOptions{});
    std::cout << task.seconds_text() << "\n";
    FasterRcnnPreset preset = faster_rcnn_preset("narrow", task.num_classes());
    preset.rpn.matcher = {.positive = Scalar(positive), .negative = Scalar(negative)};
    preset.detector.iterations = iterations;
    preset.four_steps = {iterations / 2, iterations * 7 / 10, iterations * 2 / 5,
                         iterations * 2 / 5};
    const FastRcnnPreset& detector = preset.detector;  // lesson 09's
    const FasterRcnnOptions options = preset.model();
    const auto start = [&] {
      const auto backbone = task.backbone();
      backbone->freeze_through("conv1_2");
      return backbone;
    };
    const auto joint = std::make_shared<FasterRcnn>(start(), options);
    const std::vector<Sample> two{task.train.get(0), task.train.get(1)};
    rpn_sheet(*joint, two).write_png(out / "images/anchors.png");
    for (const auto& assignment : joint->rpn().last_assignment())
      std::cout << assignment.matches.truth.size() << " anchors: "
                << anchor_states(assignment, options.rpn.matcher.positive).to_string() << "\n";

    // 3. Training, both parts at once, and in four steps.
    const std::vector<Target> truths = targets_of(task.val);
    const std::vector<std::int64_t> limits{5, 10, 20, 50, 100, 200, 300};
    std::vector<Series> recall;
    const auto curve = [&](const char* name, const std::vector<Tensor>& proposals) {
      Series series{.name = name, .markers = true};
      std::printf("recall, %s:", name);
      for (const ProposalScore& score : proposal_scores(proposals, truths, limits)) {
        series.x.push_back(double(score.limit));
        series.y.push_back(score.recall);
        std::printf(" %.3f (%lld)", score.recall, static_cast<long long>(score.limit));
      }
      std::printf(", MABO %.3f\n", mabo(proposals, truths));
      recall.push_back(std::move(series));
    };
    const auto measure = [&](const char* name, FasterRcnn& model, double seconds) {
      Answers answers;
      const double all = seconds_of([&] { answers = detect_all(model, task.val, {}, -1, 8); });
      const EvaluationResult result =
          evaluate_detections(answers.detections, answers.targets, options.fast_rcnn.num_classes);
      std::printf(
          "%s: AP50 %.3f, whatever the class %.3f, after %.0f s of training; %.1f ms an "
          "image, proposals included\n",
          name, result.mean_ap.value_or(0), result.class_agnostic.ap.value_or(0), seconds,
          1e3 * all / double(task.val.size()));
      curve(name, propose_all(model, task.val, {}, 2304, 300));
      std::vector<Image> found;
      for (std::int64_t i = 0; i < std::min<std::int64_t>(12, task.val.size()); ++i) {
        auto [canvas, factor] = enlarged(task.val.get(i).image);
        draw_detections(canvas, answers.detections[std::size_t(i)], task.val.class_names(),
                        {.scale = double(factor)});
        found.push_back(std::move(canvas));
      }
      image_grid(found, {}, {.columns = 4}).write_png(out / concat("images/found_", name, ".png"));
    };
    if (scheme != "4-step") {
      nn::SGD optimizer(*joint, detector.sgd);
      TrainerOptions training = detector.training();
      training.seed = program.seed();
      training.checkpoint_every = 0;
      const TrainingSummary summary =
          train(*joint, optimizer, task.train_scenes, detector.augmentation(), {}, training);
      measure("joint", *joint, summary.seconds);
    }
    if (scheme != "joint") {
      manual_seed(program.seed());
      AlternatingOptions alternating = preset.alternating();
      alternating.training.seed = program.seed();
      alternating.training.checkpoint_every = 0;
      const AlternatingResult result =
          train_alternating(start, task.train_scenes, detector.augmentation(), {}, alternating);
      for (const AlternatingStep& step : result.steps)
        std::printf("%s: %lld steps, %.0f s, and %.0f s of proposals\n", step.name.c_str(),
                    static_cast<long long>(step.training.iterations), step.training.seconds,
                    step.proposal_seconds);
      measure("4-step", *result.model, result.seconds());
    }

    // 4. Beside boxes that nobody learned.
    curve("selective search", task.val.proposals());
    std::vector<Tensor> windows;
    for (std::int64_t i = 0; i < task.val.size(); ++i)
      windows.push_back(grid_proposals(
          128, 128, {.sides_px = {20, 32, 48}, .seed = static_cast<std::uint64_t>(i)}));
    curve("grid", windows);
    const ProposalMethod search = selective_search_method(SelectiveSearchOptions::preset("fast"));
    const std::int64_t timed = std::min<std::int64_t>(40, task.val.size());
    const double searching = seconds_of([&] {
      for (std::int64_t i = 0; i < timed; ++i) search.propose(task.val_scenes.get(i), i);
    });
    std::printf("selective search takes %.1f ms an image on one core\n",
                1e3 * searching / double(timed));

    Report report("12 Faster R-CNN");
    report.section("Anchors").picture({"images/anchors.png", "Anchors of two images, by state."});
    report.section("Proposals")
        .svg(line_chart(
            recall,
            {.x_label = "proposals an image", .y_label = "recall at IoU 0.5", .log_x = true}));
    report.section("Detections");
    for (const char* name : {"joint", "4-step"})
      if (scheme == "both" || scheme == name)
        report.picture({concat("images/found_", name, ".png"), name});
    report.write(out / "index.html");
    std::cout << "pictures: " << (out / "index.html").string() << "\n";
  });
}
