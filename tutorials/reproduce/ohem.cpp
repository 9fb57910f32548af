// Group 4: hard examples against the heuristics that they replace (Shrivastava et al., 2016).
#include <algorithm>

#include "core/charts.h"
#include "detection/training/region_recorder.h"
#include "tutorials/reproduce/lab.h"

namespace boxgrad::reproduce {

namespace {

/// The mean of a part of a curve, say its last fifth, by seed.
std::vector<double> part_of_curve(const std::vector<Result>& runs, const std::string& name,
                                  double from, double to) {
  std::vector<double> means;
  for (const Result& run : runs) {
    const std::vector<double>& curve = run.curve(name);
    const auto size = static_cast<double>(curve.size());
    const auto begin = static_cast<std::ptrdiff_t>(from * size);
    const auto end = std::max(begin + 1, static_cast<std::ptrdiff_t>(to * size));
    means.push_back(mean_of({curve.begin() + begin, curve.begin() + end}));
  }
  return means;
}

/// "chosen_ratio", its mean over the seeds.
std::vector<double> mean_curve(const std::vector<Result>& runs) {
  std::vector<double> mean(runs.front().curve("chosen_ratio").size());
  for (const Result& run : runs)
    for (std::size_t k = 0; k < mean.size(); ++k)
      mean[k] += run.curve("chosen_ratio")[k] / static_cast<double>(runs.size());
  return mean;
}

}  // namespace

void reproduce_ohem(Lab& lab) {
  lab.heading("Online hard example mining");
  lab.paragraph(
      "Which regions a step learns from. The heuristics are Fast R-CNN's: 64 regions of each of "
      "two images, a quarter of them objects, background from an IoU of 0.1. The loss is that over "
      "all "
      "regions of 200 training scenes after training.");
  struct Row {
    std::string name, text;
    FastRecipe recipe;
  };
  const FastRecipe ohem{.selection = RegionSelection::ohem, .negative_low = 0};
  FastRecipe no_nms = ohem, notes = ohem;
  no_nms.ohem.suppress = false;
  notes.ohem.suppress_first = false;
  const std::vector<Row> rows{
      {"fast_rcnn", "heuristics: 1 to 3, IoU from 0.1", {}},
      {"fast_rcnn-low_0", "1 to 3, IoU from 0", {.negative_low = 0}},
      {"fast_rcnn-all", "all regions", {.selection = RegionSelection::all, .negative_low = 0}},
      {"fast_rcnn-ohem", "OHEM, 128 hardest", ohem},
      {"fast_rcnn-ohem_no_nms", "OHEM without suppression", no_nms},
      {"fast_rcnn-ohem_notes", "OHEM, the notes' order", notes}};
  std::vector<std::vector<std::string>> table, balance;
  std::vector<Series> curves;
  std::map<std::string, std::vector<double>> ap, loss, read, chosen;
  for (const Row& row : rows) {
    const std::vector<Result> runs = lab.fast_rcnn(row.name, row.recipe);
    const std::vector<Result> losses = lab.by_seed(
        row.name + "-loss", lab.common_settings() + ", " + row.recipe.describe(),
        [&](std::uint64_t seed) {
          const auto model = lab.trained_fast_rcnn(row.name, row.recipe, seed).first;
          return Result{
              {{"loss", mean_region_loss(*model, lab.task().train, Preparation{}, 200).mean}}, {}};
        });
    ap[row.name] = values_of(runs, "ap50");
    loss[row.name] = values_of(losses, "loss");
    std::vector<std::string> cells = row_of(row.text, runs, {"ap50", "ap50_any"});
    cells.push_back(mean_and_spread(loss[row.name], 3));
    cells.push_back(row_of("", runs, {"seconds"}).back());
    table.push_back(cells);

    // Background for each object over the training.
    const auto first_fifth = part_of_curve(runs, "chosen_ratio", 0, 0.2);
    read[row.name] = part_of_curve(runs, "read_ratio", 0.8, 1);
    chosen[row.name] = part_of_curve(runs, "chosen_ratio", 0.8, 1);
    balance.push_back({row.text, mean_and_spread(read[row.name], 2),
                       mean_and_spread(first_fifth, 2), mean_and_spread(chosen[row.name], 2)});
    curves.push_back(
        {.name = row.text, .x = runs.front().curve("iteration"), .y = mean_curve(runs)});
  }
  lab.table({"regions of a step", "AP50", "whatever the class", "mean loss", kSecondsHeader},
            table);
  lab.paragraph(
      "Background regions for each object: among all that a step may choose from, and among those "
      "that it chose in the first and in the last fifth of the training. Only the heuristics are "
      "told a ratio.");
  lab.table({"regions of a step", "read, at last", "chosen, at first", "chosen, at last"}, balance);
  lab.chart(line_chart(curves, {.x_label = "step", .y_label = "background for each object"}),
            "Background regions for each object that learned, means of the seeds.");
  lab.claims({{.what = "OHEM beats the heuristics",
               .source = "table 1",
               .paper = "69.9 against 67.2 mAP",
               .size = .027,
               .larger = ap["fast_rcnn-ohem"],
               .smaller = ap["fast_rcnn"]},
              {.what = "its mean loss over all regions is lower",
               .source = "figure 3",
               .paper = "lower at every step, no figures",
               .effect = Effect::ratio,
               .larger = loss["fast_rcnn"],
               .smaller = loss["fast_rcnn-ohem"]},
              {.what = "the heuristics need their IoU of 0.1",
               .source = "table 1, VGG_M",
               .paper = "59.6 against 57.2 mAP",
               .size = .024,
               .larger = ap["fast_rcnn"],
               .smaller = ap["fast_rcnn-low_0"]},
              {.what = "OHEM beats learning from all regions",
               .source = "section 5.3",
               .paper = "about 1 point",
               .size = .01,
               .larger = ap["fast_rcnn-ohem"],
               .smaller = ap["fast_rcnn-all"]},
              {.what = "it needs no ratio: it beats 1 to 3 of the same regions",
               .source = "table 1, VGG_M",
               .paper = "62.0 against 57.2 mAP",
               .size = .048,
               .larger = ap["fast_rcnn-ohem"],
               .smaller = ap["fast_rcnn-low_0"]},
              {.what = "it balances itself: objects, which are rare, are chosen more often than "
                       "read (background for each, last fifth)",
               .source = "section 4.1",
               .paper = "what is neglected becomes hard; no figures",
               .effect = Effect::ratio,
               .larger = read["fast_rcnn-ohem"],
               .smaller = chosen["fast_rcnn-ohem"],
               .digits = 2}});
}

}  // namespace boxgrad::reproduce
