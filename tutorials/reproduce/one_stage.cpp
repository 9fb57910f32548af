// Detectors without proposals from the same starting network, for the table of all systems.
#include "core/random.h"
#include "detection/models/extra_maps.h"
#include "detection/models/fpn.h"
#include "detection/models/retinanet.h"
#include "detection/models/ssd.h"
#include "layers/conv.h"
#include "layers/init.h"
#include "tutorials/reproduce/lab.h"

namespace boxgrad::reproduce {

namespace {

struct Training {
  std::int64_t steps, images;
  double rate;
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
  options.tower_depth = 2;
  const auto model = std::make_shared<RetinaNet>(
      std::make_shared<Fpn>(two_maps(lab), FpnOptions{.channels = 128, .extra_levels = 0}),
      options);
  // The paper's deviation of 0.01 is for 256 channels.
  model->visit([](const std::string& path, nn::Module& module) {
    if (auto* conv = dynamic_cast<nn::Conv2d*>(&module); conv && !path.starts_with("backbone"))
      nn::init::gaussian(conv->weight, 0.014);
  });
  return model;
}

template <class Model, class Make>
System one_stage(Lab& lab, const std::string& name, const std::string& text,
                 const Training& training, Make make) {
  const std::string settings = concat(lab.common_settings(), ", ", training.steps, " of ",
                                      training.images, ", rate ", training.rate);
  const auto trained = [&](std::uint64_t seed) {
    return lab.trained<Model>(
        name, settings, seed, [&] { return make(lab, seed); },
        [&](Model& model) -> std::map<std::string, double> {
          return {
              {"seconds", lab.train_detector(model, lab.task().train_scenes, seed, training.steps,
                                             training.rate, random_flip(), training.images)}};
        });
  };
  System system{name, text, lab.by_seed(name, settings, [&](std::uint64_t seed) {
                  const auto [model, figures] = trained(seed);
                  Result result = lab.measure(*model, lab.task().val_scenes);
                  result.values["seconds"] = figures.at("seconds");
                  result.values["mb"] = lab.megabytes(name, seed);
                  return result;
                })};
  system.ms = lab.milliseconds(name, settings, [&] { return trained(0).first; });
  return system;
}

}  // namespace

System ssd_system(Lab& lab) {
  const Training training = lab.options().quick ? Training{2, 2, 0.01} : Training{1500, 4, 0.01};
  return one_stage<Ssd>(lab, "ssd", "SSD", training, new_ssd);
}

System retinanet_system(Lab& lab) {
  const Training training = lab.options().quick ? Training{2, 2, 0.01} : Training{1500, 4, 0.01};
  return one_stage<RetinaNet>(lab, "retinanet", "RetinaNet", training, new_retinanet);
}

}  // namespace boxgrad::reproduce
