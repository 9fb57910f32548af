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

template <class Work>
double milliseconds(Work work, int rounds) {
  double best = 1e300;
  for (int i = 0; i < rounds; ++i) best = std::min(best, 1e3 * seconds_of(work));
  return best;
}

/// VGG16 at full size on one image of 600 x 800 with 2000 regions: "conv", "fc" and "whole" in ms.
Result time_full_size(bool compressed, bool quick) {
  manual_seed(0);
  FastRcnn model(std::make_shared<Vgg16>(Vgg16Options{.width = quick ? 0.0625 : 1.}),
                 {.num_classes = 20,
                  .head = {.hidden = quick ? std::vector<std::int64_t>{64, 64}
                                           : std::vector<std::int64_t>{4096, 4096}}});
  model.eval();
  if (compressed) {
    std::cout << nn::to_table(nn::compress(model, {.layers = "head[.]fc6", .t = quick ? 16 : 1024}))
              << nn::to_table(nn::compress(model, {.layers = "head[.]fc7", .t = quick ? 16 : 256}));
  }
  Random random(1);
  const int width = quick ? 200 : 800, height = quick ? 150 : 600;
  const Tensor image = Tensor::randn({1, height, width, 3}, random);
  const std::vector<Tensor> regions{random_proposals(width, height, quick ? 20 : 2000, random, 40)};
  const std::vector<BatchImage> infos{{.width = width, .height = height}};
  const NoGradGuard guard;
  const Tensor map = model.features(image), rois = to_rois(regions);
  const int rounds = quick ? 1 : 3;
  Result result;
  result.values["conv"] = milliseconds([&] { model.features(image); }, rounds);
  result.values["fc"] = milliseconds([&] { model.classify(map, rois); }, rounds);
  result.values["whole"] =
      milliseconds([&] { model.detect_regions(model.features(image), regions, infos); }, rounds);
  return result;
}

}  // namespace

void reproduce_svd(Lab& lab) {
  lab.heading("Truncated SVD");
  const bool quick = lab.options().quick;
  const Result before = lab.store().get("svd-full_size", concat("600x800, 2000 regions, ", quick),
                                        [&] { return time_full_size(false, quick); });
  const Result after =
      lab.store().get("svd-full_size_compressed", concat("600x800, 2000 regions, ", quick),
                      [&] { return time_full_size(true, quick); });
  lab.paragraph(
      "VGG16 at full size, an image of 600 x 800 pixels with 2000 regions, weights random: "
      "milliseconds before and after fc6 has t = 1024 and fc7 t = 256.");
  const auto ms = [](double value) { return mean_and_spread({value}, 0); };
  lab.table(
      {"", "convolutions", "regions: pooling and fc", "whole image"},
      {{"before", ms(before.value("conv")), ms(before.value("fc")), ms(before.value("whole"))},
       {"after", ms(after.value("conv")), ms(after.value("fc")), ms(after.value("whole"))}});

  lab.paragraph(
      "Fast R-CNN at teaching scale: fc6 [3200, 256] and fc7 [256, 256] at falling ranks.");
  const FastRecipe recipe;
  const std::vector<Result> whole = lab.fast_rcnn("fast_rcnn", recipe);
  std::vector<std::vector<std::string>> rows{row_of("none", whole, {"ap50", "ms"})};
  std::vector<double> at_64;
  Series curve{.name = "AP50", .markers = true};
  for (const std::int64_t t : {100, 64, 32, 16, 8, 4}) {
    const auto runs =
        lab.by_seed(concat("svd-t_", t), lab.common_settings() + ", " + recipe.describe(),
                    [&](std::uint64_t seed) {
                      const auto model = lab.trained_fast_rcnn("fast_rcnn", recipe, seed);
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
    rows.push_back(row_of(concat(t), runs, {"ap50", "ms"}));
    if (t == 64) at_64 = values_of(runs, "ap50");
    curve.x.push_back(static_cast<double>(t));
    curve.y.push_back(mean_of(values_of(runs, "ap50")));
  }
  lab.table({"t", "AP50", "ms an image"}, rows);
  lab.chart(line_chart({curve}, {.x_label = "rank t", .y_label = "AP50", .log_x = true}),
            "AP50 over the rank of fc6 and fc7.");
  lab.claims({{.what = "an image takes less time",
               .source = "section 4.4",
               .paper = "320 → 223 ms on a GPU",
               .effect = Effect::ratio,
               .size = 320. / 223,
               .larger = {before.value("whole")},
               .smaller = {after.value("whole")},
               .unit = "ms",
               .digits = 0},
              {.what = "its fully connected layers much less",
               .source = "figure 2",
               .paper = "122 → 37 and 20 → 4 ms for fc6 and fc7",
               .effect = Effect::ratio,
               .size = 142. / 41,
               .larger = {before.value("fc")},
               .smaller = {after.value("fc")},
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
