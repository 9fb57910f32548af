// Detectors without proposals from the same starting network, for the table of all systems.
#include "core/random.h"
#include "detection/models/extra_maps.h"
#include "detection/models/fpn.h"
#include "detection/models/retinanet.h"
#include "detection/models/retinanet_small.h"
#include "detection/models/ssd.h"
#include "detection/training/small_recipe.h"
#include "layers/adamw.h"
#include "tutorials/reproduce/lab.h"

namespace boxgrad::reproduce {

namespace {

struct Training {
  std::int64_t steps, images;
  double rate;
  bool adam = false;  ///< AdamW as for the small dense detectors; otherwise lesson 09's SGD

  std::string describe() const {
    return concat(steps, " of ", images, ", rate ", rate, adam ? ", AdamW" : "");
  }
};

/// Maps of stride 8 and 16: the starting network's, and one more behind it.
std::shared_ptr<Backbone> two_maps(Lab& lab) {
  const auto trunk = lab.task().backbone();
  trunk->freeze_through("conv1_2");
  return std::make_shared<ExtraMaps>(trunk,
                                     std::vector<ExtraMap>{{.reduced = 64, .channels = 128}});
}

/// Scenes show things of 20 to 64 px.
std::vector<AnchorLevel> levels() {
  const std::vector<Scalar> ratios{Scalar(0.5), 1, 2};
  return {{.sizes = ratio_box_sizes({20, 28}, ratios), .stride_px = 8},
          {.sizes = ratio_box_sizes({40, 56}, ratios), .stride_px = 16}};
}

std::shared_ptr<Ssd> new_ssd(Lab& lab, std::uint64_t seed) {
  manual_seed(seed);
  SsdOptions options;
  options.num_classes = lab.task().num_classes();
  options.levels = levels();
  return std::make_shared<Ssd>(two_maps(lab), options);
}

std::shared_ptr<RetinaNet> new_retinanet(Lab& lab, std::uint64_t seed) {
  manual_seed(seed);
  RetinaNetOptions options;
  options.num_classes = lab.task().num_classes();
  options.levels = levels();
  options.tower_depth = 1;
  options.postprocess.score_threshold =
      our_fast_rcnn(lab.options()).model.postprocess.score_threshold;
  const auto model = std::make_shared<RetinaNet>(
      std::make_shared<Fpn>(two_maps(lab), FpnOptions{.channels = 64, .extra_levels = 0}), options);
  start_as_loud(*model, 64);
  return model;
}

/// A pyramid and subnets without batch norm learn little from SGD in 1,500 steps (AP50 0.49 with
/// the rate that suited best, against 0.53): AdamW, a fifth of the rate for what is not new.
double train_with_adam(Lab& lab, Detector& model, std::uint64_t seed, const Training& training) {
  const SmallRecipe recipe{.iterations = training.steps,
                           .batch_size = training.images,
                           .rate = training.rate,
                           .seed = seed};
  nn::AdamWOptions options = recipe.optimizer();
  const double trunk_rate = 0.2;
  options.groups = {{.pattern = "backbone[.].*body[.].*[.]bias", .rate = trunk_rate, .decay = 0},
                    {.pattern = "backbone[.].*body[.].*", .rate = trunk_rate},
                    {.pattern = ".*[.]bias", .decay = 0}};
  nn::AdamW optimizer(model, options);
  return lab.seconds_to_train(model, optimizer, lab.task().train_scenes, random_horizontal_flip(),
                              recipe.training());
}

/// With another number of images a step than Fast and Faster R-CNN have, 2, it is a row of its own.
template <class Model, class Make>
System one_stage(Lab& lab, const std::string& model, const std::string& title,
                 const Training& training, Make make) {
  const bool equal = training.images == 2;
  const std::string name = equal ? model + "-2_images" : model;
  const std::string settings = concat(lab.common_settings(), ", ", training.describe());
  const auto trained = [&lab, name, settings, training, make](std::uint64_t seed) {
    return lab.trained<Model>(
        name, settings, seed, [&] { return make(lab, seed); },
        [&](Model& untrained) -> Result {
          return {{{"seconds",
                    training.adam ? train_with_adam(lab, untrained, seed, training)
                                  : lab.train_detector(untrained, lab.task().train_scenes, seed,
                                                       training.steps, training.rate,
                                                       random_horizontal_flip(), training.images)}},
                  {}};
        });
  };
  System system{name, equal ? title : title + ", twice the images",
                concat(training.steps, " x ", training.images),
                lab.by_seed(name, settings,
                            [&](std::uint64_t seed) {
                              const auto [network, figures] = trained(seed);
                              Result result = lab.measure(*network, lab.task().val_scenes);
                              result.values["seconds"] = figures.value("seconds");
                              result.values["mb"] = lab.megabytes(name, seed);
                              return result;
                            }),
                lab.timed(name, settings, [trained] { return trained(0).first; })};
  system.images = training.steps * training.images;
  if (training.adam) system.optimizer = "AdamW";
  return system;
}

}  // namespace

System ssd_system(Lab& lab, std::int64_t images) {
  return one_stage<Ssd>(lab, "ssd", "SSD", {lab.options().quick ? 2 : 1500, images, 0.01}, new_ssd);
}

System retinanet_system(Lab& lab, std::int64_t images) {
  return one_stage<RetinaNet>(lab, "retinanet", "RetinaNet",
                              {lab.options().quick ? 2 : 1500, images, 0.0015, true},
                              new_retinanet);
}

}  // namespace boxgrad::reproduce
