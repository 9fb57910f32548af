// Group 5: proposals from a network against those of selective search (Ren et al., 2015).
#include "detection/proposals/proposals.h"

#include <algorithm>

#include "core/charts.h"
#include "core/check.h"
#include "core/random.h"
#include "detection/models/faster_rcnn.h"
#include "detection/training/alternating.h"
#include "detection/training/faster_rcnn_presets.h"
#include "detection/training/propose.h"
#include "tutorials/reproduce/lab.h"

namespace boxgrad::reproduce {

namespace {

const std::vector<std::int64_t> kLimits{5, 10, 20, 50, 100, 200, 300};

/// The published IoU of objects is 0.7; things of 20 px on a map of stride 8 seldom have an anchor
/// that good (lesson 12).
struct FasterRecipe {
  Scalar positive = Scalar(0.6);  ///< anchors from here on are objects
  Scalar negative = Scalar(0.3);  ///< anchors below are background; those between nobody cares for
  std::string describe() const {
    return concat("rpn from ", positive, ", negative ", negative,
                  ", box weight 5, targets by .1 .1 .2 .2");
  }
};

FasterRcnnOptions faster_options(Lab& lab, const FasterRecipe& recipe) {
  FasterRcnnPreset preset = our_faster_rcnn(lab.options());
  preset.rpn.matcher = {.positive = recipe.positive, .negative = recipe.negative};
  return preset.model();
}

std::shared_ptr<Backbone> starting_backbone(Lab& lab) {
  const auto backbone = lab.task().backbone();
  backbone->freeze_through("conv1_2");
  return backbone;
}

std::shared_ptr<FasterRcnn> new_faster_rcnn(Lab& lab, const FasterRecipe& recipe,
                                            std::uint64_t seed) {
  const auto backbone = starting_backbone(lab);
  manual_seed(seed);
  // Box targets are normalised by the deviations that a new FastRcnn has, .1 .1 .2 .2 for every
  // class, as in the authors' code for joint training: there are no proposals yet to take any from.
  return std::make_shared<FasterRcnn>(backbone, faster_options(lab, recipe));
}

std::string settings_of(Lab& lab, const FasterRecipe& recipe) {
  return concat(lab.common_settings(), ", ", recipe.describe(),
                preset_text(our_faster_rcnn(lab.options()).settings()));
}

std::pair<std::shared_ptr<FasterRcnn>, Result> trained_faster_rcnn(Lab& lab,
                                                                   const std::string& name,
                                                                   const FasterRecipe& recipe,
                                                                   std::uint64_t seed) {
  return lab.trained<FasterRcnn>(
      name, settings_of(lab, recipe), seed, [&] { return new_faster_rcnn(lab, recipe, seed); },
      [&](FasterRcnn& model) -> Result {
        return {
            {{"seconds", lab.train_detector(model, lab.task().train_scenes, seed,
                                            lab.options().steps, 0.01, random_horizontal_flip())}},
            {}};
      });
}

/// The recall of the first n proposals of each scene, for every n of kLimits.
std::vector<double> recall_curve(const std::vector<Tensor>& proposals, const Dataset& val) {
  std::vector<double> recall;
  for (const ProposalScore& score : proposal_scores(proposals, targets_of(val), kLimits))
    recall.push_back(score.recall);
  return recall;
}

/// Each seed trained and measured once.
std::vector<Result> faster_rcnn(Lab& lab, const std::string& name, const FasterRecipe& recipe) {
  return lab.by_seed(name, settings_of(lab, recipe), [&](std::uint64_t seed) {
    const auto [model, figures] = trained_faster_rcnn(lab, name, recipe, seed);
    Result result = lab.measure(*model, lab.task().val_scenes);
    result.values["seconds"] = figures.value("seconds");
    result.values["mb"] = lab.megabytes(name, seed);
    result.curves["recall"] =
        recall_curve(propose_all(*model, lab.task().val_scenes, {}, 2304, 300),  // of all anchors
                     lab.task().val_scenes);
    return result;
  });
}

}  // namespace

System faster_rcnn_system(Lab& lab) {
  return {"faster_rcnn", "Faster R-CNN", concat(lab.options().steps, " x 2"),
          faster_rcnn(lab, "faster_rcnn", {}),
          lab.timed("faster_rcnn", settings_of(lab, {}),
                    [&lab] { return trained_faster_rcnn(lab, "faster_rcnn", {}, 0).first; })};
}

void reproduce_proposals(Lab& lab) {
  lab.heading("Region proposal networks");
  const auto faster = faster_rcnn(lab, "faster_rcnn", {});
  const auto no_band =
      faster_rcnn(lab, "faster_rcnn-no_band", {.negative = FasterRecipe{}.positive});
  const FasterRcnnPreset preset = our_faster_rcnn(lab.options());
  std::string lengths;
  for (const std::int64_t steps : preset.four_steps)
    lengths += concat(lengths.empty() ? "" : ", ", steps);
  const auto four_steps =
      lab.by_seed("faster_rcnn-four_steps", concat(settings_of(lab, {}), ", steps of ", lengths),
                  [&](std::uint64_t seed) {
                    manual_seed(seed);
                    AlternatingOptions options = preset.alternating();
                    options.training.seed = seed;
                    options.training.checkpoint_every = 0;
                    const AlternatingResult trained = train_alternating(
                        [&] { return starting_backbone(lab); }, lab.task().train_scenes,
                        random_horizontal_flip(), {}, options);
                    Result result = lab.measure(*trained.model, lab.task().val_scenes);
                    result.values["seconds"] = trained.seconds();
                    return result;
                  });
  const auto fast = lab.fast_rcnn("fast_rcnn", {});
  const auto searched = lab.store().get("proposals-search", lab.common_settings(), [&] {
    return Result{{},
                  {{"recall", recall_curve(lab.task().val.proposals(), lab.task().val_scenes)}}};
  });
  const auto grid = lab.store().get("proposals-grid", lab.common_settings(), [&] {
    std::vector<Tensor> windows;
    for (std::int64_t i = 0; i < lab.task().val_scenes.size(); ++i)
      windows.push_back(grid_proposals(
          128, 128, {.sides_px = {20, 32, 48}, .seed = static_cast<std::uint64_t>(i)}));
    return Result{{}, {{"recall", recall_curve(windows, lab.task().val_scenes)}}};
  });
  const auto mean_curve = [](const std::vector<Result>& runs) {
    std::vector<double> mean(kLimits.size());
    for (const Result& run : runs)
      for (std::size_t k = 0; k < mean.size(); ++k)
        mean[k] += run.curve("recall")[k] / static_cast<double>(runs.size());
    return mean;
  };
  const std::vector<std::pair<std::string, std::vector<double>>> curves{
      {"RPN", mean_curve(faster)},
      {"RPN without an ignore band", mean_curve(no_band)},
      {"selective search", searched.curve("recall")},
      {"grid", grid.curve("recall")}};
  std::vector<std::string> header{"recall of the first"};
  std::vector<Series> series;
  std::vector<std::vector<std::string>> rows;
  for (const std::int64_t limit : kLimits) header.push_back(concat(limit));
  for (const auto& [name, recall] : curves) {
    rows.push_back({name});
    series.push_back({.name = name, .markers = true});
    for (std::size_t k = 0; k < kLimits.size(); ++k) {
      rows.back().push_back(mean_and_spread({recall[k]}, 3));
      series.back().x.push_back(static_cast<double>(kLimits[k]));
      series.back().y.push_back(recall[k]);
    }
  }
  lab.table(header, rows);
  lab.chart(
      line_chart(series, {.x_label = "proposals", .y_label = "recall at IoU 0.5", .log_x = true}),
      "Recall over the number of proposals.");
  const std::vector<std::string> figures{"ap50", "ap50_any", "seconds"};
  lab.table({"detector", "AP50", "whatever the class", kSecondsHeader},
            {row_of("Fast R-CNN on selective search", fast, figures),
             row_of("Faster R-CNN, joint", faster, figures),
             row_of(concat("Faster R-CNN, 4 steps of ", lengths), four_steps, figures),
             row_of("Faster R-CNN without an ignore band", no_band, figures)});
  const auto recall_at_50 = [](const std::vector<Result>& runs) {
    std::vector<double> values;
    for (const Result& run : runs) values.push_back(run.curve("recall")[3]);
    return values;
  };
  const std::vector<double> search_50(faster.size(), searched.curve("recall")[3]);
  lab.claims({{.what = "with few proposals the RPN recalls more (first 50)",
               .source = "figure 4",
               .paper = "RPN above selective search, most for few; no figures",
               .larger = recall_at_50(faster),
               .smaller = search_50},
              {.what = "the ignore band helps it (first 50)",
               .source = "section 3.1.2",
               .paper = "no figure",
               .larger = recall_at_50(faster),
               .smaller = recall_at_50(no_band)},
              {.what = "its detector is better",
               .source = "table 3",
               .paper = "69.9 against 66.9 mAP",
               .size = .03,
               .larger = values_of(faster, "ap50"),
               .smaller = values_of(fast, "ap50")},
              {.what = "joint training is as good as four steps",
               .source = "section 3.2 and the authors' code",
               .paper = "close results; here: less than a point of AP lost",
               .effect = Effect::no_loss,
               .size = .01,
               .larger = values_of(four_steps, "ap50"),
               .smaller = values_of(faster, "ap50")}});
}

}  // namespace boxgrad::reproduce
