// Group 2: what Fast R-CNN's decisions are worth (Girshick, 2015, section 5).
#include "core/autograd.h"
#include "layers/linear.h"
#include "tutorials/reproduce/lab.h"

namespace boxgrad::reproduce {

namespace {

/// Boxes stay where the proposals are: how section 5.1 looks at the classes alone.
void switch_off_boxes(FastRcnn& model) {
  for (const auto& [name, tensor] : model.head().find("bbox_pred")->state_dict())
    std::ranges::fill(Tensor(tensor).data(), Scalar{0});
  TargetStatistics none = target_statistics({}, model.options().num_classes);
  std::ranges::fill(none.mean.data(), Scalar{0});
  model.set_target_statistics(none);
}

}  // namespace

void reproduce_fast_rcnn(Lab& lab) {
  lab.heading("Fast R-CNN: what its decisions are worth");
  const FastRecipe base, frozen{.freeze = "conv4_3"}, no_box{.lambda = 0}, no_flips{.flips = false};
  const auto fast = lab.fast_rcnn("fast_rcnn", base);
  const auto fc_only = lab.fast_rcnn("fast_rcnn-frozen", frozen);
  const auto unflipped = lab.fast_rcnn("fast_rcnn-no_flips", no_flips);

  const std::string settings = lab.common_settings();
  const auto classes_of = [&](const std::string& name, const FastRecipe& recipe) {
    return lab.by_seed(name + "-no_boxes", settings + ", " + recipe.describe(),
                       [&](std::uint64_t seed) {
                         const auto model = lab.trained_fast_rcnn(name, recipe, seed);
                         switch_off_boxes(*model);
                         return lab.measure(*model, lab.task().val);
                       });
  };
  const auto classes_alone = classes_of("fast_rcnn-lambda_0", no_box);
  const auto multi_task = classes_of("fast_rcnn", base);
  // Stage-wise: the classifier as trained alone, then a box branch behind its frozen features.
  const auto stage_wise = lab.by_seed(
      "fast_rcnn-stage_wise", settings + ", " + no_box.describe(), [&](std::uint64_t seed) {
        const auto model = lab.trained_fast_rcnn("fast_rcnn-lambda_0", no_box, seed);
        model->options().lambda = 1;
        model->set_requires_grad(false);
        model->head().find("bbox_pred")->set_requires_grad(true);
        const double seconds = lab.train_detector(*model, lab.task().train, seed,
                                                  lab.options().steps, base.rate, true);
        Result result = lab.measure(*model, lab.task().val);
        result.values["seconds"] = seconds;
        return result;
      });

  const std::vector<std::string> figures{"ap50", "ap50_any"};
  lab.table({"run", "AP50", "whatever the class"},
            {row_of("Fast R-CNN", fast, figures), row_of("convolutions frozen", fc_only, figures),
             row_of("without flips", unflipped, figures),
             row_of("classes learned alone, no boxes", classes_alone, figures),
             row_of("both learned, boxes not used", multi_task, figures),
             row_of("classes first, then boxes", stage_wise, figures)});
  const auto ap = [](const std::vector<Result>& runs) { return values_of(runs, "ap50"); };
  lab.claims({{.what = "the convolutions must learn",
               .source = "table 5",
               .paper = "66.9 against 61.4 mAP",
               .size = .055,
               .larger = ap(fast),
               .smaller = ap(fc_only)},
              {.what = "learning boxes helps the classes",
               .source = "table 6, VGG16",
               .paper = "63.4 against 62.6 mAP",
               .size = .008,
               .larger = ap(multi_task),
               .smaller = ap(classes_alone)},
              {.what = "both tasks at once beat one after the other",
               .source = "table 6, VGG16",
               .paper = "66.9 against 64.0 mAP",
               .size = .029,
               .larger = ap(fast),
               .smaller = ap(stage_wise)},
              {.what = "box regression helps",
               .source = "table 6, VGG16",
               .paper = "66.9 against 63.4 mAP",
               .size = .035,
               .larger = ap(fast),
               .smaller = ap(multi_task)}});
}

}  // namespace boxgrad::reproduce
