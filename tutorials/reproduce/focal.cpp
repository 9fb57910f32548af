// What keeps a thousand easy anchors from drowning one hard one (Lin et al., "Focal loss", 2017,
// table 1), with a RetinaNet of a minute's training.
#include <iostream>
#include <stdexcept>

#include "core/random.h"
#include "detection/data/fashion_scenes.h"
#include "detection/evaluation.h"
#include "detection/models/retinanet_small.h"
#include "detection/training/evaluate.h"
#include "detection/training/small_recipe.h"
#include "tutorials/reproduce/lab.h"

namespace boxgrad::reproduce {

namespace {

struct Way {
  std::string name, text;
  DenseLoss loss = DenseLoss::focal;
  double gamma = 2, alpha = 0.25, prior = 0.01;
};

/// "ap50", "ap50_any", "seconds" and the class loss of the "first" step. A training that diverges
/// has found nothing: 0.
Result run(const Way& way, const SmallRecipe& recipe, const FashionScenes& val) {
  manual_seed(recipe.seed);
  RetinaNetSmallOptions options;
  options.retina.num_classes = static_cast<std::int64_t>(val.class_names().size());
  options.retina.class_loss = way.loss;
  options.retina.gamma = way.gamma;
  options.retina.alpha = way.alpha;
  options.retina.prior = way.prior;
  const auto model = make_retinanet_small(options);
  nn::AdamW optimizer(*model, recipe.optimizer());
  TrainerOptions training = recipe.training();
  Result result{{{"ap50", 0}, {"ap50_any", 0}, {"seconds", 0}, {"first", 0}}, {}};
  training.on_step = [&](std::int64_t step, const DetectorLoss& loss) {
    if (step == 1) result.values["first"] = loss.parts.at(0).second;
  };
  try {
    const TrainingSummary summary =
        train(*model, optimizer, FashionScenes::train(recipe.seed + 100), {}, recipe.preparation(),
              training);
    if (summary.interrupted)
      throw std::runtime_error("stopped; the same command goes on with what is missing");
    result.values["seconds"] = summary.seconds;
  } catch (const TrainingDiverged& diverged) {
    std::cout << way.name << ": " << diverged.what() << "\n";
    return result;
  }
  const Answers answers = detect_all(*model, val, recipe.preparation());
  const EvaluationResult evaluation =
      evaluate_detections(answers.detections, answers.targets, options.retina.num_classes);
  result.values["ap50"] = evaluation.mean_ap.value_or(0);
  result.values["ap50_any"] = evaluation.class_agnostic.ap.value_or(0);
  return result;
}

}  // namespace

void reproduce_focal(Lab& lab) {
  const bool quick = lab.options().quick;
  const SmallRecipe recipe{.iterations = quick ? 5 : 1500};
  lab.heading("Focal loss");
  lab.paragraph(
      concat("A narrow RetinaNet with 1,920 anchors an image instead of 100,000, from random "
             "weights: ",
             recipe.iterations, " steps of ", recipe.batch_size,
             " scenes for each loss. The paper compares AP over IoU .5 to .95 on COCO, this table "
             "AP50."));
  const std::vector<Way> ways{
      {"ce_no_prior", "cross entropy, biases 0", DenseLoss::cross_entropy, 0, -1, 0},
      {"ce", "cross entropy", DenseLoss::cross_entropy},
      {"balanced", "balanced, alpha 0.75", DenseLoss::balanced, 0, .75},
      {"mining", "3 hardest negatives for each positive", DenseLoss::mining},
      {"ohem", "OHEM, 128 of an image", DenseLoss::ohem},
      {"gamma_0.5", "focal, gamma 0.5, alpha 0.5", DenseLoss::focal, .5, .5},
      {"gamma_1", "focal, gamma 1", DenseLoss::focal, 1, .25},
      {"gamma_2", "focal, gamma 2", DenseLoss::focal, 2, .25},
      {"gamma_5", "focal, gamma 5", DenseLoss::focal, 5, .25},
      {"gamma_2_no_prior", "focal, gamma 2, biases 0", DenseLoss::focal, 2, .25, 0}};
  const FashionScenes val(FashionScenes::Split::val, FashionScenes::kValSeed, quick ? 20 : 500);
  std::vector<std::vector<std::string>> rows;
  std::map<std::string, std::vector<double>> ap;
  for (const Way& way : ways) {
    const std::vector<Result> runs = lab.by_seed(
        "focal-" + way.name,
        concat("version 1, ", recipe.iterations, " steps of ", recipe.batch_size, ", rate ",
               recipe.rate, ", gamma ", way.gamma, ", alpha ", way.alpha, ", prior ", way.prior),
        [&](std::uint64_t seed) {
          SmallRecipe own = recipe;
          own.seed = seed;
          return run(way, own, val);
        });
    ap[way.name] = values_of(runs, "ap50");
    std::vector<std::string> cells = row_of(way.text, runs, {"ap50", "ap50_any"});
    cells.push_back(mean_and_spread(values_of(runs, "first"), 2));
    cells.push_back(row_of("", runs, {"seconds"}).back());
    rows.push_back(std::move(cells));
  }
  lab.table({"class loss", "AP50", "whatever the class", "first class loss", kSecondsHeader}, rows);
  const auto against = [&](const char* what, const char* source, const char* paper, double size,
                           const char* larger, const char* smaller) {
    return Claim{.what = what,
                 .source = source,
                 .paper = paper,
                 .size = size,
                 .larger = ap[larger],
                 .smaller = ap[smaller]};
  };
  lab.claims(
      {against("cross entropy needs the prior", "section 5.1", "30.2 AP; without it diverges", .302,
               "ce", "ce_no_prior"),
       against("balancing gains a little", "table 1a", "31.1 against 30.2 AP", .009, "balanced",
               "ce"),
       against("focal loss gains more", "table 1b", "34.0 against 31.1 AP", .029, "gamma_2",
               "balanced"),
       against("it beats OHEM", "table 1d", "36.0 against 32.8 AP", .032, "gamma_2", "ohem"),
       against("and 3 hardest to 1", "table 1d", "36.0 against 31.1 AP", .049, "gamma_2", "mining"),
       against("gamma 2 beats 0.5", "table 1b", "34.0 against 32.9 AP", .011, "gamma_2",
               "gamma_0.5"),
       against("gamma 2 beats 1", "table 1b", "34.0 against 33.7 AP", .003, "gamma_2", "gamma_1"),
       against("gamma 2 beats 5", "table 1b", "34.0 against 32.2 AP", .018, "gamma_2", "gamma_5")});
}

}  // namespace boxgrad::reproduce
