// Tutorial 15: focal loss. The sections are the README's.
#include <cmath>
#include <cstdio>
#include <iostream>

#include "core/charts.h"
#include "core/files.h"
#include "core/gradcheck.h"
#include "core/ops.h"
#include "core/program.h"
#include "core/report.h"
#include "detection/data/fashion_scenes.h"
#include "detection/evaluation.h"
#include "detection/models/retinanet_inspect.h"
#include "detection/models/retinanet_small.h"
#include "detection/training/run_report.h"
#include "detection/training/small_recipe.h"
#include "layers/count.h"
#include "layers/focal_loss.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// -(1 - p)^gamma ln p of an example whose truth has probability p.
double focal(double p, double gamma) {
  const Tensor logit({1}, Scalar(std::log(p / (1 - p))));
  return double(
      sigmoid_focal_loss(logit, Tensor({1}, Scalar(1)), {.gamma = gamma, .alpha = -1}).item());
}

/// Section 4: the ways of table 1.
struct Way {
  std::string name;
  DenseLoss loss = DenseLoss::focal;
  double gamma = 2, alpha = 0.25, prior = 0.01;
};

std::shared_ptr<RetinaNet> network(const Way& way, std::uint64_t seed) {
  manual_seed(seed);
  RetinaNetSmallOptions options;
  options.retina.num_classes = 10;
  options.retina.class_loss = way.loss;
  options.retina.gamma = way.gamma;
  options.retina.alpha = way.alpha;
  options.retina.prior = way.prior;
  return make_retinanet_small(options);
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "15_focal_loss",
                   .about = "A thousand easy anchors against one hard one: who is heard?"});
  SmallRecipe recipe{.iterations = 700};
  int iterations = 700;
  std::string only;
  program.option("--iterations", iterations, "training steps of 8 scenes, for each way", 1);
  program.option("--rate", recipe.rate, "learning rate", 0);
  program.option("--only", only, "one of the ways, by its name");
  return program.run(argc, argv, [&] {
    const bool quick = program.quick();
    if (quick && !program.given("--iterations")) iterations = 6;
    recipe.iterations = iterations;
    recipe.seed = program.seed();

    // 1. The loss of one example.
    std::printf("p of the truth    gamma 0      0.5        1        2        5\n");
    std::vector<Series> curves;
    for (const double p : {.01, .1, .5, .9, .968, .99}) {
      std::printf("%14.3f  ", p);
      for (const double gamma : {0., .5, 1., 2., 5.}) std::printf(" %8.5f", focal(p, gamma));
      std::printf("\n");
    }
    for (const double gamma : {0., .5, 1., 2., 5.}) {
      curves.push_back({.name = concat("gamma ", gamma)});
      for (int i = 1; i < 100; ++i) {
        curves.back().x.push_back(.01 * i);
        curves.back().y.push_back(focal(.01 * i, gamma));
      }
    }
    std::printf("cross entropy over focal loss at p = .9: %.0f, at .968: %.0f, at .1: %.2f\n",
                focal(.9, 0) / focal(.9, 2), focal(.968, 0) / focal(.968, 2),
                focal(.1, 0) / focal(.1, 2));

    // 2. Its gradient.
    const Tensor logits({3}, {-2, 0, 2}), target({3}, {1, 0, 1});
    Tensor leaf = logits.clone();
    leaf.requires_grad_();
    sum(sigmoid_focal_loss(leaf, target, {.reduction = Reduction::none})).backward();
    std::printf("gradients %.5f %.5f %.5f\n", double(leaf.grad().at({0})),
                double(leaf.grad().at({1})), double(leaf.grad().at({2})));

    // 3. A network that knows nothing.
    const FashionScenes train_scenes = FashionScenes::train(program.seed() + 100),
                        val(FashionScenes::Split::val, FashionScenes::kValSeed, quick ? 20 : 500);
    const auto some = [&](const Dataset& data, std::int64_t count) {
      std::vector<Sample> samples;
      for (std::int64_t i = 0; i < count; ++i) samples.push_back(data.get(i));
      return recipe.preparation().make_batch(samples);
    };
    const Batch first = some(train_scenes, 8);
    Random random;
    const std::vector<Way> ways{{"ce_no_prior", DenseLoss::cross_entropy, 0, -1, 0},
                                {"ce", DenseLoss::cross_entropy},
                                {"balanced", DenseLoss::balanced, 0, .75},
                                {"ohem", DenseLoss::ohem},
                                {"focal", DenseLoss::focal},
                                {"focal_no_prior", DenseLoss::focal, 2, .25, 0},
                                // The same loss with another gamma, and the paper's alpha for it.
                                {"gamma_0.5", DenseLoss::focal, .5, .5},
                                {"gamma_1", DenseLoss::focal, 1, .25},
                                {"gamma_5", DenseLoss::focal, 5, .25}};
    for (const Way& way : ways) {
      const auto model = network(way, program.seed());
      const DetectorLoss loss = model->loss(first, random);
      if (way.name == "ce_no_prior") {
        const nn::ModelCount count = nn::count_layers(*model, [&] { model->heads(first.images); });
        std::printf("%lld anchors an image, %lld parameters, %lld million multiply-adds\n",
                    (long long)model->heads(first.images).anchors.size(0),
                    (long long)count.parameters, (long long)count.multiply_adds / 8000000);
        std::printf("eight scenes: %lld positive anchors, %lld negative\n",
                    (long long)loss.positives, (long long)loss.negatives);
      }
      std::printf("first loss, %-15s class %8.3f, box %.3f\n", (way.name + ":").c_str(),
                  loss.parts[0].second, loss.parts[1].second);
    }
    std::printf("one negative logit at p = 0.5:  cross entropy %.6f, focal %.6f\n", -std::log(.5),
                .75 * focal(.5, 2));
    std::printf("one negative logit at p = 0.01: cross entropy %.6f, focal %.10f\n", -std::log(.99),
                .75 * focal(.99, 2));

    // 4. The same training with each.
    std::vector<Series> losses;
    std::shared_ptr<RetinaNet> last;
    for (const Way& way : ways) {
      if (!only.empty() && only != way.name) continue;
      const auto model = network(way, program.seed());
      nn::AdamW optimizer(*model, recipe.optimizer());
      Series series{.name = way.name};
      TrainerOptions training = recipe.training();
      training.on_step = [&](std::int64_t step, const DetectorLoss& loss) {
        series.x.push_back(double(step));
        series.y.push_back(loss.parts[0].second);
      };
      const TrainingSummary summary =
          train(*model, optimizer, train_scenes, {}, recipe.preparation(), training);
      const Answers answers = detect_all(*model, val, recipe.preparation());
      const EvaluationResult result = evaluate_detections(answers.detections, answers.targets, 10);
      std::printf("%-15s AP50 %.3f, whatever the class %.3f; %.0f s\n", way.name.c_str(),
                  result.mean_ap.value_or(0), result.class_agnostic.ap.value_or(0),
                  summary.seconds);
      std::fflush(stdout);
      if (!way.name.starts_with("gamma_") || way.name == only)  // a chart of six curves is enough
        losses.push_back(smoothed(series, 20));
      if (way.name == "focal" || !last) last = model;
    }

    // 5. Where the loss is: figure 4.
    last->eval();
    const Batch look = some(val, quick ? 8 : 64);
    std::vector<Series> foreground, background;
    for (const double gamma : {0., .5, 1., 2.}) {
      const LossMass mass = loss_mass(*last, look, gamma);
      std::printf(
          "gamma %3.1f: the hardest fifth has %2.0f %% of the positives' loss, the hardest "
          "hundredth %2.0f %% of the negatives'\n",
          gamma, 100 * hardest_share(mass.positives, .2), 100 * hardest_share(mass.negatives, .01));
      for (auto [series, side] :
           {std::pair(&foreground, &mass.positives), std::pair(&background, &mass.negatives)}) {
        series->push_back({.name = concat("gamma ", gamma), .y = cumulative_loss(*side, 200)});
        for (int i = 0; i <= 200; ++i) series->back().x.push_back(i / 200.);
      }
    }

    Report report("15 Focal loss");
    const auto add = [&](const char* file, const char* title, const std::vector<Series>& series,
                         const ChartOptions& options) {
      const std::string svg = line_chart(series, options);
      write_file_atomically(program.out() / file, svg);
      report.section(title).svg(svg);
    };
    add("losses.svg", "The loss of one example", curves,
        {.x_label = "probability of the truth", .y_label = "loss", .y_max = 5});
    const ChartOptions shares{.x_label = "share of the anchors, easiest first",
                              .y_label = "share of their loss",
                              .height = 300};
    add("foreground.svg", "Where the positives' loss is", foreground, shares);
    add("background.svg", "Where the negatives' loss is", background, shares);
    add("training.svg", "Class loss in training", losses,
        {.x_label = "step", .y_label = "class loss", .log_y = true});
    report.write(program.out() / "index.html");
    std::cout << "pictures: " << (program.out() / "index.html").string() << "\n";
  });
}
