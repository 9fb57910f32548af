// Group 3: truncated SVD of the fully connected layers (Fast R-CNN, sections 3.1 and 4.4).
#include <algorithm>
#include <iostream>

#include "core/autograd.h"
#include "core/charts.h"
#include "core/check.h"
#include "core/random.h"
#include "core/stopwatch.h"
#include "detection/proposals/proposals.h"
#include "layers/svd_linear.h"
#include "tutorials/reproduce/lab.h"

namespace boxgrad::reproduce {

namespace {

/// VGG16 Fast R-CNN at full size, weights random.
std::shared_ptr<FastRcnn> full_size(bool quick) {
  manual_seed(0);
  const auto model = std::make_shared<FastRcnn>(
      std::make_shared<Vgg16>(Vgg16Options{.width = quick ? 0.0625 : 1.}),
      FastRcnnOptions{.num_classes = 20,
                      .head = {.hidden = quick ? std::vector<std::int64_t>{64, 64}
                                               : std::vector<std::int64_t>{4096, 4096}}});
  model->eval();
  return model;
}

/// On one image of 600 x 800 with 2000 regions, in ms: "conv", "fc" and "whole" of the network as
/// it is, "compressed_fc" and "compressed_whole"; the two in turn, the best of the rounds.
Result time_full_size(bool quick) {
  const auto whole = full_size(quick), compressed = full_size(quick);
  std::cout
      << nn::to_table(nn::compress(*compressed, {.layers = "head[.]fc6", .t = quick ? 16 : 1024}))
      << nn::to_table(nn::compress(*compressed, {.layers = "head[.]fc7", .t = quick ? 16 : 256}));
  Random random(1);
  const int width = quick ? 200 : 800, height = quick ? 150 : 600;
  const Tensor image = Tensor::randn({1, height, width, 3}, random);
  const std::vector<Tensor> regions{random_proposals(width, height, quick ? 20 : 2000, random, 40)};
  const std::vector<BatchImage> infos{{.width = width, .height = height}};
  const NoGradGuard guard;
  const Tensor map = whole->features(image), rois = to_rois(regions);
  Result result;
  const auto keep_best = [&](const std::string& what, const auto& work) {
    const double ms = 1e3 * seconds_of(work);
    const auto [entry, is_new] = result.values.try_emplace(what, ms);
    if (!is_new) entry->second = std::min(entry->second, ms);
  };
  for (int round = 0; round < (quick ? 1 : 5); ++round) {
    keep_best("conv", [&] { whole->features(image); });
    for (const bool after : {false, true}) {
      FastRcnn& model = after ? *compressed : *whole;
      const std::string prefix = after ? "compressed_" : "";
      keep_best(prefix + "fc", [&] { model.classify(map, rois); });
      keep_best(prefix + "whole",
                [&] { model.detect_regions(model.features(image), regions, infos); });
    }
  }
  return result;
}

}  // namespace

void reproduce_svd(Lab& lab) {
  lab.heading("Truncated SVD");
  const bool quick = lab.options().quick;
  const Result full =
      lab.store().get("time-svd_full_size", concat("600x800, 2000 regions, in turn, ", quick),
                      [&] { return time_full_size(quick); });
  lab.paragraph(
      "VGG16 at full size, an image of 600 x 800 pixels with 2000 regions, weights random: "
      "milliseconds before and after fc6 has t = 1024 and fc7 t = 256.");
  const auto ms = [&](const char* what) { return mean_and_spread({full.value(what)}, 0); };
  lab.table({"", "convolutions", "regions: pooling and fc", "whole image"},
            {{"before", ms("conv"), ms("fc"), ms("whole")},
             {"after", "the same", ms("compressed_fc"), ms("compressed_whole")}});

  lab.paragraph(
      "Fast R-CNN at teaching scale: fc6 [3200, 256] and fc7 [256, 256] at falling ranks.");
  const FastRecipe recipe;
  const std::vector<Result> whole = lab.fast_rcnn("fast_rcnn", recipe);
  std::vector<std::vector<std::string>> rows{row_of("none", whole, {"ap50"})};
  std::vector<Timed> timed{lab.timed_fast_rcnn("fast_rcnn", recipe)};
  std::vector<double> at_64;
  Series curve{.name = "AP50", .markers = true};
  for (const std::int64_t t : {100, 64, 32, 16, 8, 4}) {
    const std::string name = concat("svd-t_", t);
    const std::string settings = concat(lab.common_settings(), ", ", recipe.describe());
    const auto runs = lab.by_seed(name, settings, [&](std::uint64_t seed) {
      const auto model = lab.trained_fast_rcnn("fast_rcnn", recipe, seed).first;
      const auto layers = nn::compress(*model, {.layers = "head[.]fc.*", .t = t});
      Result result = lab.measure(*model, lab.task().val);
      double parameters = 0, energy = 0;
      for (const auto& layer : layers) {
        parameters += static_cast<double>(layer.parameters_after);
        energy += layer.energy / static_cast<double>(layers.size());
      }
      result.values["parameters"] = parameters;
      result.values["energy"] = energy;
      return result;
    });
    rows.push_back(row_of(concat(t), runs, {"ap50"}));
    timed.push_back(lab.timed(name, settings, [&lab, recipe, t] {
      const auto model = lab.trained_fast_rcnn("fast_rcnn", recipe, 0).first;
      nn::compress(*model, {.layers = "head[.]fc.*", .t = t});
      return model;
    }));
    if (t == 64) at_64 = values_of(runs, "ap50");
    curve.x.push_back(static_cast<double>(t));
    curve.y.push_back(mean_of(values_of(runs, "ap50")));
  }
  const auto times = lab.milliseconds("svd", timed);
  for (std::size_t k = 0; k < rows.size(); ++k)
    rows[k].push_back(mean_and_spread({times.at(timed[k].name)}, 1));
  lab.table({"t", "AP50", "ms an image"}, rows);
  lab.chart(line_chart({curve}, {.x_label = "rank t", .y_label = "AP50", .log_x = true}),
            "AP50 over the rank of fc6 and fc7.");
  lab.claims({{.what = "an image takes less time",
               .source = "section 4.4",
               .paper = "320 → 223 ms on a GPU",
               .effect = Effect::ratio,
               .size = 320. / 223,
               .larger = {full.value("whole")},
               .smaller = {full.value("compressed_whole")},
               .unit = "ms",
               .digits = 0},
              {.what = "its fully connected layers much less",
               .source = "figure 2",
               .paper = "122 → 37 and 20 → 4 ms for fc6 and fc7",
               .effect = Effect::ratio,
               .size = 142. / 41,
               .larger = {full.value("fc")},
               .smaller = {full.value("compressed_fc")},
               .unit = "ms",
               .digits = 0},
              {.what = "a quarter of the rank costs little AP (t = 64)",
               .source = "section 4.4",
               .paper = "66.9 → 66.6 mAP",
               .effect = Effect::no_loss,
               .size = .003,
               .larger = values_of(whole, "ap50"),
               .smaller = at_64}});
}

}  // namespace boxgrad::reproduce
