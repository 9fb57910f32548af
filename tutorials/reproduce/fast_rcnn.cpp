// Group 2: what Fast R-CNN's decisions are worth (Girshick, 2015, section 5).
#include <algorithm>
#include <stdexcept>

#include "core/autograd.h"
#include "detection/models/region_classifiers.h"
#include "detection/training/region_classifier_training.h"
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

/// A Fast R-CNN whose classes are decided by SVMs on its last hidden layer; boxes stay where the
/// proposals are.
class SvmFastRcnn : public Detector {
 public:
  explicit SvmFastRcnn(std::shared_ptr<FastRcnn> model)
      : model_(std::move(model)),
        classifiers_(model_->head().hidden_width(), 1, model_->options().num_classes) {}

  /// Returns the seconds that it took.
  double fit(Lab& lab, std::uint64_t seed) {
    const FirstImages some(lab.task().train, lab.options().quick ? 5 : 500);
    model_->eval();
    const RegionClassifierReport report = train_region_classifiers(
        classifiers_, some, {},
        [&](const Tensor& image, const Tensor& boxes) {
          return ClassifierFeatures{hidden(image, boxes), Tensor({boxes.size(0), 1})};
        },
        lab.options().out / concat("features-", seed), region_classifier_options());
    std::filesystem::remove_all(lab.options().out / concat("features-", seed));
    return report.seconds_features + report.seconds_svms;
  }

  DetectorLoss loss(const Batch&, Random&) override {
    throw std::logic_error("SvmFastRcnn: nothing to train");
  }
  std::vector<Detections> detect(const Batch& batch) override {
    std::vector<Detections> result;
    for (std::size_t n = 0; n < batch.infos.size(); ++n)
      result.push_back(postprocess(
          batch.proposals[n], classifiers_.scores(hidden(image_of(batch, n), batch.proposals[n])),
          Scalar(batch.infos[n].width), Scalar(batch.infos[n].height),
          {.score_threshold = -1, .max_per_class = 300, .nms_iou = 0.3, .max_per_image = 100}));
    return result;
  }

 private:
  Tensor hidden(const Tensor& image, const Tensor& boxes) {
    const NoGradGuard guard;
    return model_->head().hidden(model_->pooled_features(image, boxes));
  }

  std::shared_ptr<FastRcnn> model_;
  RegionClassifiers classifiers_;
};

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
                         const auto [model, figures] = lab.trained_fast_rcnn(name, recipe, seed);
                         switch_off_boxes(*model);
                         Result result = lab.measure(*model, lab.task().val);
                         result.values["seconds"] = figures.value("seconds");
                         return result;
                       });
  };
  const auto classes_alone = classes_of("fast_rcnn-lambda_0", no_box);
  const auto multi_task = classes_of("fast_rcnn", base);
  // Stage-wise: the classifier as trained alone, then a box branch behind its frozen features.
  const auto stage_wise = lab.by_seed(
      "fast_rcnn-stage_wise", settings + ", " + no_box.describe(), [&](std::uint64_t seed) {
        const auto [model, figures] = lab.trained_fast_rcnn("fast_rcnn-lambda_0", no_box, seed);
        model->options().lambda = 1;
        model->set_requires_grad(false);
        model->head().find("bbox_pred")->set_requires_grad(true);
        const double seconds =
            lab.train_detector(*model, lab.task().train, seed, lab.options().steps, base.rate,
                               random_horizontal_flip());
        Result result = lab.measure(*model, lab.task().val);
        result.values["seconds"] = figures.value("seconds") + seconds;
        return result;
      });

  // SVMs fitted to what fc7 says, as R-CNN and SPPnet do it, instead of the softmax.
  const auto svms =
      lab.by_seed("fast_rcnn-svm", settings + ", " + base.describe() + ", positives weigh 20",
                  [&](std::uint64_t seed) {
                    const auto [model, figures] = lab.trained_fast_rcnn("fast_rcnn", base, seed);
                    SvmFastRcnn detector(model);
                    const double seconds = detector.fit(lab, seed);
                    Result result = lab.measure(detector, lab.task().val);
                    result.values["seconds"] = figures.value("seconds") + seconds;
                    return result;
                  });
  const FastRecipe many_scales{.five_scales = true};
  const auto scales = lab.fast_rcnn("fast_rcnn-five_scales", many_scales);

  const auto times =
      lab.milliseconds("scales", {lab.timed_fast_rcnn("fast_rcnn", base),
                                  lab.timed_fast_rcnn("fast_rcnn-five_scales", many_scales)});
  const std::vector<std::string> figures{"ap50", "ap50_any", "seconds"};
  lab.table({"run", "AP50", "whatever the class", concat(kSecondsHeader, ", all stages")},
            {row_of("Fast R-CNN", fast, figures), row_of("convolutions frozen", fc_only, figures),
             row_of("without flips", unflipped, figures),
             row_of("classes learned alone, no boxes", classes_alone, figures),
             row_of("both learned, boxes not used", multi_task, figures),
             row_of("classes first, then boxes", stage_wise, figures),
             row_of("SVMs instead of the softmax, boxes not used", svms, figures),
             row_of("five scales", scales, figures)});
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
              {.what = "a softmax does what SVMs do (boxes not used)",
               .source = "table 8, VGG16",
               .paper = "66.9 against 66.8 mAP",
               .effect = Effect::no_loss,
               .size = .005,
               .larger = ap(svms),
               .smaller = ap(multi_task)},
              {.what = "one scale is nearly as good as five",
               .source = "table 7, model M",
               .paper = "59.2 against 60.7 mAP",
               .effect = Effect::no_loss,
               .size = .015,
               .larger = ap(scales),
               .smaller = ap(fast)},
              {.what = "five scales take longer to test",
               .source = "table 7, model M",
               .paper = "640 against 150 ms",
               .effect = Effect::ratio,
               .size = 640. / 150,
               .larger = {times.at("fast_rcnn-five_scales")},
               .smaller = {times.at("fast_rcnn")},
               .unit = "ms",
               .digits = 1},
              {.what = "mirrored images help",
               .source = "section 2.3: used throughout",
               .paper = "no figure",
               .larger = ap(fast),
               .smaller = ap(unflipped)},
              {.what = "box regression helps",
               .source = "table 6, VGG16",
               .paper = "66.9 against 63.4 mAP",
               .size = .035,
               .larger = ap(fast),
               .smaller = ap(multi_task)}});
}

}  // namespace boxgrad::reproduce
